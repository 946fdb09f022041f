// Smooth networks from queries: the specification's sizes, its statuses, and what cannot be.
#include <crease/hessian_learner.hpp>

#include <gmock/gmock.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/failing_device.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Unit rows.
void normalize_rows(HostMatrix& weights) {
  for (Index i = 0; i < weights.rows(); ++i) {
    const std::vector<double> unit = unit_vector({weights.row(i), weights.row(i) + weights.cols()});
    std::copy(unit.begin(), unit.end(), weights.row(i));
  }
}

/// One layer: norms in [.7, 1.5], shifts .3 normal, outputs +-[.5, 1.5], constant .3.
SmoothNetwork one_layer(Index d, Index m, Activation g, std::uint64_t seed) {
  SmoothNetwork network(d, {m}, 1, {g});
  SmoothNetwork::Layer& layer = network.hidden[0];
  layer.weights = normals(m, d, seed);
  normalize_rows(layer.weights);
  const HostMatrix norms = normals(m, 1, seed + 100), sizes = normals(m, 1, seed + 200);
  layer.bias = normals(m, 1, seed + 300);
  for (Index i = 0; i < m; ++i) {
    const double norm = 0.7 + 0.8 * 0.5 * std::erfc(-norms(i, 0) / std::sqrt(2.0));
    for (Index j = 0; j < d; ++j) layer.weights(i, j) *= norm;
    layer.bias(i, 0) *= 0.3;
    network.output(0, i) = std::copysign(0.5 + std::erfc(std::fabs(sizes(i, 0))), sizes(i, 0));
  }
  network.constant(0, 0) = 0.3;
  return network;
}

/// Two layers: unit directions on the sphere, unit rows of B, shifts of both times `shifts`.
SmoothNetwork two_layers(Index d, Index m0, Index m1, double shifts, Activation g, Activation h,
                         std::uint64_t seed) {
  SmoothNetwork network(d, {m0, m1}, 1, {g, h});
  network.hidden[0].weights = normals(m0, d, seed);
  network.hidden[1].weights = normals(m1, m0, seed + 100);
  for (SmoothNetwork::Layer& layer : network.hidden) {
    normalize_rows(layer.weights);
    layer.bias = normals(layer.weights.rows(), 1, seed += 200);
    for (Index i = 0; i < layer.bias.rows(); ++i) layer.bias(i, 0) *= shifts;
  }
  for (Index l = 0; l < m1; ++l) network.output(0, l) = 1;
  return network;
}

/// sup |F - F'| over points of the unit ball.
double ball_error(const SmoothNetwork& truth, const SmoothNetwork& learned) {
  HostMatrix x = normals(2000, truth.inputs(), 4711);
  for (Index i = 0; i < x.rows(); ++i) {
    const double length = std::sqrt(dot(x.row(i), x.row(i), x.cols()));
    const double radius = std::pow(static_cast<double>(i + 1) / static_cast<double>(x.rows()),
                                   1 / static_cast<double>(x.cols()));
    for (Index j = 0; j < x.cols(); ++j) x(i, j) *= radius / length;
  }
  const HostMatrix a = exact_values(truth, x), b = exact_values(learned, x);
  double largest = 0;
  for (Index i = 0; i < a.rows(); ++i) largest = std::max(largest, std::fabs(a(i, 0) - b(i, 0)));
  return largest;
}

class HessianLearnerTest : public EveryBackend {
 protected:
  Learned<SmoothNetwork> learned(const SmoothNetwork& truth, const SmoothProblem& problem,
                                 std::uint64_t seed = 1, const HessianPlan& plan = {}) {
    const auto oracle = make_network_oracle(truth);
    RunControl control;
    control.seed = Seed{seed};
    return learn_from_hessians(device(), *oracle, problem, plan, control);
  }
  static SmoothProblem of(Activation first, Activation second = Activation::tanh) {
    SmoothProblem problem;
    problem.first = first;
    problem.second = second;
    return problem;
  }
};
CREASE_ON_EVERY_BACKEND(HessianLearnerTest);

