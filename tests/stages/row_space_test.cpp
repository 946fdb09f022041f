// Directions from the row space of exact answers.
#include "src/stages/row_space.hpp"

#include <gtest/gtest.h>

#include "tests/support/devices.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

class RowSpaceTest : public EveryBackend {
 protected:
  std::optional<HostMatrix> found(const RectifiedSum& truth, const HostMatrix& start, Index rows,
                                  const HostMatrix* errors = nullptr) {
    const HostMatrix x = normals(rows, truth.directions.cols(), 5);
    HostMatrix y = values_of(truth, x);
    for (Index i = 0; errors != nullptr && i < y.size(); ++i) y.data()[i] += errors->data()[i];
    const auto source = make_matrix_samples(x, y);
    Examples::Plan plan;
    plan.rows = rows;
    Examples examples(device(), *source, plan);
    const SampleMeans means = sample_means(device(), examples);
    return directions_from_row_space(device(), examples, means, start, truth.power);
  }
};
CREASE_ON_EVERY_BACKEND(RowSpaceTest);

// Sizes of the specification's table, exact to 1e-12 there; a start that is some degrees off, and
// of any sign.
TEST_P(RowSpaceTest, ExactAnswersGiveTheDirectionsToRounding) {
  struct Case {
    Index p, k, d, rows;
    double power;
  };
  for (const Case& c : {Case{5, 5, 10, 400, 1}, Case{10, 8, 20, 1000, 1}, Case{6, 4, 8, 2000, 2}}) {
    const RectifiedSum truth = planted_sum(c.p, c.k, c.d, 1, c.power);
    HostMatrix start = turned_by(truth, 0.1, 3).directions;
    for (Index j = 0; j < c.d; ++j) start(0, j) = -start(0, j);
    const auto directions = found(truth, start, c.rows);
    ASSERT_TRUE(directions);

    EXPECT_LT(parameter_error(truth, {*directions, truth.outputs, c.power}), 1e-12);
  }
}

TEST_P(RowSpaceTest, AnswersOfTooSmallARankOrTooFewOutputsGiveNothing) {
  RectifiedSum truth = planted_sum(6, 4, 8, 1);
  for (Index o = 0; o < 6; ++o) truth.outputs(o, 3) = truth.outputs(o, 2);  // rank 3
  EXPECT_FALSE(found(truth, truth.directions, 500));
  const RectifiedSum few = planted_sum(3, 4, 8, 1);
  EXPECT_FALSE(found(few, few.directions, 500));
}

TEST_P(RowSpaceTest, TooFewPointsAndAnswersWithErrorsGiveNothing) {
  const RectifiedSum truth = planted_sum(5, 3, 6, 1);
  EXPECT_FALSE(found(truth, truth.directions, 3)) << "fewer points than inputs";
  HostMatrix errors = normals(600, 5, 11);
  for (Index i = 0; i < errors.size(); ++i) errors.data()[i] *= 0.01;
  const auto directions = found(truth, truth.directions, 600, &errors);
  EXPECT_FALSE(directions);
}

}  // namespace
}  // namespace crease
