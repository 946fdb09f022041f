// Two-layer networks from examples alone: exact, noisy, with gross errors, and what cannot be.
#include <crease/sample_learners.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "src/stages/eliminated_fit.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/lost_device.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TwoLayerLearnerTest : public EveryBackend {
 protected:
  Learned<ReluNetwork> learned(const HostMatrix& x, const HostMatrix& y,
                               const TwoLayerProblem& problem, const TwoLayerPlan& plan = {}) {
    const auto source = make_matrix_samples(x, y);
    return learn_two_layer(device(), *source, problem, plan);
  }
};
CREASE_ON_EVERY_BACKEND(TwoLayerLearnerTest);

RectifiedSum sum_of(const ReluNetwork& network) {
  return {network.weights, network.output, 1};
}

TwoLayerProblem of_width(Index k) {
  TwoLayerProblem problem;
  problem.neurons = k;
  return problem;
}

// Rows of the specification's table: the largest parameter error is below 1e-11 (9e-15 there).
TEST_P(TwoLayerLearnerTest, ExactExamplesGiveTheNetworkToRounding) {
  struct Case {
    Index p, k, d, rows;
  };
  for (const Case& c : {Case{5, 5, 10, 200}, Case{10, 8, 20, 700}, Case{3, 8, 20, 2000},
                        Case{2, 5, 10, 2000}, Case{1, 3, 10, 10000}}) {
    const RectifiedSum truth = planted_sum(c.p, c.k, c.d, 1);
    const HostMatrix x = normals(c.rows, c.d, 5);
    const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(c.k));

    EXPECT_EQ(result.report.outcome, Outcome::reached)
        << c.p << " " << c.k << " " << c.d << ": " << result.report.message;
    EXPECT_LT(parameter_error(truth, sum_of(result.network)), 1e-11)
        << c.p << " " << c.k << " " << c.d;
    EXPECT_EQ(result.report.method, c.p >= c.k ? "row space" : "fit");
  }
}

TEST_P(TwoLayerLearnerTest, InputsOfAnotherCovarianceAreWhitened) {
  const RectifiedSum truth = planted_sum(4, 3, 6, 2);
  HostMatrix x = normals(1000, 6, 5);
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < 6; ++j) x(i, j) *= std::pow(10, -static_cast<double>(j) / 5);
    x(i, 5) += 0.3 * x(i, 0);
  }
  const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(3));

  EXPECT_LT(parameter_error(truth, sum_of(result.network)), 1e-10);  // condition 100
  EXPECT_THAT(result.report.warnings, ElementsAre(HasSubstr("not from N(0, I)")));
}

TEST_P(TwoLayerLearnerTest, TheNumberOfNeuronsIsFound) {
  for (const Index p : {6, 2}) {  // by the rank of the answers; by the span
    const RectifiedSum truth = planted_sum(p, 4, 8, 3);
    const HostMatrix x = normals(20000, 8, 5);
    const Learned<ReluNetwork> result = learned(x, values_of(truth, x), {});

    EXPECT_EQ(result.network.neurons(), 4);
    EXPECT_LT(parameter_error(truth, sum_of(result.network)), 1e-11);
  }
}

TEST_P(TwoLayerLearnerTest, UnderNoiseTheErrorIsThatOfTheExamplesAndTheReportSaysSo) {
  const RectifiedSum truth = planted_sum(3, 4, 8, 1);
  constexpr Index kRows = 20000;
  constexpr double kNoise = 0.1;
  const HostMatrix x = normals(kRows, 8, 5);
  HostMatrix y = values_of(truth, x);
  const HostMatrix errors = normals(kRows, 3, 7);
  for (Index i = 0; i < y.size(); ++i) y.data()[i] += kNoise * errors.data()[i];
  const Learned<ReluNetwork> result = learned(x, y, of_width(4));

  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("at the noise floor"));
  // Every component has a standard error of order kNoise / sqrt(n): 3 to 10 of them in the
  // specification's tables, for the largest.
  EXPECT_LT(parameter_error(truth, sum_of(result.network)), 10 * kNoise / std::sqrt(kRows));
}

