// Levenberg-Marquardt for smooth networks: back to the planted network, and what moves.
#include "src/stages/smooth_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class SmoothFitTest : public EveryBackend {
 protected:
  /// Where every free number of `network` is moved by normals times `by`.
  static SmoothNetwork nearby(SmoothNetwork network, double by) {
    std::uint64_t seed = 900;
    const auto shake = [&](HostMatrix& part) {
      const HostMatrix errors = normals(part.rows(), part.cols(), ++seed);
      for (Index i = 0; i < part.size(); ++i) part.data()[i] += by * errors.data()[i];
    };
    for (SmoothNetwork::Layer& layer : network.hidden) {
      shake(layer.weights);
      shake(layer.bias);
    }
    shake(network.output);
    shake(network.constant);
    return network;
  }
  SmoothFit fitted(const SmoothNetwork& truth, const SmoothNetwork& start, Index n,
                   const SmoothFitPlan& plan = {}) {
    const HostMatrix x = normals(n, truth.inputs(), 5);
    const DeviceMatrix points = upload(device(), x);
    const DeviceMatrix values = upload(device(), exact_values(truth, x));
    return fit_smooth(device(), points, values, start, plan);
  }
};
CREASE_ON_EVERY_BACKEND(SmoothFitTest);

TEST_P(SmoothFitTest, OneHiddenLayerOfEveryActivationComesBackToRounding) {
  for (const Activation g : kActivations) {
    SmoothNetwork truth = planted_smooth(4, {3}, 1, {g}, 1);
    SmoothFitPlan plan;
    plan.linear = true;
    const SmoothFit fit = fitted(truth, nearby(truth, 0.03), 400, plan);
    EXPECT_LT(fit.rms, 1e-13) << to_string(g);
    EXPECT_LT(distance(fit.network.hidden[0].weights, truth.hidden[0].weights), 1e-9)
        << to_string(g);
    EXPECT_LT(distance(fit.network.linear, truth.linear), 1e-9) << to_string(g);
  }
}

TEST_P(SmoothFitTest, TwoHiddenLayersComeBackToRounding) {
  const SmoothNetwork truth =
      planted_smooth(5, {4, 3}, 1, {Activation::tanh, Activation::sigmoid}, 1);
  SmoothFitPlan plan;
  plan.most_steps = 300;
  plan.little = 1e-6;  // a sigmoid of tanhs is a narrow valley
  const SmoothFit fit = fitted(truth, nearby(truth, 0.03), 600, plan);
  EXPECT_LT(fit.rms, 1e-13);
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_LT(distance(fit.network.hidden[l].weights, truth.hidden[l].weights), 1e-9);
    EXPECT_LT(distance(fit.network.hidden[l].bias, truth.hidden[l].bias), 1e-9);
  }
}

// What is not free keeps its bits; the rest is fitted around it.
TEST_P(SmoothFitTest, OnlyWhatIsFreeMoves) {
  const SmoothNetwork truth = planted_smooth(3, {2, 2}, 1, {Activation::tanh, Activation::sin}, 1);
  const SmoothNetwork start = nearby(truth, 0.05);
  SmoothFitPlan none;
  none.weights = none.biases = none.output = none.constant = false;
  EXPECT_EQ(free_numbers(start, none), 0);
  EXPECT_EQ(fitted(truth, start, 100, none).steps, 0);
  SmoothFitPlan plan = none;
  plan.biases = true;
  EXPECT_EQ(free_numbers(start, plan), 4);
  const SmoothFit fit = fitted(truth, start, 100, plan);
  EXPECT_GT(fit.steps, 0);
  EXPECT_LT(fit.rms, fitted(truth, start, 100, none).rms);
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_TRUE(same_bits(fit.network.hidden[l].weights, start.hidden[l].weights));
    EXPECT_GT(distance(fit.network.hidden[l].bias, start.hidden[l].bias), 0);
  }
  EXPECT_TRUE(same_bits(fit.network.output, start.output));
  EXPECT_TRUE(same_bits(fit.network.linear, start.linear));
  EXPECT_EQ(free_numbers(start, SmoothFitPlan{}), 3 * 2 + 2 + 2 * 2 + 2 + 2 + 1);
}

TEST_P(SmoothFitTest, TheFirstLayersWeightsMayStayAlone) {
  const SmoothNetwork truth = planted_smooth(3, {2, 2}, 1, {Activation::tanh, Activation::sin}, 1);
  SmoothNetwork start = nearby(truth, 0.05);
  start.hidden[0].weights = truth.hidden[0].weights;
  SmoothFitPlan plan;
  plan.first_weights = false;
  EXPECT_EQ(free_numbers(start, plan), 2 + 2 * 2 + 2 + 2 + 1);
  const SmoothFit fit = fitted(truth, start, 200, plan);
  EXPECT_TRUE(same_bits(fit.network.hidden[0].weights, start.hidden[0].weights));
  EXPECT_LT(fit.rms, 1e-13);
  // One layer has no second one: its weights are those of all.
  EXPECT_EQ(free_numbers(planted_smooth(3, {2}, 1, {Activation::tanh}, 1), plan),
            3 * 2 + 2 + 2 + 1);
}

