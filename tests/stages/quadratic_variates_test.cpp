// Quadratics taken out of labels.
#include "src/stages/quadratic_variates.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class QuadraticVariatesTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(QuadraticVariatesTest);

// l = z^T A z - tr A has the moment 2 A; every step leaves what the sample's fourth moments are off
// by, d^2 / sqrt(n) or so of what was there.
TEST_P(QuadraticVariatesTest, TheMomentOfAQuadraticIsFoundAndNothingIsLeft) {
  constexpr Index kRows = 40000;
  constexpr Index kInputs = 3;
  const HostMatrix x = normals(kRows, kInputs, 1);
  const HostMatrix half = normals(kInputs, kInputs, 2);
  HostMatrix y(kRows, 1);
  for (Index n = 0; n < kRows; ++n) {
    for (Index i = 0; i < kInputs; ++i) {
      for (Index j = 0; j < kInputs; ++j) y(n, 0) += x(n, i) * half(i, j) * x(n, j);
      y(n, 0) -= half(i, i);
    }
  }
  const auto source = make_matrix_samples(x, y);
  Examples::Plan plan;
  plan.rows = kRows;
  Examples examples(device(), *source, plan);
  SampleView view;
  view.label = [this](ConstDeviceView, ConstDeviceView answers, DeviceView out) {
    copy(device(), answers, out);
  };
  QuadraticVariates variates(device(), view, kInputs);
  const auto left = [&] {
    const LabelMoments moments = label_moments(device(), examples, variates.view());
    const HostMatrix second = moments.hermite(0);
    return std::sqrt(dot(second.data(), second.data(), second.size()));
  };
  const double rate = kInputs * kInputs / std::sqrt(static_cast<double>(kRows));  // 0.045
  double before = left();
  for (int step = 0; step < 3; ++step) {
    variates.improve(examples);
    const double after = left();
    EXPECT_LT(after, 3 * rate * before);
    before = after;
  }
  for (Index i = 0; i < kInputs; ++i) {
    for (Index j = 0; j < kInputs; ++j) {
      EXPECT_NEAR(variates.moment(0)(i, j), half(i, j) + half(j, i), before + 1e-12);
    }
  }
}

}  // namespace
}  // namespace crease
