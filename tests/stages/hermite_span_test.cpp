// The span of planted neurons, from moments: also where the second and the fourth one vanish.
#include "src/stages/hermite_span.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

/// Neurons at multiples of pi / k in a plane, with alternating signs: sum_i lambda_i u_i^(x)l is 0
/// for even l < k.
RectifiedSum blind(Index k, Index d, std::uint64_t seed) {
  RectifiedSum plane = planted_sum(1, 2, d, seed);
  double along = dot(plane.directions.row(0), plane.directions.row(1), d);
  for (Index j = 0; j < d; ++j) plane.directions(1, j) -= along * plane.directions(0, j);
  const double length = std::sqrt(1 - along * along);
  RectifiedSum sum{HostMatrix(k, d), HostMatrix(1, k), 1};
  for (Index i = 0; i < k; ++i) {
    const double angle = std::numbers::pi * static_cast<double>(i) / static_cast<double>(k);
    for (Index j = 0; j < d; ++j) {
      sum.directions(i, j) = std::cos(angle) * plane.directions(0, j) +
                             std::sin(angle) * plane.directions(1, j) / length;
    }
    sum.outputs(0, i) = i % 2 == 0 ? 1 : -1;
  }
  return sum;
}

class HermiteSpanTest : public EveryBackend {
 protected:
  /// The least share of a neuron's direction that lies in the leading m ones.
  double capture(const RectifiedSum& truth, Index rows, Index m, const HermiteSpanPlan& plan = {}) {
    const Index d = truth.directions.cols();
    const HostMatrix x = normals(rows, d, 5);
    const auto source = make_matrix_samples(x, values_of(truth, x));
    Examples::Plan examples_plan;
    examples_plan.rows = rows;
    Examples examples(device(), *source, examples_plan);
    SampleView view;
    view.label = [this](ConstDeviceView, ConstDeviceView y, DeviceView out) {
      copy(device(), y, out);
    };
    Random random(Seed{1});
    span_ = hermite_span(device(), examples, view, d, m, {}, random, plan);
    double least = 1;
    for (Index i = 0; i < truth.neurons(); ++i) {
      double square = 0;
      for (Index a = 0; a < span_.basis.rows(); ++a) {
        square += std::pow(dot(truth.directions.row(i), span_.basis.row(a), d), 2);
      }
      least = std::min(least, std::sqrt(square));
    }
    return least;
  }

  HermiteSpan span_;
};
CREASE_ON_EVERY_BACKEND(HermiteSpanTest);

TEST_P(HermiteSpanTest, HoldsPlantedNeuronsAndKnowsHowManyStandOut) {
  EXPECT_GT(capture(planted_sum(1, 3, 12, 3), 20000, 5), 0.95);
  EXPECT_GE(span_.significant, 3);
  for (Index a = 0; a < 5; ++a) {
    for (Index b = 0; b <= a; ++b) {
      EXPECT_NEAR(dot(span_.basis.row(a), span_.basis.row(b), 12), a == b ? 1 : 0, 1e-13);
    }
  }
}

// Measured with the prototype, d = 20, n = 1000: .96 with the absolute value, .36 without it.
TEST_P(HermiteSpanTest, SeesNeuronsWhoseSecondAndFourthMomentsVanish) {
  EXPECT_GT(capture(blind(6, 20, 2), 4000, 2), 0.9);
}

TEST_P(HermiteSpanTest, ContractedFourthMomentsSeeWhatSecondOnesDoNot) {
  HermiteSpanPlan without;
  without.contractions = 0;
  const RectifiedSum truth = blind(4, 8, 2);
  EXPECT_GT(capture(truth, 100000, 2), 0.95);
  EXPECT_GT(capture(truth, 100000, 2, without), 0.9);  // the absolute value does, too
}

TEST_P(HermiteSpanTest, AsManyDirectionsAsInputsAreAllOfThem) {
  EXPECT_EQ(capture(planted_sum(1, 2, 4, 3), 100, 6), 1);
  EXPECT_EQ(span_.basis.rows(), 4);
  EXPECT_EQ(span_.significant, 4);
}

}  // namespace
}  // namespace crease