TEST_P(SmoothFitTest, AStopEndsItWithTheBestSoFar) {
  const SmoothNetwork truth = planted_smooth(3, {2}, 1, {Activation::tanh}, 1);
  const SmoothNetwork start = nearby(truth, 0.05);
  int asked = 0;
  SmoothFitPlan plan;
  plan.stop = [&] { return ++asked > 1; };
  const SmoothFit fit = fitted(truth, start, 100, plan);
  EXPECT_TRUE(fit.stopped);
  EXPECT_EQ(fit.steps, 1);
}

// Chunks of one row: a step of 100 of them is not waited for.
TEST_P(SmoothFitTest, AStopIsAskedForWithinAStep) {
  const SmoothNetwork truth = planted_smooth(3, {2}, 1, {Activation::tanh}, 1);
  const SmoothNetwork start = nearby(truth, 0.05);
  int asked = 0;
  SmoothFitPlan plan;
  plan.most_bytes = 1;
  plan.stop = [&] { return ++asked > 50; };
  const SmoothFit fit = fitted(truth, start, 100, plan);
  EXPECT_TRUE(fit.stopped);
  EXPECT_EQ(fit.steps, 0);
  EXPECT_TRUE(same_bits(fit.network.output, start.output));
}

// 1e-9 squared is below rounding: a few steps get there, and gains of a tenth are not waited for.
TEST_P(SmoothFitTest, AFitEndsAtRounding) {
  const SmoothNetwork truth =
      planted_smooth(6, {5, 3}, 1, {Activation::sigmoid, Activation::tanh}, 1);
  SmoothFitPlan plan;
  plan.damping = 1e-9;
  plan.exact = 1e-16;
  const SmoothFit fit = fitted(truth, nearby(truth, 1e-9), 400, plan);
  EXPECT_LT(fit.rms, 3e-15);
  EXPECT_LE(fit.steps, 7);
}

// By central differences: rounding is 1e-16 / 1e-5, truncation 1e-10.
TEST_P(SmoothFitTest, TheJacobianIsTheDerivative) {
  const SmoothNetwork network =
      planted_smooth(4, {3, 2}, 1, {Activation::gelu, Activation::sigmoid}, 3);
  const HostMatrix x = normals(5, 4, 2);
  SmoothFitPlan plan;
  plan.weights = false;
  const Index q = free_numbers(network, plan);
  ASSERT_EQ(q, 3 + 2 + 2 + 1);
  DeviceMatrix rows(device(), 5, q);
  smooth_jacobian(device(), network, plan, upload(device(), x), rows);
  EXPECT_THROW(smooth_jacobian(device(), network, {}, upload(device(), x), rows), BadInput);
  const HostMatrix got = download(device(), rows);
  constexpr double kStep = 1e-5;
  for (Index j = 0; j < q; ++j) {
    SmoothNetwork ends[] = {network, network};
    for (int side : {0, 1}) {
      SmoothNetwork& end = ends[side];
      double& number = j < 3   ? end.hidden[0].bias(j, 0)
                       : j < 5 ? end.hidden[1].bias(j - 3, 0)
                       : j < 7 ? end.output(0, j - 5)
                               : end.constant(0, 0);
      number += side == 0 ? -kStep : kStep;
    }
    const HostMatrix low = exact_values(ends[0], x), high = exact_values(ends[1], x);
    for (Index i = 0; i < 5; ++i) {
      EXPECT_NEAR(got(i, j), (high(i, 0) - low(i, 0)) / (2 * kStep), 1e-9);
    }
  }
  DeviceMatrix narrow(device(), 5, q - 1);
  EXPECT_THROW(smooth_jacobian(device(), network, plan, upload(device(), x), narrow), BadInput);
}

TEST_P(SmoothFitTest, WhatDoesNotFitIsRefused) {
  const SmoothNetwork one = planted_smooth(3, {2}, 1, {Activation::tanh}, 1);
  const SmoothNetwork two_outputs = planted_smooth(3, {2}, 2, {Activation::tanh}, 1);
  DeviceMatrix x(device(), 4, 3), y(device(), 4, 1), wide(device(), 4, 2);
  EXPECT_THROW(fit_smooth(device(), x, wide, one), BadInput);
  EXPECT_THROW(fit_smooth(device(), wide, y, one), BadInput);
  EXPECT_THROW(fit_smooth(device(), x, wide, two_outputs), BadInput);
}

}  // namespace
}  // namespace crease
