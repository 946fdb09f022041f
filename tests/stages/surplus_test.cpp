// What a residual's second moments say: about nothing where it is noise, much where it is not.
#include "src/stages/surplus.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

constexpr Index kRows = 20000;
constexpr Index kInputs = 6;
constexpr double kNoise = 0.1;

class SurplusTest : public EveryBackend {
 protected:
  /// Of y = truth + noise, less `found`.
  double surplus(const RectifiedSum& truth, const RectifiedSum& found, Index rows = 0) {
    const HostMatrix x = normals(kRows, kInputs, 5);
    HostMatrix y = values_of(truth, x);
    const HostMatrix errors = normals(kRows, y.cols(), 6);
    for (Index i = 0; i < y.size(); ++i) y.data()[i] += kNoise * errors.data()[i];
    const auto source = make_matrix_samples(x, y);
    Examples::Plan plan;
    plan.rows = kRows;
    Examples examples(device(), *source, plan);
    const DeviceMatrix v = upload(device(), found.directions);
    const DeviceMatrix u = upload(device(), found.outputs);
    const auto predict = [&](ConstDeviceView at, DeviceView out) {
      DeviceMatrix f(device(), at.rows, found.neurons());
      rectified_features(device(), at, v, 1, f);
      multiply(device(), f, Transpose::no, u, Transpose::yes, 1.0, 0.0, out);
    };
    Random random(Seed{1});
    return residual_surplus(device(), examples, identity(kInputs), predict, random, rows);
  }
};
CREASE_ON_EVERY_BACKEND(SurplusTest);

// 42 moments and 128 hinges: a chi square, standardised, is beyond 5 with chance 1e-4, and the
// larger of two below -3 never.
TEST_P(SurplusTest, NoiseAloneIsChance) {
  const RectifiedSum truth = planted_sum(2, 3, kInputs, 1);
  const double left = surplus(truth, truth);
  EXPECT_LT(left, 5);
  EXPECT_GT(left, -3);
}

// A neuron of output u that is lacking: E r (z z^T - I) = u phi(0) v v^T over the deviation of r.
TEST_P(SurplusTest, ANeuronThatIsLackingStandsOutAsTheorySays) {
  const RectifiedSum truth = planted_sum(1, 1, kInputs, 1);
  RectifiedSum nothing = truth;
  nothing.outputs(0, 0) = 0;
  const double u = truth.outputs(0, 0);
  const double variance = u * u * (0.5 - 1 / (2 * M_PI)) + kNoise * kNoise;
  const double moment = u / std::sqrt(2 * M_PI);  // of v v^T; its squares add up to half of it
  const double count = kInputs * (kInputs + 1) / 2;
  const double expected = kRows * 0.5 * moment * moment / variance / count * std::sqrt(count / 2);
  EXPECT_GT(surplus(truth, nothing), 0.9 * expected);  // hinges may say more still
  EXPECT_LT(surplus(truth, nothing, kRows / 4), 0.5 * expected);
}

TEST_P(SurplusTest, WhatHasNoSecondMomentShowsInHinges) {
  constexpr Index kDimensions = 3;
  const HostMatrix x = normals(kRows, kDimensions, 5);
  HostMatrix y(kRows, 1);
  // |x_0| less its second Hermite expansion: no second moment is left.
  const double mean = std::sqrt(2 / M_PI);
  for (Index i = 0; i < kRows; ++i) {
    y(i, 0) = std::fabs(x(i, 0)) - mean - 0.5 * mean * (x(i, 0) * x(i, 0) - 1);
  }
  const auto source = make_matrix_samples(x, y);
  Examples::Plan plan;
  plan.rows = kRows;
  Examples examples(device(), *source, plan);
  const auto zero = [&](ConstDeviceView, DeviceView out) { fill(device(), 0.0, out); };
  Random random(Seed{1});
  // 64 hinges in three dimensions, half a radian apart, explain a good part of a function that has
  // no error at all: n / sqrt(128) times that part.
  EXPECT_GT(residual_surplus(device(), examples, identity(kDimensions), zero, random),
            0.1 * kRows / std::sqrt(128));
}

}  // namespace
}  // namespace crease
