// Directions of planted two-layer networks and which layer they are told to belong to.
#include "src/stages/attribution.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/smooth_families.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

constexpr Index kScan = 5 * 49;  // queries a direction

HostMatrix axes(Index d) {
  HostMatrix basis(d, d);
  for (Index j = 0; j < d; ++j) basis(j, j) = 1;
  return basis;
}

SmoothNetwork planted(Index d, Index m0, Index m1, Activation g, std::uint64_t seed) {
  SmoothPlan plan;
  plan.inputs = d;
  plan.neurons = m0;
  plan.second_layer = m1;
  plan.activations = {g, Activation::tanh};
  plan.directions = SmoothPlan::Directions::orthogonal;
  return make_smooth_network(plan, Seed{seed});
}

/// All a_i, then all v_l, as unit rows. The biases are small: g'(theta_i) is about the same.
HostMatrix directions_of(const SmoothNetwork& truth) {
  const HostMatrix& a = truth.hidden[0].weights;
  HostMatrix directions = a;
  for (Index l = 0; l < truth.neurons(1); ++l) {
    std::vector<double> v(static_cast<std::size_t>(a.cols()));
    for (Index i = 0; i < a.rows(); ++i) {
      for (Index j = 0; j < a.cols(); ++j) {
        v[static_cast<std::size_t>(j)] += truth.hidden[1].weights(l, i) * a(i, j);
      }
    }
    directions.append_row(unit_vector(v).data(), a.cols());
  }
  return directions;
}

class AttributionTest : public EveryBackend {
 protected:
  std::vector<double> scores(Oracle& oracle, const HostMatrix& basis, const HostMatrix& directions,
                             const AttributionPlan& plan = {}) {
    Asker asker(device(), oracle, control_);
    asker.enter("lines");
    Random random(Seed{1});
    const std::vector<double> found = saturation_scores(asker, random, basis, directions, plan);
    queries_ = asker.charged();
    return found;
  }
  RunControl control_;
  Index queries_ = 0;
};
CREASE_ON_EVERY_BACKEND(AttributionTest);

// Along a_i a neuron goes from -1 to 1, and second neurons see b_li of it; the other way all stay
// beyond 12 - 6 |<w_j, w_k>|, 1 - tanh of which is 1e-5 for all of these.
TEST_P(AttributionTest, FirstNeuronsChangeAlongTheirDirectionAndEntangledOnesDoNot) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::erf}) {
    const SmoothNetwork truth = planted(8, 8, 3, g, 2);
    const auto oracle = make_network_oracle(truth);
    AttributionPlan plan;
    if (g == Activation::sigmoid) plan.saturating = 24;
    const std::vector<double> found = scores(*oracle, axes(8), directions_of(truth), plan);
    EXPECT_EQ(queries_, 11 * kScan);
    ASSERT_EQ(found.size(), 11U);
    for (std::size_t k = 0; k < 8; ++k) EXPECT_GT(found[k], 1e-3) << to_string(g) << " " << k;
    for (std::size_t k = 8; k < 11; ++k) EXPECT_LT(found[k], 3e-4) << to_string(g) << " " << k;
  }
}

// One neuron: F = tanh(a x) changes by tanh(6) - tanh(-6) along a, by nothing across.
TEST_P(AttributionTest, TheScoreIsTheRangeOfFOverTheScan) {
  SmoothNetwork truth(2, {1}, 1, {Activation::tanh});
  truth.hidden[0].weights(0, 0) = 1;
  truth.output(0, 0) = 3;
  const auto oracle = make_network_oracle(truth);
  const std::vector<double> found = scores(*oracle, axes(2), axes(2));
  EXPECT_NEAR(found[0], 6 * std::tanh(6.0), 1e-12);
  EXPECT_LT(found[1], 1e-8);  // 1 - tanh(12)
}

TEST_P(AttributionTest, DirectionsAreInCoordinatesOfTheBasis) {
  const SmoothNetwork inside = planted(5, 5, 2, Activation::tanh, 3);
  // The same network on the last five of seven inputs, in reversed order.
  SmoothNetwork truth(7, {5, 2}, 1, {Activation::tanh, Activation::tanh});
  truth.hidden[0].bias = inside.hidden[0].bias;
  truth.hidden[1] = inside.hidden[1];
  truth.output = inside.output;
  HostMatrix basis(5, 7);
  for (Index j = 0; j < 5; ++j) {
    basis(j, 6 - j) = 1;
    for (Index i = 0; i < 5; ++i) {
      truth.hidden[0].weights(i, 6 - j) = inside.hidden[0].weights(i, j);
    }
  }
  const auto wide = make_network_oracle(truth);
  const auto narrow = make_network_oracle(inside);
  const HostMatrix directions = directions_of(inside);
  const std::vector<double> found = scores(*wide, basis, directions);
  const std::vector<double> expected = scores(*narrow, axes(5), directions);
  for (std::size_t k = 0; k < found.size(); ++k) EXPECT_NEAR(found[k], expected[k], 1e-12);
}

TEST_P(AttributionTest, LittleMemoryMakesChunksAndNoDifference) {
  const SmoothNetwork truth = planted(6, 6, 2, Activation::tanh, 1);
  const HostMatrix directions = directions_of(truth);
  const auto network = make_network_oracle(truth);
  const std::vector<double> expected = scores(*network, axes(6), directions);
  Index largest = 0;
  const auto oracle = make_host_oracle(6, 1, [&](ConstHostView x, HostView y) {
    largest = std::max(largest, x.rows);
    const HostMatrix values = exact_values(truth, HostMatrix(x));
    for (Index i = 0; i < y.rows; ++i) y(i, 0) = values(i, 0);
  });
  control_.budget.device_bytes = 2 * kScan * 7 * 8;  // two directions
  const std::vector<double> found = scores(*oracle, axes(6), directions);
  EXPECT_LE(largest, 2 * kScan);
  for (std::size_t k = 0; k < found.size(); ++k) EXPECT_NEAR(found[k], expected[k], 1e-12);
}

TEST_P(AttributionTest, WhatCannotBeToldApartIsRefused) {
  const SmoothNetwork truth = planted(3, 3, 2, Activation::tanh, 1);
  const auto oracle = make_network_oracle(truth);
  const HostMatrix directions = directions_of(truth);
  EXPECT_THROW(scores(*oracle, axes(4), directions), BadInput);
  EXPECT_THROW(scores(*oracle, axes(3), HostMatrix(directions.view().row_block(0, 1))), BadInput);
  EXPECT_THROW(scores(*oracle, axes(3), axes(2)), BadInput);
  const auto line = make_network_oracle(planted_smooth(1, {2}, 1, {Activation::tanh}, 1));
  EXPECT_THROW(scores(*line, axes(1), HostMatrix(2, 1, 1.0)), BadInput);
  const auto outputs = make_network_oracle(planted_smooth(3, {2}, 2, {Activation::tanh}, 1));
  EXPECT_THROW(scores(*outputs, axes(3), directions), BadInput);
  for (const AttributionPlan& plan :
       {AttributionPlan{.probes = 0}, AttributionPlan{.tries = 4}, AttributionPlan{.reach = 0},
        AttributionPlan{.saturating = -1}, AttributionPlan{.points_of_scan = 1}}) {
    EXPECT_THROW(scores(*oracle, axes(3), directions, plan), BadInput);
  }
}

}  // namespace
}  // namespace crease