// The fit ends in the minimum next to the truth, whatever its start was: within 1.1 of the error
// from there (the specification's bound; steps of .03 standard errors end a fit), and that falls
// with the root of n.
TEST_P(TwoLayerLearnerTest, TheErrorUnderNoiseIsThatOfAFitFromTheTruthAndFallsWithTheRootOfN) {
  const RectifiedSum truth = planted_sum(3, 4, 8, 1);
  std::vector<double> scaled;
  for (const Index rows : {1500, 24000}) {
    const HostMatrix x = normals(rows, 8, 5);
    HostMatrix y = values_of(truth, x);
    const HostMatrix errors = normals(rows, 3, 7);
    for (Index i = 0; i < y.size(); ++i) y.data()[i] += 0.2 * errors.data()[i];
    TwoLayerPlan all;
    all.held_out = 0;
    const RectifiedSum found = sum_of(learned(x, y, of_width(4), all).network);
    const auto source = make_matrix_samples(x, y);
    Examples::Plan plan;
    plan.rows = rows;
    Examples examples(device(), *source, plan);
    const RectifiedSum best = fit_eliminated(device(), examples, truth).network;
    EXPECT_LT(parameter_error(truth, found), 1.1 * parameter_error(truth, best)) << rows;
    const HostMatrix fresh = normals(10000, 8, 11);
    scaled.push_back(distance(values_of(truth, fresh), values_of(found, fresh)) *
                     std::sqrt(static_cast<double>(rows)));
  }
  // The root of a chi square of k (d + p) = 44 or so: 11 % a deviation, three of the quotient.
  EXPECT_NEAR(std::log(scaled[1] / scaled[0]), 0, 3 * std::sqrt(2.0) * 0.11);
}

TEST_P(TwoLayerLearnerTest, GrossErrorsAreLeftOutWhereItIsRobust) {
  const RectifiedSum truth = planted_sum(3, 4, 8, 1);
  constexpr Index kRows = 8000;
  const HostMatrix x = normals(kRows, 8, 5);
  HostMatrix y = values_of(truth, x);
  const HostMatrix errors = normals(kRows, 3, 7);
  const HostMatrix chance = normals(kRows, 3, 9);
  for (Index i = 0; i < y.size(); ++i) {
    if (chance.data()[i] > 1.645) y.data()[i] += 20 * errors.data()[i];  // 5 %
  }
  TwoLayerProblem robust = of_width(4);
  robust.robust = true;
  const Learned<ReluNetwork> result = learned(x, y, robust);
  const Learned<ReluNetwork> plain = learned(x, y, of_width(4));

  EXPECT_LT(parameter_error(truth, sum_of(result.network)), 1e-11);
  EXPECT_GT(parameter_error(truth, sum_of(plain.network)), 1e-2);
  // Answers with gross errors are silent points: 1 - .95^3 = 14 % of 800, and three deviations.
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  ASSERT_TRUE(result.report.certificate);
  EXPECT_NEAR(static_cast<double>(result.report.certificate->silent), 114, 30);
  EXPECT_LT(*result.report.relative_error, 1e-11);
  EXPECT_EQ(plain.report.outcome, Outcome::not_reached);
}

// f(z) = max(z, 0)^p: row space, one output (third moments there), more neurons than outputs.
TEST_P(TwoLayerLearnerTest, RectifiedPowersAreLearnedToo) {
  struct Case {
    Index p, k, d, rows;
    double power;
  };
  for (const Case& c : {Case{4, 3, 6, 2000, 2}, Case{4, 3, 6, 2000, 0.5}, Case{1, 2, 4, 20000, 2},
                        Case{2, 4, 8, 8000, 1.5}}) {
    const RectifiedSum truth = planted_sum(c.p, c.k, c.d, 3, c.power);
    const HostMatrix x = normals(c.rows, c.d, 5);
    TwoLayerProblem problem = of_width(c.k);
    problem.power = c.power;
    const Learned<ReluNetwork> result = learned(x, values_of(truth, x), problem);
    EXPECT_EQ(result.report.outcome, Outcome::reached) << c.power << result.report.message;
    EXPECT_EQ(result.network.power, c.power);
    EXPECT_LT(parameter_error(truth, {result.network.weights, result.network.output, c.power}),
              1e-11)
        << c.p << " " << c.power;
  }
}