// The specification: 2e-15 after the last fit at d = m = 20.
TEST_P(HessianLearnerTest, OneHiddenLayerIsLearnedToRoundingWhateverItsActivation) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::softplus,
                             Activation::gelu, Activation::erf}) {
    const SmoothNetwork truth = one_layer(10, 8, g, 1);
    const Learned<SmoothNetwork> result = learned(truth, of(g));
    EXPECT_EQ(result.report.outcome, Outcome::reached)
        << to_string(g) << ": " << result.report.message;
    EXPECT_EQ(result.network.layers(), 1);
    EXPECT_EQ(result.network.neurons(0), 8) << to_string(g);
    EXPECT_LT(ball_error(truth, result.network), 1e-12) << to_string(g);
    EXPECT_EQ(result.report.method, saturates(g) ? "far field" : "one layer");
    EXPECT_LT(result.report.ball_error.value(), 1e-12);
  }
}

TEST_P(HessianLearnerTest, MoreNeuronsThanInputsAreFound) {
  const SmoothNetwork truth = one_layer(10, 25, Activation::tanh, 2);
  SmoothProblem problem = of(Activation::tanh);
  problem.layers = 1;
  const Learned<SmoothNetwork> result = learned(truth, problem);
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  EXPECT_EQ(result.network.neurons(0), 25);
  EXPECT_LT(ball_error(truth, result.network), 1e-12);
}

TEST_P(HessianLearnerTest, TwoHiddenLayersAreLearnedToRounding) {
  struct Case {
    Index d, m0, m1;
    double shifts;
    Activation g, h;
  };
  for (const Case& c : {Case{10, 10, 3, 0.05, Activation::tanh, Activation::tanh},
                        Case{12, 8, 3, 0.2, Activation::tanh, Activation::tanh},
                        Case{10, 10, 3, 0.05, Activation::sigmoid, Activation::sigmoid}}) {
    const SmoothNetwork truth = two_layers(c.d, c.m0, c.m1, c.shifts, c.g, c.h, 1);
    const Learned<SmoothNetwork> result = learned(truth, of(c.g, c.h));
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
    EXPECT_EQ(result.network.layers(), 2);
    EXPECT_EQ(result.network.neurons(0), c.m0);
    EXPECT_LT(ball_error(truth, result.network), 1e-12) << c.d << " " << to_string(c.g);
    EXPECT_EQ(result.report.method, "corners");
  }
}

TEST_P(HessianLearnerTest, ReluNetworksAndAffineOnesAreSentToTheirLearner) {
  for (const Index k : {0, 12}) {
    const auto oracle = make_network_oracle(planted_network(5, k, 1, 3));
    const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, {});
    EXPECT_EQ(result.report.outcome, Outcome::not_reached);
    EXPECT_THAT(result.report.message, StartsWith("HESSIAN_VANISHES"));
    EXPECT_THAT(result.report.message, HasSubstr("query learner"));
    EXPECT_LT(result.report.learning_queries, 400);
  }
}

TEST_P(HessianLearnerTest, TheNumberOfLayersIsFound) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const SmoothNetwork one = one_layer(8, 6, Activation::erf, seed);
    const SmoothNetwork two = two_layers(8, 8, 3, 0.3, Activation::erf, Activation::erf, seed);
    EXPECT_EQ(learned(one, of(Activation::erf)).network.layers(), 1);
    const Learned<SmoothNetwork> both = learned(two, of(Activation::erf, Activation::erf));
    EXPECT_EQ(both.network.layers(), 2);
    EXPECT_EQ(both.report.outcome, Outcome::reached) << both.report.message;
    EXPECT_EQ(both.report.queries.at("hessians"), 80);  // two layers are told without one
  }
}

