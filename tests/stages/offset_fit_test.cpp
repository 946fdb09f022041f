// Offsets fitted alone: back at the noise, normals untouched.
#include "src/stages/offset_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class OffsetFitTest : public EveryBackend {
 protected:
  void plant(Index d, Index k, Index p, Index n, double sigma) {
    const ReluNetwork truth = planted_network(d, k, p, 3);
    planes_ = hyperplanes_of(truth);
    const HostMatrix x = normals(n, d, 103);
    HostMatrix y = exact_values(truth, x);
    const HostMatrix noise = normals(n, p, 77);
    for (Index i = 0; i < y.size(); ++i) y.data()[i] += sigma * noise.data()[i];
    x_ = upload(device(), x);
    y_ = upload(device(), y);
  }

  /// The true hyperplanes, each moved along its normal by `away` times a normal number.
  Hyperplanes shifted(double away) const {
    Hyperplanes start = planes_;
    const HostMatrix by = normals(planes_.neurons(), 1, 9);
    for (Index i = 0; i < planes_.neurons(); ++i)
      start.planes(i, planes_.inputs()) += away * by(i, 0);
    return start;
  }

  Hyperplanes planes_;
  DeviceMatrix x_, y_;
};

CREASE_ON_EVERY_BACKEND(OffsetFitTest);

TEST_P(OffsetFitTest, OffsetsComeBackToTheNoiseAndNormalsStayAsTheyWere) {
  const double sigma = 1e-6;
  for (const Index p : {1, 3}) {
    plant(10, 16, p, 600, sigma);
    const Hyperplanes start = shifted(0.3);

    OffsetFitPlan plan;
    plan.rows = 20;  // all
    const OffsetFit fit = fit_offsets(device(), {x_, y_}, start, plan);

    // Offsets, scales and a linear part are fitted: variance sigma^2 (1 - P / N), relative standard
    // deviation of its root 1 / sqrt(2 (N - P)); 5 of those.
    const auto equations = static_cast<double>(y_.size());
    const auto unknowns = static_cast<double>(16 + p * (16 + 11));
    EXPECT_GE(fit.first_rms, 1e3 * sigma);
    EXPECT_TRUE(at_most(fit.rms, sigma * std::sqrt(1 - unknowns / equations) *
                                     (1 + 5 / std::sqrt(2 * (equations - unknowns)))));
    for (Index i = 0; i < 16; ++i) {
      for (Index j = 0; j < 10; ++j) EXPECT_EQ(fit.network.planes(i, j), start.planes(i, j));
    }
  }
}

TEST_P(OffsetFitTest, ANeuronThatIsNotThereDoesNoHarm) {
  plant(10, 16, 1, 600, 1e-6);
  Hyperplanes start = shifted(0.1);
  const HostMatrix random = normals(1, 10, 31);
  start.add({random.row(0), random.row(0) + 10}, 0.2);

  const OffsetFit fit = fit_offsets(device(), {x_, y_}, start, {});

  const Index used = 8 * (2 * 17 + 11);
  const auto equations = static_cast<double>(used);
  const double unknowns = 2 * 17 + 11;
  EXPECT_TRUE(at_most(fit.rms, 1e-6 * std::sqrt(1 - unknowns / equations) *
                                   (1 + 5 / std::sqrt(2 * (equations - unknowns)))));
}

TEST_P(OffsetFitTest, ItEndsWhereItIsToldToAndKeepsWhatItHas) {
  plant(6, 8, 1, 300, 1e-6);
  OffsetFitPlan plan;
  plan.stop = [] { return true; };
  const Hyperplanes start = shifted(0.3);

  const OffsetFit fit = fit_offsets(device(), {x_, y_}, start, plan);

  EXPECT_EQ(fit.steps, 0);
  EXPECT_EQ(fit.rms, fit.first_rms);
  EXPECT_TRUE(same_bits(fit.network.planes, start.planes));
}

TEST_P(OffsetFitTest, NoNeuronsLeaveAnAffineFunction) {
  plant(4, 3, 2, 100, 0);
  const OffsetFit fit = fit_offsets(device(), {x_, y_}, Hyperplanes(4, 2), {});
  EXPECT_EQ(fit.network.neurons(), 0);
  EXPECT_EQ(fit.steps, 0);
}

TEST_P(OffsetFitTest, WeightsAndOtherShapesAreRefused) {
  plant(4, 3, 1, 100, 0);
  const DeviceMatrix weights(device(), 100, 1);
  EXPECT_THROW(fit_offsets(device(), {x_, y_, weights}, planes_, {}), BadInput);
  EXPECT_THROW(fit_offsets(device(), {x_, y_}, Hyperplanes(5, 1), {}), BadInput);
}

}  // namespace
}  // namespace crease
