// Features, best outputs, residuals and signs of y = U f(V x).
#include "src/stages/rectified_sum.hpp"

#include <gtest/gtest.h>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

constexpr Index kRows = 400;

class RectifiedSumTest : public EveryBackend {
 protected:
  /// visit(examples) of y = F(x) at Gaussian points.
  template <class Visit>
  void with_examples(const RectifiedSum& truth, Visit visit) {
    const HostMatrix x = normals(kRows, truth.directions.cols(), 5);
    const auto source = make_matrix_samples(x, values_of(truth, x));
    Examples::Plan plan;
    plan.rows = kRows;
    Examples examples(device(), *source, plan);
    visit(examples);
  }
};
CREASE_ON_EVERY_BACKEND(RectifiedSumTest);

TEST_P(RectifiedSumTest, FeaturesAndSlopesMatchValuesWorkedByHand) {
  const DeviceMatrix x = upload(device(), HostMatrix{{1, 2}, {-3, 1}});
  const DeviceMatrix v = upload(device(), HostMatrix{{1, 0}, {0, -1}, {0.5, 0.5}});
  DeviceMatrix f(device(), 2, 3), slope(device(), 2, 3);
  rectified_features(device(), x, v, 2, f, slope);

  EXPECT_TRUE(same_bits(download(device(), f), {{1, 0, 2.25}, {0, 0, 0}}));
  EXPECT_TRUE(same_bits(download(device(), slope), {{2, 0, 3}, {0, 0, 0}}));
}

// U from normal equations: off by a few condition numbers of E f f^T, below 100 here, times eps.
TEST_P(RectifiedSumTest, TheBestOutputsForTheTrueDirectionsAreTheTrueOnes) {
  for (const double power : {1.0, 2.0, 0.5}) {
    RectifiedSum truth = planted_sum(3, 4, 6, 1, power);
    with_examples(truth, [&](Examples& examples) {
      RectifiedSum found = truth;
      found.outputs = best_outputs(feature_means(device(), examples, truth.directions, power));
      EXPECT_LT(parameter_error(truth, found), 1e-12);
      EXPECT_LT(relative_residual(device(), examples, found), 1e-13);
      found.outputs = HostMatrix(3, 4);
      EXPECT_NEAR(relative_residual(device(), examples, found), 1, 1e-15);
    });
  }
}

TEST_P(RectifiedSumTest, ADirectionThatStandsTwiceSharesItsOutputs) {
  const RectifiedSum truth = planted_sum(2, 2, 4, 3);
  HostMatrix twice = truth.directions;
  twice.append_row(truth.directions.row(0), 4);
  with_examples(truth, [&](Examples& examples) {
    const RectifiedSum found{twice, best_outputs(feature_means(device(), examples, twice, 1)), 1};
    EXPECT_LT(relative_residual(device(), examples, found), 1e-7);
  });
}

TEST_P(RectifiedSumTest, SignsAreFoundFromAnyStart) {
  const RectifiedSum truth = planted_sum(3, 4, 6, 7);
  HostMatrix start = turned_by(truth, 0.2, 9).directions;
  for (Index j = 0; j < 6; ++j) {
    start(1, j) = -start(1, j);
    start(3, j) = -start(3, j);
  }
  with_examples(truth, [&](Examples& examples) {
    const FixedSigns fixed = fix_signs(device(), examples, start, 1);
    EXPECT_TRUE(fixed.changed);
    for (Index i = 0; i < 4; ++i) {
      EXPECT_GT(dot(fixed.directions.row(i), truth.directions.row(i), 6), 0.9);
    }
    EXPECT_FALSE(fix_signs(device(), examples, fixed.directions, 1).changed);
  });
}

}  // namespace
}  // namespace crease
