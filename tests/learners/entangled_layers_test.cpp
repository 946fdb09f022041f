// Two hidden layers by the paper's own path, and where it is taken.
#include <crease/hessian_learner.hpp>

#include <gmock/gmock.h>

#include "src/smooth_families.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// The paper's model: unit rows of A and B, shifts of .05, outputs 1.
SmoothNetwork planted(Index d, Index m0, Index m1, SmoothPlan::Directions directions, Activation g,
                      Activation h) {
  SmoothPlan plan;
  plan.inputs = d;
  plan.neurons = m0;
  plan.second_layer = m1;
  plan.directions = directions;
  plan.activations = {g, h};
  return make_smooth_network(plan, Seed{1});
}

double largest_error(const SmoothNetwork& truth, const SmoothNetwork& learned) {
  const HostMatrix x = normals(1000, truth.inputs(), 4711);
  return distance(exact_values(truth, x), exact_values(learned, x));
}

class EntangledLayersTest : public EveryBackend {
 protected:
  Learned<SmoothNetwork> learned(const SmoothNetwork& truth, const SmoothProblem& problem,
                                 const HessianPlan& plan = {}) {
    const auto oracle = make_network_oracle(truth);
    RunControl control;
    control.seed = Seed{1};
    return learn_from_hessians(device(), *oracle, problem, plan, control);
  }
  static SmoothProblem of(Activation first, Activation second, Index second_neurons) {
    SmoothProblem problem;
    problem.first = first;
    problem.second = second;
    problem.second_neurons = second_neurons;
    return problem;
  }
};
CREASE_ON_EVERY_BACKEND(EntangledLayersTest);

TEST_P(EntangledLayersTest, NetworksAreLearnedToRounding) {
  struct Case {
    Index d, m0, m1;
    SmoothPlan::Directions directions;
    Activation g, h;
  };
  using enum SmoothPlan::Directions;
  for (const Case& c : {Case{6, 6, 2, orthogonal, Activation::tanh, Activation::tanh},
                        Case{10, 10, 2, orthogonal, Activation::tanh, Activation::tanh},
                        Case{12, 6, 2, sphere, Activation::erf, Activation::tanh},
                        Case{6, 6, 2, orthogonal, Activation::sigmoid, Activation::sigmoid}}) {
    const SmoothNetwork truth = planted(c.d, c.m0, c.m1, c.directions, c.g, c.h);
    HessianPlan plan;
    plan.entangled = true;
    const Learned<SmoothNetwork> result = learned(truth, of(c.g, c.h, c.m1), plan);
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
    EXPECT_EQ(result.network.neurons(0), c.m0);
    EXPECT_EQ(result.network.neurons(1), c.m1);
    EXPECT_LT(largest_error(truth, result.network), 1e-12) << c.d << " " << to_string(c.g);
    EXPECT_EQ(result.report.method, "entangled");
  }
}

TEST_P(EntangledLayersTest, TheAscentDoesTooAndWhateverTheSizeOfF) {
  SmoothNetwork truth =
      planted(5, 5, 2, SmoothPlan::Directions::orthogonal, Activation::tanh, Activation::tanh);
  for (Index l = 0; l < 2; ++l) truth.output(0, l) *= 1e5;
  truth.constant(0, 0) = -3e5;
  HessianPlan plan;
  plan.entangled = plan.ascent = true;
  const Learned<SmoothNetwork> result =
      learned(truth, of(Activation::tanh, Activation::tanh, 2), plan);
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  EXPECT_LT(largest_error(truth, result.network), 1e-7);
}

TEST_P(EntangledLayersTest, TwoLayersThatDoNotSaturateAreLearnedWhereTheSecondsNumberIsGiven) {
  for (const Activation g : {Activation::softplus, Activation::gelu, Activation::sin}) {
    const SmoothNetwork truth =
        planted(4, 4, 2, SmoothPlan::Directions::orthogonal, g, Activation::tanh);
    const Learned<SmoothNetwork> result = learned(truth, of(g, Activation::tanh, 2));
    EXPECT_EQ(result.report.outcome, Outcome::reached)
        << to_string(g) << ": " << result.report.message;
    EXPECT_EQ(result.report.method, "entangled");
    EXPECT_LT(largest_error(truth, result.network), 1e-12) << to_string(g);
  }
}

