// Which side each neuron was active on.
#include "src/stages/orientation.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

/// The hypothesis that exact measurements at `base` give.
Hypothesis measured(const ReluNetwork& network, const std::vector<double>& base) {
  Hypothesis hypothesis(network.inputs(), network.outputs());
  hypothesis.base = base;
  hypothesis.gradient = exact_gradient(network, base);
  HostMatrix at_base(0, network.inputs());
  at_base.append_row(base.data(), network.inputs());
  const HostMatrix value = exact_values(network, at_base);
  for (Index o = 0; o < network.outputs(); ++o) {
    hypothesis.constant(o, 0) =
        value(0, o) - dot(hypothesis.gradient.row(o), base.data(), network.inputs());
  }
  for (Index j = 0; j < network.neurons(); ++j) {
    std::vector<double> scale;
    for (Index o = 0; o < network.outputs(); ++o) scale.push_back(network.output(o, j));
    hypothesis.add(row_of(network.weights, j), network.bias(j, 0), scale, 0, 0);
  }
  return hypothesis;
}

ReluNetwork without_linear_part(Index d, Index k, Index p, std::uint64_t seed) {
  ReluNetwork network = planted_network(d, k, p, seed);
  network.linear = HostMatrix(p, d);
  return network;
}

bool is_zero(const HostMatrix& matrix) {
  for (Index i = 0; i < matrix.size(); ++i) {
    if (matrix.data()[i] != 0) return false;
  }
  return true;
}

/// Same function: terms below 300, rounded a few times each on their way through a unit normal.
testing::AssertionResult same_function(const ReluNetwork& a, const ReluNetwork& b) {
  const HostMatrix x = normals(60, a.inputs(), 99);
  return near_sum(exact_values(a, x), exact_values(b, x), HostMatrix(60, a.outputs(), 300),
                  a.neurons() + a.inputs());
}

TEST(OrientationTest, EveryNeuronOfANetworkWithoutALinearPartIsTurnedBack) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    const ReluNetwork network = without_linear_part(12, 8, 1, seed);
    const Hypothesis hypothesis = measured(network, std::vector<double>(12, 0.1));
    EXPECT_FALSE(is_zero(hypothesis.gradient)) << "nothing to do";
    const ReluNetwork turned = orient(hypothesis, 1e-10);
    EXPECT_TRUE(is_zero(turned.linear));
    EXPECT_TRUE(same_function(turned, network));
    for (Index j = 0; j < 8; ++j) {
      // The same side of the same hyperplane: same direction, no minus sign.
      EXPECT_GT(dot(turned.weights.row(j), network.weights.row(j), 12), 0) << "neuron " << j;
    }
  }
}

TEST(OrientationTest, SeveralOutputsOrientMoreNeuronsThanInputs) {
  const ReluNetwork network = without_linear_part(4, 10, 3, 2);  // k <= p d = 12
  const ReluNetwork turned = orient(measured(network, {0.1, 0.2, -0.1, 0}), 1e-10);
  EXPECT_TRUE(is_zero(turned.linear));
  EXPECT_TRUE(same_function(turned, network));
}

TEST(OrientationTest, ARealLinearPartStays) {
  const ReluNetwork network = planted_network(12, 8, 1, 3);
  const Hypothesis hypothesis = measured(network, std::vector<double>(12, 0.1));
  const ReluNetwork kept = orient(hypothesis, 1e-10);
  EXPECT_TRUE(same_bits(kept.linear, hypothesis.gradient));
  EXPECT_TRUE(same_bits(kept.weights, hypothesis.normals));
  EXPECT_TRUE(same_function(kept, network));
}

TEST(OrientationTest, WhatIsDroppedIsNeverMoreThanAllowed) {
  // A linear part so small that the least squares do not see it: it is there all the same.
  ReluNetwork network = without_linear_part(12, 8, 1, 4);
  network.linear(0, 3) = 1e-6;
  const Hypothesis hypothesis = measured(network, std::vector<double>(12, 0.1));
  EXPECT_FALSE(is_zero(orient(hypothesis, 0.9e-6).linear));
  const ReluNetwork turned = orient(hypothesis, 1.1e-6);
  EXPECT_TRUE(is_zero(turned.linear));
}

TEST(OrientationTest, MoreNeuronsThanEquationsAreLeftAlone) {
  const ReluNetwork network = without_linear_part(4, 6, 1, 5);
  const Hypothesis hypothesis = measured(network, {0.1, 0.2, -0.1, 0});
  EXPECT_TRUE(same_bits(orient(hypothesis, 1e300).linear, hypothesis.gradient));
}

TEST(OrientationTest, DependentNeuronsAreLeftAlone) {
  // Two neurons with one normal: which of them was turned cannot be told.
  ReluNetwork network = without_linear_part(6, 3, 1, 6);
  for (Index i = 0; i < 6; ++i) network.weights(1, i) = network.weights(0, i);
  network.bias = {{-0.5}, {0.5}, {1}};
  const Hypothesis hypothesis = measured(network, std::vector<double>(6, 0.0));
  const ReluNetwork kept = orient(hypothesis, 1e-10);
  EXPECT_TRUE(same_function(kept, network));
}

TEST(OrientationTest, NoNeuronsNoQuestion) {
  const ReluNetwork affine = planted_network(3, 0, 2, 1);
  EXPECT_TRUE(same_bits(orient(measured(affine, {0, 0, 0}), 1).linear, affine.linear));
}

}  // namespace
}  // namespace crease
