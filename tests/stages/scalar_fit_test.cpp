// Shifts and scales of planted networks whose directions are given.
#include "src/stages/scalar_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/activations.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

struct Planted {
  SmoothNetwork network;
  TwoLayerDirections directions;
};

/// First directions of unit length, small shifts, outputs 1; directions v_l exact, of either sign.
Planted planted(Index d, Index m0, Index m1, Activation g, Activation h, double shifts,
                std::uint64_t seed) {
  Planted result{planted_smooth(d, {m0, m1}, 1, {g, h}, seed),
                 {HostMatrix(0, d), HostMatrix(0, d)}};
  SmoothNetwork& network = result.network;
  SmoothNetwork::Layer& first = network.hidden[0];
  for (Index i = 0; i < m0; ++i) {
    const std::vector<double> unit = unit_vector({first.weights.row(i), first.weights.row(i) + d});
    std::copy(unit.begin(), unit.end(), first.weights.row(i));
    first.bias(i, 0) = shifts * std::cos(static_cast<double>(i) + 1);
  }
  for (Index l = 0; l < m1; ++l) {
    network.hidden[1].bias(l, 0) = shifts * std::sin(static_cast<double>(l) + 1);
    network.output(0, l) = 1;
    std::vector<double> v(static_cast<std::size_t>(d));
    for (Index i = 0; i < m0; ++i) {
      const double slope = activation_at(g, 1, first.bias(i, 0));
      for (Index j = 0; j < d; ++j) {
        v[static_cast<std::size_t>(j)] +=
            network.hidden[1].weights(l, i) * slope * first.weights(i, j);
      }
    }
    v = unit_vector(v);
    for (double& value : v) value *= l % 2 == 0 ? 1 : -1;
    result.directions.entangled.append_row(v.data(), d);
  }
  result.directions.first = first.weights;
  return result;
}

class ScalarFitTest : public EveryBackend {
 protected:
  ScalarFit fitted(const Planted& truth, Index n, const ScalarFitPlan& plan = {}) {
    const HostMatrix x = normals(n, truth.network.inputs(), 5);
    Random random(Seed{3});
    return fit_scalars(device(), random, x, exact_values(truth.network, x), truth.directions,
                       truth.network.hidden[0].activation, truth.network.hidden[1].activation,
                       plan);
  }
};
CREASE_ON_EVERY_BACKEND(ScalarFitTest);

// With exact directions the planted network is within reach, whatever the directions' signs.
TEST_P(ScalarFitTest, ExactDirectionsGiveTheNetworkBack) {
  for (const auto& [g, h] : {std::pair(Activation::tanh, Activation::tanh),
                             {Activation::sigmoid, Activation::tanh},
                             {Activation::erf, Activation::sin},
                             {Activation::softplus, Activation::sigmoid},
                             {Activation::tanh, Activation::softplus}}) {
    const Planted truth = planted(6, 5, 2, g, h, 0.2, 4);
    ScalarFitPlan plan;
    plan.exact = 1e-13;
    plan.most_steps = 200;
    plan.starts = 8;
    const ScalarFit fit = fitted(truth, 300, plan);
    EXPECT_LT(fit.rms, 1e-11) << to_string(g) << " " << to_string(h);
    const HostMatrix x = normals(50, 6, 77);
    EXPECT_LT(distance(exact_values(fit.network, x), exact_values(truth.network, x)), 1e-9);
    EXPECT_TRUE(same_bits(fit.network.hidden[0].weights, truth.directions.first));
  }
}

TEST_P(ScalarFitTest, TheRmsIsThatOfTheNetwork) {
  Planted truth = planted(5, 4, 2, Activation::tanh, Activation::tanh, 0.3, 1);
  truth.directions.entangled = normals(2, 5, 9);  // wrong ones: something is left
  const ScalarFit fit = fitted(truth, 200);
  const HostMatrix x = normals(200, 5, 5);
  HostMatrix left = exact_values(fit.network, x);
  const HostMatrix y = exact_values(truth.network, x);
  for (Index i = 0; i < left.size(); ++i) left.data()[i] -= y.data()[i];
  const double rms = std::sqrt(dot(left.data(), left.data(), left.size()) / 200);
  EXPECT_GT(rms, 1e-3);
  EXPECT_NEAR(fit.rms, rms, 1e-12);
}

TEST_P(ScalarFitTest, NothingLeavesItsBounds) {
  const Planted truth = planted(5, 4, 2, Activation::tanh, Activation::tanh, 2.5, 1);
  ScalarFitPlan plan;
  plan.most_shift = 0.4;
  plan.most_scale = 0.7;
  const ScalarFit fit = fitted(truth, 200, plan);
  double largest = 0;
  for (const SmoothNetwork::Layer& layer : fit.network.hidden) {
    for (Index i = 0; i < layer.bias.rows(); ++i) {
      EXPECT_LE(std::fabs(layer.bias(i, 0)), 0.4);
      largest = std::max(largest, std::fabs(layer.bias(i, 0)));
    }
  }
  EXPECT_EQ(largest, 0.4);  // where they want to go
  EXPECT_GT(fit.rms, 1e-3);
}

TEST_P(ScalarFitTest, AStopEndsItWithANetwork) {
  const Planted truth = planted(5, 4, 2, Activation::tanh, Activation::tanh, 0.3, 1);
  ScalarFitPlan plan;
  plan.stop = [] { return true; };
  const ScalarFit fit = fitted(truth, 100, plan);
  EXPECT_EQ(fit.network.layers(), 2);
  EXPECT_GT(fit.rms, 1e-3);
}

TEST_P(ScalarFitTest, WhatDoesNotFitIsRefused) {
  const Planted truth = planted(4, 3, 2, Activation::tanh, Activation::tanh, 0.3, 1);
  Random random(Seed{1});
  const auto fit = [&](const HostMatrix& x, const HostMatrix& y,
                       const TwoLayerDirections& directions, const ScalarFitPlan& plan) {
    fit_scalars(device(), random, x, y, directions, Activation::tanh, Activation::tanh, plan);
  };
  const HostMatrix x = normals(20, 4, 1), y = normals(20, 1, 2);
  EXPECT_THROW(fit(normals(20, 3, 1), y, truth.directions, {}), BadInput);
  EXPECT_THROW(fit(x, normals(19, 1, 2), truth.directions, {}), BadInput);
  EXPECT_THROW(fit(x, y, {truth.directions.first, HostMatrix(0, 4)}, {}), BadInput);
  EXPECT_THROW(fit(x, y, {HostMatrix(0, 4), truth.directions.entangled}, {}), BadInput);
  ScalarFitPlan no_start, no_room, no_output;
  no_start.starts = 0;
  no_room.most_shift = 0;
  no_output.output = -1;
  for (const ScalarFitPlan& plan : {no_start, no_room, no_output}) {
    EXPECT_THROW(fit(x, y, truth.directions, plan), BadInput);
  }
}

}  // namespace
}  // namespace crease
