// Narrow networks from examples alone: exact, noisy, close neurons, blind moments, and what cannot
// be.
#include <crease/sample_learners.hpp>

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

#include "src/stages/eliminated_fit.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/lost_device.hpp"
#include "tests/support/planted_sum.hpp"

namespace crease {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// sum_i lambda_i relu(<u_i, x>), |u_i| = 1, lambda_i in +-[.5, 1.5].
RectifiedSum planted(Index k, Index d, std::uint64_t seed) {
  RectifiedSum sum = planted_sum(1, k, d, seed);
  for (Index i = 0; i < k; ++i) {
    const double normal = sum.outputs(0, i);
    sum.outputs(0, i) =
        std::copysign(0.5 + std::erfc(std::fabs(normal) / std::numbers::sqrt2), normal);
  }
  return sum;
}

HostMatrix with_noise(HostMatrix y, double relative, std::uint64_t seed) {
  const double rms = std::sqrt(dot(y.data(), y.data(), y.size()) / static_cast<double>(y.size()));
  const HostMatrix errors = normals(y.rows(), y.cols(), seed);
  for (Index i = 0; i < y.size(); ++i) y.data()[i] += relative * rms * errors.data()[i];
  return y;
}

/// Relative L2 error on fresh points; the network may have any form.
double error_of(const ReluNetwork& network, const RectifiedSum& truth) {
  const HostMatrix x = normals(20000, truth.directions.cols(), 4711);
  const HostMatrix expected = values_of(truth, x);
  const HostMatrix got = exact_values(network, x);
  double square = 0;
  for (Index i = 0; i < x.rows(); ++i) square += std::pow(got(i, 0) - expected(i, 0), 2);
  return std::sqrt(square / dot(expected.data(), expected.data(), expected.size()));
}

NarrowProblem of_width(Index k) {
  NarrowProblem problem;
  problem.neurons = k;
  return problem;
}

class NarrowLearnerTest : public EveryBackend {
 protected:
  Learned<ReluNetwork> learned(const HostMatrix& x, const HostMatrix& y,
                               const NarrowProblem& problem, const NarrowPlan& plan = {}) {
    const auto source = make_matrix_samples(x, y);
    RunControl control;
    control.seed = Seed{1};
    return learn_narrow(device(), *source, problem, plan, control);
  }
};
CREASE_ON_EVERY_BACKEND(NarrowLearnerTest);

TEST_P(NarrowLearnerTest, FourTimesAsManyExamplesAsWeightsGiveTheNetworkToRounding) {
  for (const auto& [k, d] : {std::pair<Index, Index>{2, 10}, {4, 20}, {6, 10}, {12, 8}}) {
    const RectifiedSum truth = planted(k, d, 1);
    const HostMatrix x = normals(4 * k * d, d, 5);
    const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(k));
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
    EXPECT_EQ(result.report.method, "oriented");
    EXPECT_THAT(result.report.warnings, IsEmpty());
    EXPECT_EQ(result.report.queries.at("held_out"), 4 * k * d / 5);
    EXPECT_EQ(result.network.neurons(), k);
    EXPECT_LT(error_of(result.network, truth), 1e-12) << k << " " << d;
  }
}

// At the truth least squares leave errors of sigma sqrt(k d / n), n the rows that are fitted; over
// k d = 40 degrees of freedom its size varies by 11 % (one deviation): four of those.
TEST_P(NarrowLearnerTest, UnderNoiseTheErrorIsThatOfLeastSquaresAndTheReportSaysSo) {
  const RectifiedSum truth = planted(4, 10, 2);
  constexpr Index kRows = 5000;
  const HostMatrix x = normals(kRows, 10, 5);
  const Learned<ReluNetwork> result =
      learned(x, with_noise(values_of(truth, x), 0.1, 9), of_width(4));
  const double floor = 0.1 * std::sqrt(40 / (0.8 * kRows));
  EXPECT_LT(error_of(result.network, truth), 1.45 * floor);
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
  ASSERT_TRUE(result.report.certificate);
  EXPECT_EQ(result.report.certificate->points, kRows / 5);
}

