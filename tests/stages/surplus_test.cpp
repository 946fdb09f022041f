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
    return surplus_moments(device(), examples, identity(kInputs), predict, rows);
  }
};
CREASE_ON_EVERY_BACKEND(SurplusTest);

// N = 42 moments: their chi square, standardised, is beyond 5 with chance 1e-4, below -4 never.
TEST_P(SurplusTest, NoiseAloneIsChance) {
  const RectifiedSum truth = planted_sum(2, 3, kInputs, 1);
  const double left = surplus(truth, truth);
  EXPECT_LT(left, 5);
  EXPECT_GT(left, -4);
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
  EXPECT_NEAR(surplus(truth, nothing) / expected, 1, 0.1);  // 2 / sqrt(n) of the moment, and more
  EXPECT_LT(surplus(truth, nothing, kRows / 4), 0.5 * expected);
}

}  // namespace
}  // namespace crease