// Uniform error on the ball of three or four times sigma: what so many points allow.
TEST_P(HessianLearnerTest, OneNeuronIsFoundAndOneInputToo) {
  for (const Activation g : kActivations) {
    for (const Index d : {1, 6}) {
      const SmoothNetwork truth = one_layer(d, 1, g, 2);
      const Learned<SmoothNetwork> result = learned(truth, of(g));
      EXPECT_EQ(result.report.outcome, Outcome::reached)
          << to_string(g) << " " << d << ": " << result.report.message;
      EXPECT_EQ(result.network.layers(), 1);
      EXPECT_EQ(result.network.neurons(0), 1);
      EXPECT_EQ(result.report.method, saturates(g) ? "far field" : "one layer");
    }
  }
}

// Answers are standardized: what counts is what is learned of F - E F over its deviation.
TEST_P(HessianLearnerTest, TheSizeAndTheOffsetOfAnswersMakeNoDifference) {
  for (const double scale : {1e-8, 1e6}) {
    for (const bool single : {false, true}) {
      SmoothNetwork truth = single
                                ? one_layer(6, 4, Activation::tanh, 1)
                                : two_layers(8, 6, 2, 0.1, Activation::tanh, Activation::tanh, 1);
      for (Index i = 0; i < truth.output.size(); ++i) truth.output.data()[i] *= scale;
      truth.constant(0, 0) = 3 * scale;
      const Learned<SmoothNetwork> result = learned(truth, {});
      EXPECT_EQ(result.report.outcome, Outcome::reached) << scale << ": " << result.report.message;
      EXPECT_EQ(result.network.layers(), single ? 1 : 2);
      EXPECT_LT(ball_error(truth, result.network), 1e-12 * scale);
      EXPECT_LT(result.report.relative_error.value(), 1e-12);
    }
  }
}

// A neuron of a ten-millionth is below what Hessians show, and within an accuracy of 1e-4: fresh
// points see that it is missing all the same.
TEST_P(HessianLearnerTest, SomethingSmallThatIsMissingIsNotReached) {
  SmoothNetwork truth = one_layer(6, 5, Activation::tanh, 1);
  truth.output(0, 4) = 1e-7;
  SmoothProblem problem;
  problem.accuracy = 1e-4;
  problem.layers = 1;
  for (const std::optional<Index> neurons : {std::optional<Index>{}, std::optional<Index>{4}}) {
    problem.neurons = neurons;
    const Learned<SmoothNetwork> result = learned(truth, problem);
    EXPECT_EQ(result.network.neurons(0), 4);
    EXPECT_LT(result.report.relative_error.value(), problem.accuracy);
    EXPECT_GT(result.report.certificate->beyond_limit, 0);
    EXPECT_EQ(result.report.outcome, Outcome::not_reached);
    EXPECT_THAT(result.report.message, HasSubstr("something small is missing"));
  }
}

// 300 inputs, of which F sees a few directions: the price is five queries a weight, no fit has as
// many unknowns as there are weights (3000 and 3000, of at most 500), and nothing of the accuracy
// is lost. Steep neurons, whose gradients are the least exact, among them.
TEST_P(HessianLearnerTest, ManyInputsCostNoFitOfAllWeights) {
  HessianPlan plan;
  plan.most_unknowns = 500;
  SmoothNetwork steep = one_layer(300, 5, Activation::tanh, 3);
  for (Index j = 0; j < 300; ++j) steep.hidden[0].weights(0, j) *= 4;
  const SmoothNetwork deep = two_layers(300, 10, 3, 0.2, Activation::tanh, Activation::tanh, 3);
  const SmoothNetwork bent = one_layer(300, 5, Activation::softplus, 3);
  for (const SmoothNetwork& truth : {steep, deep, bent}) {
    const Learned<SmoothNetwork> result = learned(truth, of(truth.hidden[0].activation), 1, plan);
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
    EXPECT_LT(ball_error(truth, result.network), 1e-12);
    const Index weights = 300 * truth.neurons(0);
    EXPECT_LT(result.report.learning_queries, 6 * weights + 10000);
  }
}