// The fit ends in the minimum next to the truth, whatever its start was: as near as a step of .03
// standard errors, which is less than 1 % of the error's size. That falls with the root of n.
TEST_P(NarrowLearnerTest, TheErrorUnderNoiseIsThatOfAFitFromTheTruthAndFallsWithTheRootOfN) {
  const RectifiedSum truth = planted(3, 8, 7);
  std::vector<double> scaled;
  for (const Index rows : {1500, 24000}) {
    const HostMatrix x = normals(rows, 8, 5);
    const HostMatrix y = with_noise(values_of(truth, x), 0.2, 9);
    const double error = error_of(learned(x, y, of_width(3)).network, truth);

    const auto source = make_matrix_samples(x, y);
    Examples::Plan plan;
    plan.held_out = std::min<Index>(rows / 5, 20000);
    plan.rows = rows - plan.held_out;
    Examples examples(device(), *source, plan);
    const RectifiedSum fit = fit_eliminated(device(), examples, truth).network;
    ReluNetwork best(8, 3, 1);
    best.weights = fit.directions;
    best.output = fit.outputs;
    EXPECT_LT(error, 1.02 * error_of(best, truth)) << rows;
    scaled.push_back(error * std::sqrt(static_cast<double>(rows)));
  }
  // Each is sigma |y| sqrt(chi square of 24 / .8), 15 % a deviation: three of their quotient.
  EXPECT_NEAR(std::log(scaled[1] / scaled[0]), 0, 3 * std::sqrt(2.0) * 0.15);
}

TEST_P(NarrowLearnerTest, CloseNeuronsAreToldApartOrAreOne) {
  for (const bool cancelling : {false, true}) {
    for (const double angle : {0.1, 1e-3}) {
      RectifiedSum truth = planted(3, 10, 3);
      const RectifiedSum turned = turned_by(truth, angle, 8);
      std::copy(turned.directions.row(0), turned.directions.row(0) + 10, truth.directions.row(1));
      truth.outputs(0, 1) = (cancelling ? -1 : 1) * truth.outputs(0, 0);
      const HostMatrix x = normals(6000, 10, 5);
      const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(3));
      EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
      EXPECT_LT(error_of(result.network, truth), angle > 0.01 ? 1e-9 : 1e-4) << angle;
    }
  }
}

// Neurons in a plane at multiples of pi / 6 with alternating signs: no second, no fourth moment.
TEST_P(NarrowLearnerTest, NeuronsThatMomentsAreBlindForAreFound) {
  constexpr Index kInputs = 20;
  RectifiedSum truth{HostMatrix(6, kInputs), HostMatrix(1, 6), 1};
  for (Index i = 0; i < 6; ++i) {
    const double angle = std::numbers::pi * static_cast<double>(i) / 6;
    truth.directions(i, 3) = std::cos(angle);
    truth.directions(i, 7) = std::sin(angle);
    truth.outputs(0, i) = i % 2 == 0 ? 1 : -1;
  }
  const HostMatrix x = normals(2000, kInputs, 5);
  const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(6));
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  EXPECT_LT(error_of(result.network, truth), 1e-9);
}

TEST_P(NarrowLearnerTest, TheNumberOfNeuronsIsFoundAndThoseTooManyAreTakenAway) {
  const RectifiedSum truth = planted(3, 8, 4);
  const HostMatrix x = normals(3000, 8, 5);
  const HostMatrix y = values_of(truth, x);
  for (const auto& k : {std::optional<Index>(), std::optional<Index>(5)}) {
    NarrowProblem problem;
    problem.neurons = k;
    const Learned<ReluNetwork> exact = learned(x, y, problem);
    EXPECT_EQ(exact.report.outcome, Outcome::reached) << exact.report.message;
    EXPECT_EQ(exact.network.neurons(), 3);
    EXPECT_LT(error_of(exact.network, truth), 1e-9);
    const Learned<ReluNetwork> noisy = learned(x, with_noise(y, 0.05, 7), problem);
    EXPECT_EQ(noisy.network.neurons(), 3);
  }
}

