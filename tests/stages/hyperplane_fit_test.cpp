#include "src/stages/hyperplane_fit.hpp"

#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr Index kBytes = Index{1} << 26;

/// A planted network, noisy answers at Gaussian points, and hyperplanes that are turned.
class HyperplaneFitTest : public EveryBackend {
 protected:
  void plant(Index d, Index k, Index p, Index n, double sigma, std::uint64_t seed = 3) {
    truth_ = planted_network(d, k, p, seed);
    planes_ = hyperplanes_of(truth_);
    sigma_ = sigma;
    host_x_ = normals(n, d, seed + 100);
    answer();
  }

  void answer() {
    host_y_ = exact_values(truth_, host_x_);
    const HostMatrix noise = normals(host_y_.rows(), host_y_.cols(), 77);
    for (Index i = 0; i < host_y_.size(); ++i) host_y_.data()[i] += sigma_ * noise.data()[i];
    x_ = upload(device(), host_x_);
    y_ = upload(device(), host_y_);
  }

  FitRows rows() { return {x_, y_}; }

  /// Normals turned by `turn` (tan of the angle), offsets moved by as much times normals.
  Hyperplanes turned(double turn, std::uint64_t seed = 9) {
    Hyperplanes start(planes_.inputs(), planes_.outputs());
    const HostMatrix away = normals(planes_.neurons(), planes_.inputs() + 1, seed);
    for (Index i = 0; i < planes_.neurons(); ++i) {
      double length = 0;
      for (Index j = 0; j < planes_.inputs(); ++j) length += away(i, j) * away(i, j);
      length = std::sqrt(length);
      std::vector<double> normal;
      for (Index j = 0; j < planes_.inputs(); ++j) {
        normal.push_back(planes_.planes(i, j) + turn * away(i, j) / length);
      }
      start.add(normal, planes_.planes(i, planes_.inputs()) + turn * away(i, planes_.inputs()));
    }
    return start;
  }

  HyperplaneFitPlan plan(Index dense) const {
    HyperplaneFitPlan plan;
    plan.noise = sigma_;
    plan.dense_unknowns = dense;
    return plan;
  }

  /// Parameters: hyperplanes have d numbers, scales p, the linear part p (d + 1).
  Index parameters() const {
    return planes_.neurons() * (planes_.inputs() + planes_.outputs()) +
           planes_.outputs() * (planes_.inputs() + 1);
  }

  /// Least squares leave a residual of variance sigma^2 (1 - P / N), relative standard deviation of
  /// its root 1 / sqrt(2 (N - P)); 5 of those. Fresh points show sigma^2 (1 + P / (N - P - 1)), where
  /// both the points and the P parameters' errors vary.
  void expect_at_floor(const HyperplaneFit& fit) {
    const auto equations = static_cast<double>(host_y_.size());
    const auto unknowns = static_cast<double>(parameters());
    const double left = std::sqrt(1 - unknowns / equations);
    EXPECT_TRUE(at_most(fit.rms,
                        sigma_ * left * (1 + 5 / std::sqrt(2 * (equations - unknowns)))));
    const HostMatrix fresh = normals(400, host_x_.cols(), 555);
    HostMatrix values = exact_values(truth_, fresh);
    const HostMatrix noise = normals(values.rows(), values.cols(), 556);
    for (Index i = 0; i < values.size(); ++i) values.data()[i] += sigma_ * noise.data()[i];
    const DeviceMatrix x = upload(device(), fresh);
    const DeviceMatrix y = upload(device(), values);
    const double floor = sigma_ * std::sqrt(1 + unknowns / (equations - unknowns - 1));
    const double spread =
        5 * std::sqrt(1 / (2.0 * static_cast<double>(values.size())) + 1 / (2 * unknowns));
    EXPECT_TRUE(at_most(residual_rms(device(), {x, y}, fit.network), floor * (1 + spread)));
  }

  ReluNetwork truth_;
  Hyperplanes planes_;
  double sigma_ = 0;
  HostMatrix host_x_, host_y_;
  DeviceMatrix x_, y_;
};

CREASE_ON_EVERY_BACKEND(HyperplaneFitTest);

TEST_P(HyperplaneFitTest, HyperplanesTurnedByATenthComeBackToTheNoise) {
  plant(6, 8, 1, 4 * 63, 1e-6);
  for (const Index dense : {Index{0}, Index{300}}) {
    const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.1), plan(dense));

    EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
    EXPECT_EQ(fit.cg_iterations == 0, dense > 0);
    expect_at_floor(fit);
  }
}

TEST_P(HyperplaneFitTest, HyperplanesTurnedByThreeTenthsComeBackToTheNoise) {
  plant(10, 16, 1, 4 * 187, 1e-6);
  for (const Index dense : {Index{0}, Index{300}}) {
    expect_at_floor(fit_hyperplanes(device(), rows(), turned(.3), plan(dense)));
  }
}

TEST_P(HyperplaneFitTest, SeveralOutputsShareTheirHyperplanes) {
  plant(8, 12, 3, 200, 1e-6);
  for (const Index dense : {Index{0}, Index{300}}) {
    const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.2), plan(dense));

    EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
    expect_at_floor(fit);
  }
}

}  // namespace
}  // namespace crease