// Gradients at 12 points miss neurons that are constant but for a twentieth of the inputs.
TEST_P(HessianLearnerTest, SteepNeuronsAreNotLeftOutOfTheBasis) {
  SmoothNetwork truth = two_layers(14, 14, 2, 0.05, Activation::tanh, Activation::tanh, 1);
  for (Index i = 0; i < 14 * 14; ++i) truth.hidden[0].weights.data()[i] *= 10;
  const Learned<SmoothNetwork> result = learned(truth, {});
  EXPECT_EQ(result.network.layers(), 2);
  EXPECT_EQ(result.network.neurons(0), 14);
  EXPECT_LT(result.report.relative_error.value(), 1e-6) << result.report.message;
}

// ReLU targets with rounded answers: kinks within the step, at which differences disagree.
TEST_P(HessianLearnerTest, WhereTheTargetMayBeAReluNetworkDisagreementEndsIt) {
  Imperfection noise;
  noise.kind = Imperfection::Kind::noise;
  noise.deviation = 1e-4;
  const auto oracle =
      make_imperfect_oracle(make_network_oracle(planted_network(8, 4, 1, 3)), noise);
  HessianPlan plan;
  plan.only_smooth = true;
  const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, {}, plan);
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, StartsWith("HESSIAN_VANISHES"));
  EXPECT_LT(result.report.learning_queries, 400);
}

TEST_P(HessianLearnerTest, ABoxThatEndsNearTheOriginMayHaveOneLayer) {
  const SmoothNetwork truth = one_layer(5, 3, Activation::tanh, 1);
  for (const double end : {20.0, 1e6}) {  // 2e5 is asked whether F is constant
    for (const std::optional<Index> layers : {std::optional<Index>(1), std::optional<Index>()}) {
      const auto oracle = make_host_oracle(5, 1, [&](ConstHostView x, HostView y) {
        const HostMatrix values = exact_values(truth, HostMatrix(x));
        for (Index i = 0; i < y.rows; ++i) {
          y(i, 0) = std::fabs(x(i, 0)) > end ? std::nan("") : values(i, 0);
        }
      });
      SmoothProblem problem;
      problem.layers = layers;
      const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, problem);
      EXPECT_EQ(result.report.outcome, Outcome::reached) << end << result.report.message;
      EXPECT_EQ(result.report.method, "one layer") << end;
      EXPECT_FALSE(result.report.warnings.empty());
    }
  }
}

TEST_P(HessianLearnerTest, AnswersWithErrorsAreLearnedToTheirFloorAndTheReportSaysSo) {
  for (const double sigma : {1e-6, 1e-4}) {
    for (const bool single : {false, true}) {
      const SmoothNetwork truth =
          single ? one_layer(10, 8, Activation::tanh, 1)
                 : two_layers(10, 8, 3, 0.2, Activation::tanh, Activation::tanh, 1);
      Imperfection noise;
      noise.kind = Imperfection::Kind::noise;
      noise.deviation = sigma;
      const auto oracle = make_imperfect_oracle(make_network_oracle(truth), noise);
      SmoothProblem problem;
      problem.layers = single ? 1 : 2;
      const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, problem);
      EXPECT_EQ(result.report.outcome, Outcome::not_reached);
      EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
      EXPECT_EQ(result.report.answer_format, "noise");
      EXPECT_NEAR(result.report.answer_noise, sigma, 0.4 * sigma);
      EXPECT_LT(ball_error(truth, result.network), 4 * sigma) << single;
      EXPECT_GT(ball_error(truth, result.network), 0.01 * sigma) << single;
    }
  }
}

TEST_P(HessianLearnerTest, AnswersInSinglePrecisionAreLearnedToTheirRounding) {
  Imperfection single;
  single.kind = Imperfection::Kind::float32;
  for (const Index layers : {1, 2}) {
    const SmoothNetwork truth =
        layers == 1 ? one_layer(10, 8, Activation::tanh, 1)
                    : two_layers(10, 8, 3, 0.2, Activation::tanh, Activation::tanh, 1);
    const auto oracle = make_imperfect_oracle(make_network_oracle(truth), single);
    SmoothProblem problem;
    problem.accuracy = 1e-6;
    const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, problem);
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
    EXPECT_EQ(result.network.layers(), layers);
    EXPECT_EQ(result.report.answer_format, "float32");
    EXPECT_LT(ball_error(truth, result.network), 2e-7);
  }
}

