// Networks with fewer neurons: the best coefficients, and the neurons that are kept.
#include <crease/gaussian.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/near.hpp"
#include "tests/support/planted_power.hpp"
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

// Where the neurons kept are far from each other, coefficients are right to the condition of their
// Gram matrix, below 1e4 here.
constexpr double kSolved = 1e4 * 64 * kEps;

class GaussianReductionTest : public testing::Test {
 protected:
  Device& device() { return *device_; }
  double distance(const ReluNetwork& f, const ReluNetwork& g) {
    return gaussian_distance(device(), f, g).value;
  }

 private:
  std::unique_ptr<Device> device_ = make_cpu_device({.threads = 2, .poison = true});
};

// The norm sqrt(E |F|^2).
double norm_of(const ReluNetwork& f) {
  return gaussian_distance(f, ReluNetwork(f.inputs(), 0, f.outputs())).value;
}

std::vector<Index> first_neurons(Index count) {
  std::vector<Index> kept(static_cast<std::size_t>(count));
  std::iota(kept.begin(), kept.end(), Index{0});
  return kept;
}

// F with a copy of neuron j, the outputs split between the two.
ReluNetwork with_copy(const ReluNetwork& f, Index j, double scale, double part) {
  ReluNetwork g(f.inputs(), f.neurons() + 1, f.outputs());
  g.linear = f.linear;
  g.constant = f.constant;
  for (Index n = 0; n <= f.neurons(); ++n) {
    const Index from = n == f.neurons() ? j : n;
    const double factor = n == f.neurons() ? scale : 1.0;
    for (Index i = 0; i < f.inputs(); ++i) g.weights(n, i) = factor * f.weights(from, i);
    g.bias(n, 0) = factor * f.bias(from, 0);
    for (Index o = 0; o < f.outputs(); ++o) {
      g.output(o, n) = f.output(o, from) * (n == f.neurons() ? part / scale
                                            : n == j         ? 1.0 - part
                                                             : 1.0);
    }
  }
  return g;
}

TEST_F(GaussianReductionTest, NoNeuronsLeaveTheBestAffineApproximation) {
  // relu(x) is nearest to x / 2 + 1 / sqrt(2 pi), at a squared distance of 1/4 - 1 / (2 pi).
  ReluNetwork f(2, 1, 1);
  f.weights = {{3, 0}};
  f.output = {{2}};
  f.linear = {{0, 1}};
  const ReluNetwork g = reduce_neurons(device(), f, 0);

  ASSERT_EQ(g.neurons(), 0);
  EXPECT_NEAR(g.linear(0, 0), 3.0, 8 * 3 * kEps);
  EXPECT_EQ(g.linear(0, 1), 1.0);
  EXPECT_NEAR(g.constant(0, 0), 6 / std::sqrt(2 * std::acos(-1.0)), 8 * 3 * kEps);
  EXPECT_NEAR(distance(f, g), 6 * std::sqrt(0.25 - 0.5 / std::acos(-1.0)), 16 * 6 * kEps);
}

TEST_F(GaussianReductionTest, CoefficientsAreTheMinimum) {
  const ReluNetwork f = planted_network(6, 20, 2, 1);
  const ReluNetwork g = best_on_neurons(device(), f, first_neurons(12));
  const double least = distance(f, g);
  ASSERT_EQ(g.neurons(), 12);
  // E |F - G|^2 is a parabola along every coefficient: no step to either side may lower it, and
  // both sides rise alike. What is rounded is eps of the squared norm.
  const double rounding = 64 * kEps * std::pow(norm_of(f), 2);
  const double step = 1e-3;
  const auto rises_alike = [&](double& coefficient, const ReluNetwork& changed) {
    const double before = coefficient;
    coefficient = before + step;
    const double above = std::pow(distance(f, changed), 2) - least * least;
    coefficient = before - step;
    const double below = std::pow(distance(f, changed), 2) - least * least;
    coefficient = before;
    EXPECT_GT(above, 0.0);
    EXPECT_GT(below, 0.0);
    EXPECT_NEAR(above, below, rounding);
  };
  ReluNetwork changed = g;
  for (Index o = 0; o < 2; ++o) {
    for (Index j = 0; j < 12; ++j) rises_alike(changed.output(o, j), changed);
    for (Index i = 0; i < 6; ++i) rises_alike(changed.linear(o, i), changed);
    rises_alike(changed.constant(o, 0), changed);
  }
}

TEST_F(GaussianReductionTest, NeuronsKeepTheOrderAskedFor) {
  const ReluNetwork f = planted_network(4, 6, 1, 2);
  const ReluNetwork g = best_on_neurons(device(), f, {4, 0, 3});
  const ReluNetwork h = best_on_neurons(device(), f, {0, 3, 4});
  for (Index i = 0; i < 4; ++i) EXPECT_EQ(g.weights(0, i), f.weights(4, i));
  EXPECT_NEAR(g.output(0, 1), h.output(0, 0), 1e3 * kEps);  // condition of a 3 x 3 Gram matrix
}