TEST_P(NarrowLearnerTest, TooFewNeuronsAreSaidToBeTooFew) {
  const RectifiedSum truth = planted(4, 8, 4);
  const HostMatrix x = normals(4000, 8, 5);
  const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(2));
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("too few neurons"));
}

TEST_P(NarrowLearnerTest, TooFewExamplesAreWarnedOfAndSaidToBeTooFew) {
  const RectifiedSum truth = planted(4, 10, 4);
  const HostMatrix x = normals(70, 10, 5);
  const Learned<ReluNetwork> result = learned(x, values_of(truth, x), of_width(4));
  ASSERT_FALSE(result.report.warnings.empty());
  EXPECT_THAT(result.report.warnings.front(), HasSubstr("fewer than 3 k d"));
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("too few examples"));
}

TEST_P(NarrowLearnerTest, BiasesAndAConstantAreLearnedWhereTheyAreAskedFor) {
  ReluNetwork truth = planted_network(6, 3, 1, 5);
  truth.linear = HostMatrix(1, 6);
  HostMatrix x = normals(4000, 6, 5);
  for (Index i = 0; i < x.rows(); ++i) {
    x(i, 0) = 2 * x(i, 0) + x(i, 1) + 3;  // inputs of any mean and covariance
  }
  const HostMatrix y = exact_values(truth, x);
  NarrowProblem problem = of_width(3);
  problem.biases = true;
  const Learned<ReluNetwork> result = learned(x, y, problem);
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  const NetworkMatch found = match(truth, result.network, 1e-6);
  EXPECT_EQ(found.matched, 3);
  EXPECT_EQ(found.spurious, 0);
  EXPECT_LT(found.biases, 1e-9);

  const Learned<ReluNetwork> noisy = learned(x, with_noise(y, 0.05, 3), problem);
  EXPECT_THAT(noisy.report.message, HasSubstr("noise floor"));
  EXPECT_EQ(match(truth, noisy.network, 0.2).matched, 3);
}

TEST_P(NarrowLearnerTest, InputsThatAreNotGaussianAreWarnedOfAndFittedAllTheSame) {
  const RectifiedSum truth = planted(3, 8, 6);
  HostMatrix uniform = normals(4000, 8, 5);
  for (Index i = 0; i < uniform.size(); ++i) uniform.data()[i] = std::erf(uniform.data()[i]);
  HostMatrix signs = normals(4000, 8, 6);
  for (Index i = 0; i < signs.size(); ++i) signs.data()[i] = signs.data()[i] < 0 ? -1 : 1;
  for (const HostMatrix& x : {uniform, signs}) {
    const HostMatrix y = values_of(truth, x);
    const Learned<ReluNetwork> result = learned(x, y, of_width(3));
    EXPECT_THAT(result.report.warnings, Contains(HasSubstr("not Gaussian")));
    // Statement (B) is about N(0, I).
    ASSERT_TRUE(result.report.certificate);
    EXPECT_TRUE(std::isinf(result.report.certificate->rms_bound));
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  }
}

TEST_P(NarrowLearnerTest, LinearAnswersNeedNoNeuronAndConstantOnesAreSaidToBe) {
  const HostMatrix x = normals(500, 4, 5);
  HostMatrix y(500, 1);
  for (Index i = 0; i < 500; ++i) y(i, 0) = x(i, 0) - 2 * x(i, 3);
  const Learned<ReluNetwork> linear = learned(x, y, of_width(2));
  EXPECT_EQ(linear.report.outcome, Outcome::reached) << linear.report.message;
  EXPECT_EQ(linear.network.neurons(), 0);
  EXPECT_NEAR(linear.network.linear(0, 3), -2, 1e-12);
  for (const double value : {0.0, 3.0, 0.1}) {
    const Learned<ReluNetwork> constant = learned(x, HostMatrix(500, 1, value), of_width(2));
    EXPECT_EQ(constant.report.outcome, Outcome::not_reached);
    EXPECT_THAT(constant.report.message, HasSubstr("constant"));
  }
  NarrowProblem with_biases = of_width(1);
  with_biases.biases = true;
  for (Index i = 0; i < 500; ++i) y(i, 0) += 3;
  const Learned<ReluNetwork> affine = learned(x, y, with_biases);
  EXPECT_EQ(affine.report.outcome, Outcome::reached) << affine.report.message;
  EXPECT_NEAR(affine.network.constant(0, 0), 3, 1e-12);
  for (const std::optional<Index> neurons : {std::optional<Index>(1), std::optional<Index>()}) {
    NarrowProblem without;
    without.neurons = neurons;
    const Learned<ReluNetwork> refused = learned(x, y, without);
    EXPECT_EQ(refused.report.outcome, Outcome::not_reached);
    EXPECT_THAT(refused.report.message, HasSubstr("fit with biases"));
    EXPECT_EQ(refused.network.neurons(), 0);
  }
}