TEST_P(HessianLearnerTest, MoreNeuronsThanMatricesAreARankThatSaturates) {
  SmoothProblem problem;
  problem.layers = 1;
  const Learned<SmoothNetwork> result =
      learned(one_layer(4, 12, Activation::tanh, 1), problem);  // 10 symmetric matrices
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, StartsWith("RANK_SATURATED"));
}

TEST_P(HessianLearnerTest, TwoLayersThatDoNotSaturateAreNotGuessedAt) {
  SmoothProblem problem = of(Activation::softplus, Activation::tanh);
  problem.layers = 2;
  const Learned<SmoothNetwork> result =
      learned(two_layers(5, 5, 2, 0.1, Activation::softplus, Activation::tanh, 1), problem);
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, StartsWith("NOT_SATURATING"));
  EXPECT_THAT(result.report.message, HasSubstr("second_neurons"));
}

// 500 (8 + 2) + 1 unknowns: nothing is asked for them.
TEST_P(HessianLearnerTest, ASecondLayerOfTooManyUnknownsIsNotTried) {
  const SmoothNetwork truth = two_layers(8, 8, 2, 0.1, Activation::tanh, Activation::tanh, 1);
  SmoothProblem problem;
  problem.layers = 2;
  problem.second_neurons = 500;
  HessianPlan plan;
  plan.most_unknowns = 5000;
  const Learned<SmoothNetwork> result = learned(truth, problem, 1, plan);
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, StartsWith("TOO_MANY_UNKNOWNS"));
  EXPECT_EQ(result.report.queries.count("corners"), 0u);
  plan.most_unknowns = 20;  // two neurons: 21
  problem.second_neurons.reset();
  EXPECT_THAT(learned(truth, problem, 1, plan).report.message, StartsWith("TOO_MANY_UNKNOWNS"));
}

TEST_P(HessianLearnerTest, DirectionsThatDependAreIncomplete) {
  SmoothNetwork truth = two_layers(6, 6, 2, 0.1, Activation::tanh, Activation::tanh, 1);
  HostMatrix& weights = truth.hidden[0].weights;
  for (Index j = 0; j < 6; ++j) weights(5, j) = weights(0, j) + 0.5 * weights(1, j);
  SmoothProblem problem;
  problem.layers = 2;
  problem.neurons = 6;
  const Learned<SmoothNetwork> result = learned(truth, problem);
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_FALSE(result.report.message.empty());
}

TEST_P(HessianLearnerTest, AWrongActivationIsAResidualThatIsTooLarge) {
  SmoothProblem problem = of(Activation::sin);
  problem.layers = 1;
  const Learned<SmoothNetwork> result = learned(one_layer(6, 4, Activation::gelu, 1), problem);
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, StartsWith("RESIDUAL_TOO_LARGE"));
}

TEST_P(HessianLearnerTest, ConstantAndSaturatedTargetsEndWithTheirReason) {
  SmoothNetwork constant = one_layer(4, 2, Activation::tanh, 1);
  constant.output = HostMatrix(1, 2);
  EXPECT_THAT(learned(constant, {}).report.message, StartsWith("HESSIAN_VANISHES"));
  SmoothNetwork saturated = one_layer(4, 2, Activation::tanh, 1);
  for (Index i = 0; i < 8; ++i) saturated.hidden[0].weights.data()[i] *= 1e5;
  const Learned<SmoothNetwork> result = learned(saturated, {});
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("constant at most points"));
}

