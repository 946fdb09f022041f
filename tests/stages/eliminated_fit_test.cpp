// y = U f(V x) fitted from a start: exact, noisy, and with gross errors.
#include "src/stages/eliminated_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/devices.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

class EliminatedFitTest : public EveryBackend {
 protected:
  EliminatedFit fitted(const RectifiedSum& truth, const RectifiedSum& start, Index rows,
                       const HostMatrix& errors, const EliminatedFitPlan& plan = {}) {
    const HostMatrix x = normals(rows, truth.directions.cols(), 5);
    HostMatrix y = values_of(truth, x);
    for (Index i = 0; i < errors.size(); ++i) y.data()[i] += errors.data()[i];
    const auto source = make_matrix_samples(x, y);
    Examples::Plan examples_plan;
    examples_plan.rows = rows;
    Examples examples(device(), *source, examples_plan);
    return fit_eliminated(device(), examples, start, plan);
  }
};
CREASE_ON_EVERY_BACKEND(EliminatedFitTest);

// Exact to 1e-11, as the specification's table is, with more outputs than neurons, fewer, and one.
TEST_P(EliminatedFitTest, ExactAnswersAreFittedExactlyFromANearbyStart) {
  struct Case {
    Index p, k, d, rows;
    double power;
  };
  for (const Case& c : {Case{4, 3, 6, 300, 1}, Case{2, 4, 8, 1000, 1}, Case{1, 3, 6, 3000, 1},
                        Case{3, 3, 6, 1500, 2}, Case{3, 3, 6, 3000, 0.5}}) {
    const RectifiedSum truth = planted_sum(c.p, c.k, c.d, 1, c.power);
    const EliminatedFit fit = fitted(truth, turned_by(truth, 0.1, 3), c.rows, {});

    EXPECT_LT(parameter_error(truth, fit.network), c.power < 1 ? 1e-6 : 1e-11)
        << c.p << " " << c.k << " " << c.d << " " << c.power << ": " << fit.relative_residual;
  }
}

TEST_P(EliminatedFitTest, TheClosedFormIsTakenWhereThereAreManyRowsAndEndsAtTheSameNetwork) {
  const RectifiedSum truth = planted_sum(2, 3, 6, 1);
  EliminatedFitPlan from_rows;
  from_rows.gaussian = false;
  const EliminatedFit closed = fitted(truth, turned_by(truth, 0.1, 3), 2000, {});
  const EliminatedFit rows = fitted(truth, turned_by(truth, 0.1, 3), 2000, {}, from_rows);

  EXPECT_TRUE(closed.gaussian);
  EXPECT_FALSE(rows.gaussian);
  EXPECT_LT(parameter_error(truth, closed.network), 1e-11);
  EXPECT_LT(parameter_error(truth, rows.network), 1e-11);
}

// From the truth and from a start that is off the fit ends at the same minimum, to 1 % of a
// standard error.
TEST_P(EliminatedFitTest, UnderNoiseItEndsWhereAFitFromTheTruthEnds) {
  const RectifiedSum truth = planted_sum(3, 4, 8, 1);
  HostMatrix errors = normals(4000, 3, 11);
  for (Index i = 0; i < errors.size(); ++i) errors.data()[i] *= 0.1;
  const EliminatedFit from_truth = fitted(truth, truth, 4000, errors);
  const EliminatedFit from_start = fitted(truth, turned_by(truth, 0.2, 3), 4000, errors);
  const double error = parameter_error(truth, from_truth.network);

  EXPECT_GT(error, 1e-4);
  EXPECT_LT(parameter_error(truth, from_start.network), 1.05 * error);
}

TEST_P(EliminatedFitTest, GrossErrorsInFivePercentOfTheNumbersDoNoHarmWhereItIsRobust) {
  const RectifiedSum truth = planted_sum(3, 3, 6, 1);
  constexpr Index kRows = 4000;
  HostMatrix errors = normals(kRows, 3, 11);
  const HostMatrix chance = normals(kRows, 3, 13);
  for (Index i = 0; i < errors.size(); ++i) {
    errors.data()[i] *= chance.data()[i] > 1.645 ? 20 : 0;  // 5 %
  }
  EliminatedFitPlan robust;
  robust.robust = true;
  RectifiedSum start = turned_by(truth, 0.05, 3);
  const EliminatedFit exact = fitted(truth, start, kRows, errors, robust);
  const EliminatedFit plain = fitted(truth, start, kRows, errors);

  EXPECT_LT(parameter_error(truth, exact.network), 1e-11);
  EXPECT_GT(parameter_error(truth, plain.network), 1e-2);
}

TEST_P(EliminatedFitTest, ItStopsWhenItIsAskedTo) {
  const RectifiedSum truth = planted_sum(2, 3, 6, 1);
  EliminatedFitPlan plan;
  plan.stop = [] { return true; };
  const EliminatedFit fit = fitted(truth, turned_by(truth, 0.1, 3), 500, {}, plan);

  EXPECT_TRUE(fit.stopped);
  EXPECT_EQ(fit.steps, 0);
}

}  // namespace
}  // namespace crease
