// What the Hessian learner does with targets and budgets that do not allow it to learn.
#include <crease/hessian_learner.hpp>

#include <gmock/gmock.h>

#include <cmath>

#include "src/smooth_families.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What `crease make smooth` makes.
SmoothNetwork made(Index inputs, Index neurons, std::optional<Index> second_layer = {}) {
  SmoothPlan plan;
  plan.inputs = inputs;
  plan.neurons = neurons;
  plan.second_layer = second_layer;
  return make_smooth_network(plan, Seed{1});
}

class HessianInputsTest : public EveryBackend {
 protected:
  /// A network of d inputs that answers up to a distance from the origin, and NaN beyond.
  std::unique_ptr<Oracle> in_a_ball(const SmoothNetwork& network, double radius) {
    return make_host_oracle(network.inputs(), 1,
                            [this, network, radius](ConstHostView x, HostView y) {
                              const HostMatrix values = evaluate(device(), network, HostMatrix(x));
                              for (Index i = 0; i < y.rows; ++i) {
                                const double length = std::sqrt(dot(&x(i, 0), &x(i, 0), x.cols));
                                farthest_ = std::max(farthest_, length);
                                asked_ += 1;
                                y(i, 0) = length > radius ? std::nan("") : values(i, 0);
                              }
                            });
  }

  double farthest_ = 0;  // distance of a point that was asked for
  Index asked_ = 0;
};
CREASE_ON_EVERY_BACKEND(HessianInputsTest);

// Hessians are asked for at 1.5 N(0, I): nothing else comes as far out, where the activation does
// not saturate.
TEST_P(HessianInputsTest, AStencilThatLeavesTheDomainEndsItAndNothingIsMadeUp) {
  SmoothNetwork truth = made(12, 12);
  truth.hidden[0].activation = Activation::gelu;
  SmoothProblem problem;
  problem.first = Activation::gelu;
  problem.layers = 1;
  const auto everywhere = in_a_ball(truth, HUGE_VAL);
  HessianPlan plan;
  plan.certificate_points = plan.ball_points = 0;
  const RunReport whole = learn_from_hessians(device(), *everywhere, problem, plan).report;

  const auto oracle = in_a_ball(truth, farthest_ * (1 - 1e-6));
  const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, problem);
  EXPECT_EQ(result.report.outcome, Outcome::oracle_failed);
  EXPECT_THAT(result.report.message, HasSubstr("NaN or infinity"));
  EXPECT_LT(result.report.learning_queries, whole.learning_queries);
  EXPECT_EQ(result.report.queries.count("least_squares"), 0u);  // the Hessians were the end
  EXPECT_EQ(result.report.certificate_queries, 0);
  EXPECT_EQ(result.network.inputs(), 12);
  EXPECT_EQ(result.network.neurons(0), 0);
}

// Gradients with this noise show 19 of the 20 directions; a line far out meets 20 neurons.
TEST_P(HessianInputsTest, ADirectionThatNoiseHidesFromGradientsIsFoundFarOut) {
  Imperfection noise;
  noise.kind = Imperfection::Kind::noise;
  noise.deviation = 1e-6;
  noise.seed = Seed{0};
  const auto oracle = make_imperfect_oracle(make_network_oracle(made(20, 20, 5)), noise);
  SmoothProblem problem;
  problem.layers = 2;
  RunControl control;
  control.seed = Seed{0};
  const Learned<SmoothNetwork> result =
      learn_from_hessians(device(), *oracle, problem, {}, control);
  EXPECT_EQ(result.network.neurons(0), 20);
  EXPECT_EQ(result.network.layers(), 2);
  EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
}

TEST_P(HessianInputsTest, ABoxThatAnswersNothingIsAnError) {
  const auto oracle = in_a_ball(made(4, 3), 1e-3);
  EXPECT_THROW(learn_from_hessians(device(), *oracle, {}), OracleError);
}

TEST_P(HessianInputsTest, ABudgetBelowTheLeastIsRefusedBeforeTheFirstQuestionAndTheLeastIsSpent) {
  const SmoothNetwork truth = made(5, 3);
  for (const std::optional<Index> layers : {std::optional<Index>{}, std::optional<Index>{2}}) {
    SmoothProblem problem;
    problem.layers = layers;
    const Index least = least_queries(problem, {}, 5);
    const auto oracle = in_a_ball(truth, HUGE_VAL);
    RunControl control;
    control.budget.queries = least - 1;
    asked_ = 0;
    EXPECT_THROW(learn_from_hessians(device(), *oracle, problem, {}, control), BadInput);
    EXPECT_EQ(asked_, 0);
    control.budget.queries = least;
    const RunReport report = learn_from_hessians(device(), *oracle, problem, {}, control).report;
    EXPECT_EQ(report.outcome, Outcome::out_of_budget) << report.message;
    EXPECT_GT(asked_, 0);
    EXPECT_LE(asked_, least);
    EXPECT_EQ(asked_, report.learning_queries + report.certificate_queries);
  }
}

TEST_P(HessianInputsTest, TwoLayersWithMoreNeuronsThanInputsAreNotCalledLearned) {
  const auto oracle = make_network_oracle(made(5, 8, 2));
  for (const std::optional<Index> neurons : {std::optional<Index>{}, std::optional<Index>{8}}) {
    SmoothProblem problem;
    problem.layers = 2;
    problem.neurons = neurons;
    const RunReport report = learn_from_hessians(device(), *oracle, problem).report;
    EXPECT_EQ(report.outcome, Outcome::not_reached);
    EXPECT_THAT(report.message,
                AnyOf(StartsWith("FAR_FIELD_INCOMPLETE"), StartsWith("RESIDUAL_TOO_LARGE")));
  }
}

// The first and the last neuron of the first layer have one hyperplane, or parallel ones.
TEST_P(HessianInputsTest, TwoNeuronsThatAreOneAreLearnedAsOneAndParallelOnesAreNotCalledLearned) {
  SmoothNetwork truth = made(6, 6, 2);
  SmoothNetwork::Layer& layer = truth.hidden[0];
  for (Index j = 0; j < 6; ++j) layer.weights(5, j) = -layer.weights(0, j);
  SmoothProblem problem;
  problem.layers = 2;
  for (const bool are_one : {true, false}) {
    layer.bias(5, 0) = are_one ? -layer.bias(0, 0) : 0.5 - layer.bias(0, 0);
    const auto oracle = make_network_oracle(truth);
    const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, problem);
    EXPECT_EQ(result.report.outcome, are_one ? Outcome::reached : Outcome::not_reached)
        << result.report.message;
    EXPECT_EQ(result.network.neurons(0), 5);
  }
}

}  // namespace
}  // namespace crease