TEST_P(HessianLearnerTest, ABudgetIsNeverExceededAndAStopEndsWithTheBestThereIs) {
  const SmoothNetwork truth = two_layers(8, 6, 2, 0.1, Activation::tanh, Activation::tanh, 1);
  const auto oracle = make_network_oracle(truth);
  const Index all = learn_from_hessians(device(), *oracle, {}).report.learning_queries;
  for (const Index budget : {Index{760}, all}) {
    RunControl control;
    control.budget.queries = budget;
    const RunReport report = learn_from_hessians(device(), *oracle, {}, {}, control).report;
    EXPECT_LE(report.learning_queries + report.certificate_queries, budget);
    EXPECT_EQ(report.outcome, Outcome::out_of_budget) << budget << " of " << all;
  }
  for (const int calls : {2, 5, 20}) {
    int asked = 0;
    RunControl control;
    control.stop = [&] { return ++asked > calls; };
    EXPECT_EQ(learn_from_hessians(device(), *oracle, {}, {}, control).report.outcome,
              Outcome::stopped);
  }
}

TEST_P(HessianLearnerTest, AnOracleThatFailsEndsItWithItsWords) {
  const SmoothNetwork truth = one_layer(5, 3, Activation::tanh, 1);
  for (const Index after : {0, 300, 700}) {
    Index answered = 0;
    const auto oracle = make_host_oracle(5, 1, [&](ConstHostView x, HostView y) {
      answered += x.rows;
      if (answered > after) throw Error("the box is broken");
      HostMatrix points(x);
      const HostMatrix values = exact_values(truth, points);
      for (Index i = 0; i < y.rows; ++i) y(i, 0) = values(i, 0);
    });
    RunControl control;
    control.retries = 0;
    if (after == 0) {
      EXPECT_THROW(learn_from_hessians(device(), *oracle, {}, {}, control), OracleError);
      continue;
    }
    const RunReport report = learn_from_hessians(device(), *oracle, {}, {}, control).report;
    EXPECT_EQ(report.outcome, Outcome::oracle_failed);
    EXPECT_THAT(report.message, HasSubstr("the box is broken"));
  }
}

TEST(HessianLearner, ALostDeviceIsAnErrorBeforeTheFirstAnswerAndAnOutcomeAfterIt) {
  const SmoothNetwork truth = one_layer(4, 2, Activation::tanh, 1);
  const auto learn = [&](Device& device) {
    const auto oracle = make_network_oracle(truth);
    return learn_from_hessians(device, *oracle, {});
  };
  FailingDevice whole;
  learn(whole);
  Index lost = 0, thrown = 0;
  for (Index last = 1; last < whole.operations(); last += whole.operations() / 40) {
    FailingDevice device(last);
    try {
      const RunReport report = learn(device).report;
      EXPECT_EQ(report.outcome, Outcome::device_lost);
      EXPECT_EQ(report.message, FailingDevice::kText);
      EXPECT_EQ(device.touched_after(), 0);
      ++lost;
    } catch (const DeviceError&) {
      ++thrown;
    }
  }
  EXPECT_GT(lost, 0);
  EXPECT_GT(thrown, 0);
}

TEST_P(HessianLearnerTest, WhatCannotBeTriedIsRefusedBeforeTheFirstQuestion) {
  const SmoothNetwork truth = one_layer(4, 3, Activation::tanh, 1);
  SmoothProblem problem;
  problem.layers = 3;
  EXPECT_THROW(learned(truth, problem), BadInput);
  problem = {};
  problem.neurons = 0;
  EXPECT_THROW(learned(truth, problem), BadInput);
  problem = {};
  problem.accuracy = -1;
  EXPECT_THROW(learned(truth, problem), BadInput);
  HessianPlan plan;
  plan.radius = 0;
  EXPECT_THROW(learned(truth, {}, 1, plan), BadInput);
  const auto two_outputs = make_network_oracle(planted_smooth(3, {2}, 2, {Activation::tanh}, 1));
  EXPECT_THROW(learn_from_hessians(device(), *two_outputs, {}), BadInput);
  const auto oracle = make_network_oracle(truth);
  RunControl control;
  control.budget.queries = 100;
  try {
    learn_from_hessians(device(), *oracle, {}, {}, control);
    FAIL() << "no error";
  } catch (const BadInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("the budget is 100 queries"));
  }
}

}  // namespace
}  // namespace crease