TEST_P(NarrowLearnerTest, ExamplesLargerThanTheirMemoryGiveTheSame) {
  const RectifiedSum truth = planted(3, 6, 1);
  const HostMatrix x = normals(20000, 6, 5);
  const HostMatrix y = with_noise(values_of(truth, x), 0.01, 2);
  std::vector<double> errors;
  for (const Index bytes : {Index{1} << 30, Index{1} << 18}) {
    const auto source = make_matrix_samples(x, y);
    RunControl control;
    control.budget.device_bytes = bytes;  // 2^18 / 2: 2,340 rows of the 19,000
    NarrowPlan plan;
    plan.held_out = 1000;
    const Learned<ReluNetwork> result = learn_narrow(device(), *source, of_width(3), plan, control);
    EXPECT_EQ(result.report.method, "oriented");
    errors.push_back(error_of(result.network, truth));
  }
  // The same optimum of all rows, to what ends the fit: a hundredth of the error.
  EXPECT_NEAR(errors[0], errors[1], 0.05 * errors[0]);
}

TEST_P(NarrowLearnerTest, WhatCannotBeTriedIsRefused) {
  const RectifiedSum truth = planted(2, 4, 1);
  const HostMatrix x = normals(100, 4, 5);
  const HostMatrix y = values_of(truth, x);
  EXPECT_THROW(learned(x, y, of_width(0)), BadInput);
  EXPECT_THROW(learned(x, HostMatrix(100, 2), of_width(2)), BadInput);
  HostMatrix collinear = x;
  for (Index i = 0; i < 100; ++i) collinear(i, 3) = collinear(i, 0) + collinear(i, 1);
  EXPECT_THROW(learned(collinear, y, of_width(2)), BadInput);
  const HostMatrix few = normals(13, 4, 5);
  EXPECT_THROW(learned(few, values_of(truth, few), of_width(2)), BadInput);
  NarrowProblem problem;
  problem.accuracy = 0;
  EXPECT_THROW(learned(x, y, problem), BadInput);
  problem = {};
  problem.failure = 1;
  EXPECT_THROW(learned(x, y, problem), BadInput);
  NarrowPlan plan;
  plan.starts = 0;
  EXPECT_THROW(learned(x, y, of_width(2), plan), BadInput);
  const auto endless = make_planted_samples(planted_network(4, 2, 1, 1), {}, std::nullopt);
  EXPECT_THROW(learn_narrow(device(), *endless, of_width(2)), BadInput);
}

TEST_P(NarrowLearnerTest, AStopEndsWithTheBestThereIs) {
  const RectifiedSum truth = planted(4, 8, 1);
  const HostMatrix x = normals(2000, 8, 5);
  const auto source = make_matrix_samples(x, with_noise(values_of(truth, x), 0.1, 3));
  bool ended_with_network = false;
  for (const int calls : {1, 10, 60, 200}) {
    RunControl control;
    int asked = 0;
    control.stop = [&] { return ++asked > calls; };
    const Learned<ReluNetwork> result = learn_narrow(device(), *source, of_width(4), {}, control);
    if (result.report.outcome != Outcome::stopped) continue;
    ended_with_network = ended_with_network || result.network.neurons() > 0;
    source->rewind();
  }
  EXPECT_TRUE(ended_with_network);
  RunControl hurried;
  hurried.budget.seconds = 1e-9;
  source->rewind();
  EXPECT_EQ(learn_narrow(device(), *source, of_width(4), {}, hurried).report.outcome,
            Outcome::out_of_budget);
}