TEST_P(TwoLayerLearnerTest, BiasesAreLearnedWhereTheyAreAskedFor) {
  constexpr Index kInputs = 8, kNeurons = 4, kOutputs = 3;
  const RectifiedSum sum = planted_sum(kOutputs, kNeurons, kInputs, 4);
  ReluNetwork truth(kInputs, kNeurons, kOutputs);
  truth.weights = sum.directions;
  truth.output = sum.outputs;
  const HostMatrix biases = normals(kNeurons, 1, 9);
  for (Index i = 0; i < kNeurons; ++i) truth.bias(i, 0) = 0.4 * biases(i, 0);
  HostMatrix x = normals(6000, kInputs, 5);
  for (Index i = 0; i < x.rows(); ++i) x(i, 0) = 2 * x(i, 0) + 1 + x(i, 1);
  TwoLayerProblem problem = of_width(kNeurons);
  problem.biases = true;
  const Learned<ReluNetwork> result = learned(x, exact_values(truth, x), problem);
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  const NetworkMatch found = match(truth, result.network, 1e-6);
  EXPECT_EQ(found.matched, kNeurons);
  EXPECT_LT(found.biases, 1e-10);
  problem.power = 2;
  EXPECT_THROW(learned(x, exact_values(truth, x), problem), BadInput);
}

TEST_P(TwoLayerLearnerTest, TooFewExamplesAreSaidToBeTooFew) {
  const RectifiedSum truth = planted_sum(1, 4, 10, 1);
  const HostMatrix x = normals(60, 10, 5);
  const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(4));
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("too few examples"));
}

TEST_P(TwoLayerLearnerTest, TooFewNeuronsAreSaidToBeTooFewAndTooManyAreTakenAway) {
  const RectifiedSum truth = planted_sum(5, 4, 8, 1);
  const HostMatrix x = normals(8000, 8, 5);
  const HostMatrix y = values_of(truth, x);
  const Learned<ReluNetwork> few = learned(x, y, of_width(3));
  const Learned<ReluNetwork> many = learned(x, y, of_width(5));

  EXPECT_EQ(few.report.outcome, Outcome::not_reached);
  EXPECT_THAT(few.report.message, HasSubstr("not the right network"));
  EXPECT_EQ(many.report.outcome, Outcome::reached) << many.report.message;
  EXPECT_EQ(many.network.neurons(), 4);
}

TEST_P(TwoLayerLearnerTest, ConstantAndLinearAnswersAreOutcomesThatSaySo) {
  const HostMatrix x = normals(500, 4, 5);
  for (const double value : {0.0, 3.0, 0.1}) {
    const Learned<ReluNetwork> constant = learned(x, HostMatrix(500, 2, value), of_width(2));
    EXPECT_EQ(constant.report.outcome, Outcome::not_reached);
    EXPECT_THAT(constant.report.message, HasSubstr("constant"));
    EXPECT_EQ(constant.network.neurons(), 0);
  }
  HostMatrix linear(500, 2);
  for (Index i = 0; i < 500; ++i) {
    linear(i, 0) = x(i, 0) - x(i, 3);
    linear(i, 1) = 2 * x(i, 1);
  }
  const Learned<ReluNetwork> result = learned(x, linear, of_width(2));
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_FALSE(result.report.message.empty());
}

