// The network found so far: orientation at the base point, errors, snapshots.
#include "src/stages/hypothesis.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

TEST(HypothesisTest, StartsAsZeroWithoutABase) {
  const Hypothesis empty(3, 2);
  EXPECT_EQ(empty.neurons(), 0);
  EXPECT_FALSE(empty.has_base());
  EXPECT_NO_THROW(check(empty.network()));
  EXPECT_TRUE(same_bits(exact_values(empty.network(), normals(4, 3, 1)), HostMatrix(4, 2)));
  EXPECT_EQ(empty.gradient_error(), (std::vector<double>{0, 0}));
  EXPECT_EQ(empty.rounding_error(), (std::vector<double>{0, 0}));
}

TEST(HypothesisTest, ANeuronIsStoredWithAUnitNormalAndInactiveAtTheBase) {
  Hypothesis hypothesis(2, 1);
  hypothesis.base = {0, 0};
  // 2 relu(3 x0 + 4 x1 + 10): active at the base, so it is stored turned: errors of the unit
  // normal.
  hypothesis.add({3, 4}, 10, {2}, 0.5, 0.25);
  ASSERT_EQ(hypothesis.neurons(), 1);
  EXPECT_NEAR(hypothesis.normals(0, 0), -0.6, kRounding);
  EXPECT_NEAR(hypothesis.normals(0, 1), -0.8, kRounding);
  EXPECT_EQ(hypothesis.bias[0], -2);
  EXPECT_EQ(hypothesis.scales(0, 0), 10);
  EXPECT_EQ(hypothesis.offset_error[0], 0.1);
  EXPECT_EQ(hypothesis.normal_error[0], 0.05);
  // 2 relu(3 x0 + 4 x1 - 10) is inactive there already.
  hypothesis.add({3, 4}, -10, {2}, 0, 0);
  EXPECT_NEAR(hypothesis.normals(1, 0), 0.6, kRounding);
  EXPECT_EQ(hypothesis.bias[1], -2);
}

TEST(HypothesisTest, TheAffinePieceAtTheBaseIsTheGradientAndTheConstant) {
  const ReluNetwork network = planted_network(4, 9, 3, 5);
  Hypothesis hypothesis(4, 3);
  hypothesis.base = {0.3, -0.2, 0.9, -1.1};
  hypothesis.gradient = exact_gradient(network, hypothesis.base);
  HostMatrix at_base(0, 4);
  at_base.append_row(hypothesis.base.data(), 4);
  const HostMatrix value = exact_values(network, at_base);
  for (Index o = 0; o < 3; ++o) {
    hypothesis.constant(o, 0) =
        value(0, o) - dot(hypothesis.gradient.row(o), hypothesis.base.data(), 4);
  }
  for (Index j = 0; j < 9; ++j) {
    std::vector<double> scale;
    for (Index o = 0; o < 3; ++o) scale.push_back(network.output(o, j));
    hypothesis.add(row_of(network.weights, j), network.bias(j, 0), scale, 0, 0);
  }
  // u relu(z) = u z + u relu(-z): whatever way round, it is the same function. Terms below 100,
  // some 40 of them, each rounded once or twice on its way.
  const HostMatrix x = normals(50, 4, 7);
  EXPECT_TRUE(near_sum(exact_values(hypothesis.network(), x), exact_values(network, x),
                       HostMatrix(50, 3, 100), 9 + 4));
  const HostMatrix inactive = exact_gradient(hypothesis.network(), hypothesis.base);
  EXPECT_TRUE(same_bits(inactive, hypothesis.gradient));
}

TEST(HypothesisTest, ANeuronThatTakesAnotherBackGoesWithIt) {
  Hypothesis hypothesis(2, 1);
  hypothesis.base = {0, 0};
  hypothesis.add({1, 0}, -1, {2}, 1e-6, 1e-7);
  hypothesis.add({0, 1}, -1, {3}, 1e-6, 1e-7);
  hypothesis.add({0.6, 0.8}, -1, {4}, 1e-6, 1e-7);
  const Index first = hypothesis.neurons();
  hypothesis.add({1, 0}, -1 + 5e-6, {-2.001}, 1e-6, 1e-7);  // takes the first back
  hypothesis.add({0, 1}, -1 - 5e-6, {0.01}, 1e-6, 1e-7);    // corrects the second
  hypothesis.add({0.6, 0.8}, -1, {3}, 1e-6, 1e-7);          // a neuron of its own
  hypothesis.add({1, 0}, -1 + 2e-5, {-2}, 1e-6, 1e-7);      // another plane: 14 deviations off
  EXPECT_EQ(hypothesis.absorb(first, 10), 2);
  ASSERT_EQ(hypothesis.neurons(), 4);
  EXPECT_EQ(hypothesis.bias, (std::vector<double>{-1, -1, -1, -1 + 2e-5}));
  EXPECT_TRUE(same_bits(hypothesis.scales, {{3 + 0.01}, {4}, {3}, {-2}}));
}