TEST_F(GaussianReductionTest, ANetworkIsItsOwnBestOnAllItsNeuronsAndOnTheirHyperplanes) {
  const ReluNetwork f = planted_network(5, 9, 2, 3);
  EXPECT_LE(distance(f, best_on_neurons(device(), f, first_neurons(9))), 64 * kEps * norm_of(f));

  HostMatrix weights = f.weights;  // turned round and scaled
  HostMatrix bias = f.bias;
  for (Index j = 0; j < 9; ++j) {
    for (Index i = 0; i < 5; ++i) weights(j, i) *= j % 2 == 0 ? -2.0 : 0.3;
    bias(j, 0) *= j % 2 == 0 ? -2.0 : 0.3;
  }
  const ReluNetwork g = best_on_hyperplanes(device(), f, weights, bias);
  EXPECT_LE(distance(f, g), kSolved * norm_of(f));
  EXPECT_TRUE(same_bits(g.weights, weights));
}

TEST_F(GaussianReductionTest, DuplicatesAndDeadNeuronsGoFirstAndCostNothing) {
  const ReluNetwork f = planted_network(5, 12, 2, 4);
  ReluNetwork g = with_copy(with_copy(f, 3, 2.0, 0.4), 7, 0.5, -1.5);
  g = with_copy(g, 5, -1.0, 0.25);
  g = with_copy(g, 0, 1.0, 1.0);
  for (Index i = 0; i < 5; ++i) g.weights(15, i) = 0.0;  // dead: a constant
  g.bias(0, 0) = 50.0;                                   // always active
  const ReluNetwork less = reduce_neurons(device(), g, 12);

  EXPECT_LE(less.neurons(), 12);
  EXPECT_LE(distance(g, less), kSolved * norm_of(g));
}

TEST_F(GaussianReductionTest, FewerNeuronsAreFurtherAway) {
  const ReluNetwork f = planted_network(8, 30, 2, 5);
  double before = 0.0;
  for (const Index neurons : {30, 29, 25, 18, 9, 3, 0}) {
    const ReluNetwork g = reduce_neurons(device(), f, neurons);
    EXPECT_EQ(g.neurons(), neurons);
    const double now = distance(f, g);
    EXPECT_GE(now, before) << neurons;
    before = now;
  }
  EXPECT_LE(before, gaussian_standard_deviation(f));
  EXPECT_EQ(distance(f, reduce_neurons(device(), f, 30)), 0.0);
}

TEST_F(GaussianReductionTest, TheFirstNeuronToGoIsTheOneThatCostsLeast) {
  const ReluNetwork f = planted_network(4, 10, 2, 6);
  double least = std::numeric_limits<double>::infinity();
  for (Index out = 0; out < 10; ++out) {
    std::vector<Index> kept = first_neurons(10);
    kept.erase(kept.begin() + out);
    least = std::min(least, distance(f, best_on_neurons(device(), f, kept)));
  }
  EXPECT_NEAR(distance(f, reduce_neurons(device(), f, 9)), least, kSolved * norm_of(f));
}

TEST_F(GaussianReductionTest, NearDuplicatesGoBeforeTheOthers) {
  // Twenty neurons and a near copy of each: what merging them costs is of the order of the gap.
  const ReluNetwork f = planted_network(10, 20, 1, 7);
  for (const double gap : {1e-3, 1e-6, 1e-9}) {
    ReluNetwork g = f;
    for (Index j = 0; j < 20; ++j) g = with_copy(g, j, 1.0, 0.5);
    const HostMatrix moves = normals(20, 10, 77);
    for (Index j = 0; j < 20; ++j) {
      for (Index i = 0; i < 10; ++i) g.weights(20 + j, i) += gap * moves(j, i);
    }
    const ReluNetwork less = reduce_neurons(device(), g, 20);
    // Half of |u| <= 1.5 times a move of |normals| < 6, of each of twenty.
    EXPECT_LE(distance(g, less), 20 * 0.75 * 6 * gap) << gap;
  }
}

TEST_F(GaussianReductionTest, TheSameEveryTime) {
  const ReluNetwork f = planted_network(6, 40, 2, 8);
  const ReluNetwork a = reduce_neurons(device(), f, 15);
  const ReluNetwork b = reduce_neurons(device(), f, 15);
  EXPECT_TRUE(same_bits(a, b));
}

TEST_F(GaussianReductionTest, WhatDoesNotFitIsRefused) {
  const ReluNetwork f = planted_network(3, 4, 1, 1);
  EXPECT_THROW(reduce_neurons(device(), f, 5), BadInput);
  EXPECT_THROW(reduce_neurons(device(), f, -1), BadInput);
  EXPECT_THROW(best_on_neurons(device(), f, {4}), BadInput);
  EXPECT_THROW(best_on_neurons(device(), f, {-1}), BadInput);
  EXPECT_THROW(best_on_neurons(device(), f, {1, 1}), BadInput);
  EXPECT_THROW(best_on_hyperplanes(device(), f, HostMatrix(2, 4), HostMatrix(2, 1)), BadInput);
  EXPECT_THROW(best_on_hyperplanes(device(), f, HostMatrix(2, 3), HostMatrix(3, 1)), BadInput);
  ReluNetwork broken = f;
  broken.bias = HostMatrix(3, 1);
  EXPECT_THROW(reduce_neurons(device(), broken, 2), BadInput);
  const ReluNetwork power = planted_power(3, 4, 1, 2, 1);
  EXPECT_THROW(reduce_neurons(device(), power, 2), BadInput);
  EXPECT_THROW(best_on_neurons(device(), power, {1}), BadInput);
  EXPECT_THROW(best_on_hyperplanes(device(), power, HostMatrix(2, 3), HostMatrix(2, 1)), BadInput);
}

}  // namespace
}  // namespace crease