TEST_P(TwoLayerLearnerTest, WhatCannotBeTriedIsRefused) {
  const RectifiedSum truth = planted_sum(2, 2, 4, 1);
  const HostMatrix x = normals(100, 4, 5);
  const HostMatrix y = values_of(truth, x);
  EXPECT_THROW(learned(x, y, of_width(5)), BadInput);
  EXPECT_THROW(learned(x, y, of_width(0)), BadInput);
  HostMatrix collinear = x;
  for (Index i = 0; i < 100; ++i) collinear(i, 3) = collinear(i, 0) + collinear(i, 1);
  EXPECT_THROW(learned(collinear, y, of_width(2)), BadInput);
  const HostMatrix few = normals(12, 4, 5);
  EXPECT_THROW(learned(few, values_of(truth, few), of_width(2)), BadInput);
  TwoLayerProblem problem;
  problem.accuracy = 0;
  EXPECT_THROW(learned(x, y, problem), BadInput);
  for (const double power : {0.0, -1.0, 65.0, std::nan("")}) {
    problem = of_width(2);
    problem.power = power;
    EXPECT_THROW(learned(x, y, problem), BadInput);
  }
  const auto endless = make_planted_samples(planted_network(4, 2, 1, 1), {}, std::nullopt);
  EXPECT_THROW(learn_two_layer(device(), *endless, of_width(2)), BadInput);
}

TEST_P(TwoLayerLearnerTest, ANormalMatrixLargerThanTheMemoryIsRefusedByItsSize) {
  const RectifiedSum truth = planted_sum(2, 8, 40, 1);
  const HostMatrix x = normals(2000, 40, 5);
  HostMatrix y = values_of(truth, x);
  const HostMatrix errors = normals(2000, 2, 6);
  for (Index i = 0; i < y.size(); ++i) y.data()[i] += 0.1 * errors.data()[i];
  const auto source = make_matrix_samples(x, y);
  TwoLayerProblem problem = of_width(8);
  problem.biases = true;
  RunControl control;
  control.budget.device_bytes = Index{1} << 20;  // 2 (8 * 41)^2 numbers are 1.64 times as much
  try {
    learn_two_layer(device(), *source, problem, {}, control);
    FAIL() << "no error";
  } catch (const BadInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("needs 2 MiB"));
    EXPECT_THAT(error.what(), HasSubstr("there are 1 MiB"));
  }
}

TEST_P(TwoLayerLearnerTest, AStopEndsWithTheBestThereIs) {
  const RectifiedSum truth = planted_sum(2, 3, 6, 1);
  const HostMatrix x = normals(2000, 6, 5);
  const auto source = make_matrix_samples(x, values_of(truth, x));
  for (const int calls : {3, 12}) {
    RunControl control;
    int asked = 0;
    control.stop = [&] { return ++asked > calls; };
    const Learned<ReluNetwork> result =
        learn_two_layer(device(), *source, of_width(3), {}, control);
    EXPECT_EQ(result.report.outcome, Outcome::stopped);
    source->rewind();
  }
}

TEST(TwoLayerLearner, ALostDeviceEndsItBeforeTheFirstFitAndIsAnOutcomeAfterIt) {
  const RectifiedSum truth = planted_sum(1, 2, 5, 1);
  const HostMatrix x = normals(400, 5, 5);
  const auto source = make_matrix_samples(x, values_of(truth, x));
  expect_loss_to_be_an_outcome(
      *source,
      [](Device& device, SampleSource& examples) {
        return learn_two_layer(device, examples, of_width(2));
      },
      [](const Learned<ReluNetwork>& result) { EXPECT_EQ(result.network.neurons(), 2); });
}

TEST_P(TwoLayerLearnerTest, NumbersOutOfRangeAreRefusedByName) {
  const RectifiedSum truth = planted_sum(2, 2, 4, 1);
  const HostMatrix x = normals(100, 4, 5);
  const HostMatrix y = values_of(truth, x);
  const auto times = [](HostMatrix values, double factor) {
    for (Index i = 0; i < values.size(); ++i) values.data()[i] *= factor;
    return values;
  };
  const auto said = [&](const HostMatrix& inputs, const HostMatrix& answers) -> std::string {
    try {
      learned(inputs, answers, of_width(2));
    } catch (const BadInput& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(said(times(x, 1e200), y), HasSubstr("inputs are out of range"));
  EXPECT_THAT(said(times(x, 1e-200), y), HasSubstr("inputs are out of range"));
  EXPECT_THAT(said(x, times(y, 1e200)), HasSubstr("answers are out of range"));
}

}  // namespace
}  // namespace crease