TEST(HypothesisTest, OfTwoMeasurementsTheBetterOneStays) {
  Hypothesis hypothesis(2, 1);
  hypothesis.base = {0, 0};
  hypothesis.add({1, 0}, -1, {1}, 1e-6, 1e-7);
  hypothesis.add({1, 0}, -2, {2}, 1e-6, 1e-7);
  hypothesis.add({1, 0}, -3, {3}, 1e-6, 1e-7);
  hypothesis.add({1, 0}, -4, {4}, 1e-6, 1e-7);
  const Hypothesis removed = hypothesis.remove({1, 2, 3});
  const Index first = hypothesis.neurons();
  hypothesis.add({1, 0}, -2 + 1e-6, {2.5}, 1e-7, 1e-7);  // better than it was
  hypothesis.add({1, 0}, -3 + 1e-6, {3.5}, 1e-5, 1e-7);  // worse; the fourth was not seen again
  hypothesis.keep_better(removed, first, 10);
  EXPECT_EQ(hypothesis.bias, (std::vector<double>{-1, -2 + 1e-6, -3, -4}));
  EXPECT_TRUE(same_bits(hypothesis.scales, {{1}, {2.5}, {3}, {4}}));
}

TEST(HypothesisTest, RemovingOneNeuronLeavesTheOthers) {
  Hypothesis hypothesis(2, 2);
  hypothesis.base = {0, 0};
  for (const double j : {1.0, 2.0, 3.0}) {
    hypothesis.add({1, 0}, -j, {10 * j, -j}, 0.1 * j, 0.01 * j);
  }
  const Hypothesis snapshot = hypothesis;
  const Hypothesis removed = hypothesis.remove({1});
  EXPECT_EQ(removed.bias, (std::vector<double>{-2}));
  EXPECT_TRUE(same_bits(removed.scales, {{20, -2}}));
  EXPECT_EQ(removed.base, hypothesis.base);
  ASSERT_EQ(hypothesis.neurons(), 2);
  EXPECT_EQ(hypothesis.bias, (std::vector<double>{-1, -3}));
  EXPECT_TRUE(same_bits(hypothesis.scales, {{10, -1}, {30, -3}}));
  EXPECT_TRUE(same_bits(hypothesis.normals, {{1, 0}, {1, 0}}));
  EXPECT_EQ(hypothesis.offset_error, (std::vector<double>{0.1 * 1, 0.1 * 3}));
  EXPECT_EQ(hypothesis.normal_error, (std::vector<double>{0.01 * 1, 0.01 * 3}));
  EXPECT_EQ(snapshot.neurons(), 3);
  hypothesis.remove({1, 0});
  EXPECT_EQ(hypothesis.neurons(), 0);
  EXPECT_NO_THROW(check(hypothesis.network()));
}

TEST(HypothesisTest, ErrorsAddInSquaresOverTheNeurons) {
  Hypothesis hypothesis(3, 2);
  hypothesis.base = {0, 0, 0};
  hypothesis.add({1, 0, 0}, -1, {3, 0}, 2.0, 1.0);
  hypothesis.add({0, 1, 0}, -1, {4, -1}, 2.0, 1.0);
  EXPECT_EQ(hypothesis.gradient_error(), (std::vector<double>{5, 1}));
  // over sqrt(d + 1) = 2
  EXPECT_EQ(hypothesis.value_error(), (std::vector<double>{5, 1}));
  hypothesis.gradient(0, 2) = 12;
  EXPECT_EQ(hypothesis.rounding_error()[0], 13 * kRounding);
  // The gradient's own noise counts with the distance of the base: sqrt(1 + |base|^2 / (d + 1)).
  hypothesis.base = {2, 2, 2};
  hypothesis.gradient_noise = {6, 0};
  EXPECT_EQ(hypothesis.value_error()[0], 13);  // hypot(5, 6 * 2)
}

TEST(HypothesisTest, ScalingTheErrorsScalesThemAllAndNothingElse) {
  Hypothesis hypothesis(2, 1);
  hypothesis.base = {0, 0};
  hypothesis.gradient_noise = {3e-12};
  hypothesis.add({3, 4}, -5, {2}, 1e-10, 2e-11);
  const ReluNetwork before = hypothesis.network();
  const double value_error = hypothesis.value_error()[0];
  const double gradient_error = hypothesis.gradient_error()[0];

  hypothesis.scale_errors(8);

  EXPECT_EQ(hypothesis.value_error()[0], 8 * value_error);  // a power of two: exact
  EXPECT_EQ(hypothesis.gradient_error()[0], 8 * gradient_error);
  EXPECT_TRUE(same_bits(hypothesis.network().weights, before.weights));
  EXPECT_TRUE(same_bits(hypothesis.network().output, before.output));
}

}  // namespace
}  // namespace crease