// A box that answers 0 beyond a ball: nothing is found far out, all of it near the origin.
TEST_P(EntangledLayersTest, WhatFarFieldAndCornersMissIsTriedThisWay) {
  const SmoothNetwork truth =
      planted(4, 4, 2, SmoothPlan::Directions::orthogonal, Activation::tanh, Activation::tanh);
  const auto oracle = make_host_oracle(4, 1, [&](ConstHostView x, HostView y) {
    const HostMatrix points(x), values = exact_values(truth, points);
    for (Index i = 0; i < y.rows; ++i) {
      y(i, 0) = dot(points.row(i), points.row(i), 4) > 400 ? 0 : values(i, 0);
    }
  });
  SmoothProblem problem;
  problem.layers = 2;
  EXPECT_THAT(learn_from_hessians(device(), *oracle, problem).report.message,
              StartsWith("FAR_FIELD_INCOMPLETE"));
  problem.second_neurons = 2;
  const Learned<SmoothNetwork> result = learn_from_hessians(device(), *oracle, problem);
  EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
  EXPECT_EQ(result.report.method, "entangled");
  EXPECT_LT(largest_error(truth, result.network), 1e-12);

  // Not where it cannot be paid for: then what the first way said stands.
  problem.second_neurons.reset();
  const Index far = learn_from_hessians(device(), *oracle, problem).report.learning_queries;
  problem.second_neurons = 2;
  RunControl control;
  control.budget.queries = (far + 500) * 4 / 3;  // less a quarter for the certificate
  const RunReport poor = learn_from_hessians(device(), *oracle, problem, {}, control).report;
  EXPECT_EQ(poor.outcome, Outcome::not_reached);
  EXPECT_THAT(poor.message, StartsWith("FAR_FIELD_INCOMPLETE"));
  EXPECT_EQ(poor.learning_queries, far);
}

TEST_P(EntangledLayersTest, TheBudgetIsKeptAndTheBestOfTheAttempts) {
  // A second layer of three is no network of one: no attempt gets there.
  const SmoothNetwork truth =
      planted(5, 5, 3, SmoothPlan::Directions::orthogonal, Activation::tanh, Activation::tanh);
  const SmoothProblem problem = of(Activation::tanh, Activation::tanh, 1);
  HessianPlan plan;
  plan.entangled = true;
  for (const Index budget : {2500, 8000}) {
    const auto oracle = make_network_oracle(truth);
    RunControl control;
    control.budget.queries = budget;
    const Learned<SmoothNetwork> result =
        learn_from_hessians(device(), *oracle, problem, plan, control);
    EXPECT_EQ(result.report.outcome, Outcome::out_of_budget);
    EXPECT_LE(result.report.learning_queries + result.report.certificate_queries, budget);
    if (budget == 8000) {  // 3 6 31 Hessians' queries and some 500 more an attempt
      EXPECT_EQ(result.report.method, "entangled");
      EXPECT_EQ(result.network.neurons(1), 1);
      EXPECT_LT(result.report.relative_error.value(), 1);
    }
  }
}

TEST_P(EntangledLayersTest, TheyNeedTheSecondsNumberAndNoMoreFirstNeuronsThanDirections) {
  const SmoothNetwork truth =
      planted(4, 4, 2, SmoothPlan::Directions::orthogonal, Activation::tanh, Activation::tanh);
  SmoothProblem problem;
  HessianPlan plan;
  plan.entangled = true;
  EXPECT_THROW(learned(truth, problem, plan), BadInput);
  problem.layers = 1;
  EXPECT_THROW(learned(truth, problem, plan), BadInput);
  problem.layers = 2;
  EXPECT_THROW(learned(truth, problem, plan), BadInput);
  problem.second_neurons = 2;
  problem.neurons = 6;
  for (const bool is_entangled : {false, true}) {
    plan.entangled = is_entangled;
    const Learned<SmoothNetwork> result = learned(truth, problem, plan);
    EXPECT_EQ(result.report.outcome, Outcome::not_reached);
    EXPECT_THAT(result.report.message, HasSubstr("6 neurons of the first layer were asked for"));
  }
}

TEST_P(EntangledLayersTest, MoreUnknownsThanThePlanAllowsAreRefusedInWords) {
  const SmoothNetwork truth =
      planted(4, 4, 2, SmoothPlan::Directions::orthogonal, Activation::tanh, Activation::tanh);
  HessianPlan plan;
  plan.entangled = true;
  plan.most_unknowns = 32;  // of 4 (4 + 1) + 2 (4 + 2) + 1 = 33
  const RunReport report = learned(truth, of(Activation::tanh, Activation::tanh, 2), plan).report;
  EXPECT_EQ(report.outcome, Outcome::not_reached);
  EXPECT_THAT(report.message, HasSubstr("all 33 parameters"));
  plan.most_unknowns = 33;
  EXPECT_EQ(learned(truth, of(Activation::tanh, Activation::tanh, 2), plan).report.outcome,
            Outcome::reached);
}

// One first neuron, one second, one input: nothing to tell apart.
TEST_P(EntangledLayersTest, TheSmallestOnesAreLearnedToo) {
  for (const Index d : {1, 3}) {
    const SmoothNetwork truth =
        planted(d, 1, 1, SmoothPlan::Directions::orthogonal, Activation::tanh, Activation::tanh);
    HessianPlan plan;
    plan.entangled = true;
    const Learned<SmoothNetwork> result =
        learned(truth, of(Activation::tanh, Activation::tanh, 1), plan);
    EXPECT_EQ(result.report.outcome, Outcome::reached) << d << ": " << result.report.message;
    EXPECT_EQ(result.report.method, "entangled");
  }
}

}  // namespace
}  // namespace crease