/// Fails at one draw, after the given number of rows.
class Failing final : public SampleSource {
 public:
  Failing(HostMatrix x, HostMatrix y, Index rows)
      : inner_(make_matrix_samples(std::move(x), std::move(y))), rows_(rows) {}
  Index input_dim() const override { return inner_->input_dim(); }
  Index output_dim() const override { return inner_->output_dim(); }
  std::optional<Index> rows_left() const override { return inner_->rows_left(); }
  void draw(Device& device, DeviceView x, DeviceView y) override {
    rows_ -= x.rows;
    if (rows_ < 0) throw FileError("the disk is gone");
    inner_->draw(device, x, y);
  }
  bool rewind() override { return inner_->rewind(); }

  Index left() const { return rows_; }

 private:
  std::unique_ptr<SampleSource> inner_;
  Index rows_;
};

TEST_P(NarrowLearnerTest, ASourceThatFailsAfterTheFirstFitLeavesTheNetworkSoFar) {
  const RectifiedSum truth = planted(2, 6, 1);
  const HostMatrix x = normals(5000, 6, 5);
  const HostMatrix y = values_of(truth, x);
  RunControl control;
  control.budget.device_bytes = 1 << 16;  // drawn again in every pass
  Failing at_once(x, y, 100);
  EXPECT_THROW(learn_narrow(device(), at_once, of_width(2), {}, control), FileError);
  constexpr Index kMany = Index{1} << 40;
  Failing whole(x, y, kMany);
  learn_narrow(device(), whole, of_width(2), {}, control);
  const Index drawn = kMany - whole.left();
  bool some = false;
  for (Index share = 1; share < 40; ++share) {
    Failing later(x, y, drawn / 40 * share);
    try {
      const Learned<ReluNetwork> result = learn_narrow(device(), later, of_width(2), {}, control);
      if (result.report.outcome != Outcome::oracle_failed) continue;
      EXPECT_THAT(result.report.message, HasSubstr("the disk is gone"));
      EXPECT_TRUE(result.report.certificate);
      EXPECT_GT(result.network.neurons(), 0);
      some = true;
    } catch (const FileError&) {
    }
  }
  EXPECT_TRUE(some);
}

TEST(NarrowLearner, FiveTimesAsManyExamplesNeedNoMoreMemory) {
  const ReluNetwork truth = [] {
    const RectifiedSum sum = planted(2, 6, 1);
    ReluNetwork network(6, 2, 1);
    network.weights = sum.directions;
    network.output = sum.outputs;
    return network;
  }();
  std::vector<Index> peaks;
  for (const Index rows : {10000, 50000}) {
    const auto fresh = make_cpu_device();
    const auto source = make_planted_samples(truth, Seed{1}, rows, {.noise = 0.1});
    RunControl control;
    control.budget.device_bytes = Index{1} << 18;  // half of it: 2,340 rows
    const Learned<ReluNetwork> result = learn_narrow(*fresh, *source, of_width(2), {}, control);
    EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
    peaks.push_back(result.report.peak_device_bytes);
  }
  // Held-out examples, a fifth and at most 20,000, are kept: 8 (d + 1) bytes each, and twice that
  // while they are evaluated.
  EXPECT_LE(peaks[1] - peaks[0], 2 * 8000 * 8 * (6 + 1 + 4));
}

TEST(NarrowLearner, ALostDeviceEndsItBeforeTheFirstFitAndIsAnOutcomeAfterIt) {
  const RectifiedSum truth = planted(2, 5, 1);
  const HostMatrix x = normals(300, 5, 5);
  const HostMatrix y = values_of(truth, x);
  const auto source = make_matrix_samples(x, y);
  expect_loss_to_be_an_outcome(
      *source,
      [](Device& device, SampleSource& examples) {
        return learn_narrow(device, examples, of_width(2));
      },
      [](const Learned<ReluNetwork>&) {});
}

}  // namespace
}  // namespace crease
