// The polish within a run: what the report says, what a budget leaves, what is refused.
#include <crease/query_learner.hpp>

#include <cmath>
#include <stdexcept>

#include "src/families.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kTolerance = 0x1p-40;

QueryProblem with_polish() {
  QueryProblem problem;
  problem.polish = kTolerance;
  return problem;
}

/// Few points: the certificate is not what is tested here.
QueryPlan small_plan() {
  QueryPlan plan;
  plan.certificate_points = 256;
  return plan;
}

class PolishStepTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(PolishStepTest);

TEST_P(PolishStepTest, WeightsAndBiasesAreRightToTheTolerance) {
  for (const Index p : {1, 3}) {
    const ReluNetwork truth = planted_network(12, 8, p, 61);
    const auto oracle = make_network_oracle(truth);

    const Learned<ReluNetwork> learned =
        learn_from_queries(device(), *oracle, with_polish(), small_plan());

    EXPECT_EQ(learned.report.outcome, Outcome::reached) << learned.report.message;
    EXPECT_TRUE(learned.report.polish.accepted);
    ASSERT_EQ(static_cast<Index>(learned.report.neuron_errors.size()), learned.network.neurons());
    const NetworkMatch found = match(truth, learned.network);
    EXPECT_EQ(found.matched, 8);
    EXPECT_TRUE(at_most(std::max(found.weights, found.biases), kTolerance)) << "p=" << p;
    EXPECT_GT(learned.report.queries.at("polish"), 0);
    for (const NeuronError& error : learned.report.neuron_errors) {
      EXPECT_GT(error.weights, 0);
      EXPECT_TRUE(at_most(error.weights, kTolerance));
      EXPECT_GT(error.floor, 0);
    }
  }
}

TEST_P(PolishStepTest, WithoutBeingAskedNothingIsPolished) {
  const auto oracle = make_network_oracle(planted_network(6, 3, 1, 62));

  const RunReport report = learn_from_queries(device(), *oracle, {}, small_plan()).report;

  EXPECT_FALSE(report.polish.asked);
  EXPECT_TRUE(report.neuron_errors.empty());
  EXPECT_EQ(report.queries.count("polish"), 0U);
}

TEST_P(PolishStepTest, NastyFamiliesEndReached) {
  for (const char* family : {"dead", "affine", "parallel", "clusters"}) {
    FamilyPlan plan;
    plan.family = family;
    plan.inputs = 8;
    plan.neurons = 6;
    plan.outputs = 1;
    const ReluNetwork truth = make_family(plan, {5});
    const auto oracle = make_network_oracle(truth);

    const Learned<ReluNetwork> learned =
        learn_from_queries(device(), *oracle, with_polish(), small_plan());

    EXPECT_EQ(learned.report.outcome, Outcome::reached) << family << learned.report.message;
    EXPECT_EQ(match(truth, learned.network).missing, 0) << family;
  }
}

TEST_P(PolishStepTest, ABudgetThatEndsWithinItIsNotExceeded) {
  const ReluNetwork truth = planted_network(12, 8, 1, 61);
  Index before = 0;  // learning queries without the polish
  Index after = 0;   // and with it
  {
    const auto oracle = make_network_oracle(truth);
    const RunReport report =
        learn_from_queries(device(), *oracle, with_polish(), small_plan()).report;
    after = report.learning_queries;
    before = after - report.queries.at("polish");
  }
  for (Index budget = before; budget < after; budget += (after - before) / 6) {
    const auto oracle = make_network_oracle(truth);
    RunControl control;
    control.budget.queries = budget + 256;
    const Learned<ReluNetwork> learned =
        learn_from_queries(device(), *oracle, with_polish(), small_plan(), control);

    EXPECT_LE(learned.report.learning_queries + learned.report.certificate_queries, budget + 256);
    EXPECT_EQ(match(truth, learned.network).matched, 8) << budget;
    EXPECT_FALSE(learned.report.warnings.empty()) << budget;
  }
}

TEST_P(PolishStepTest, AnOracleThatFailsWithinItLeavesTheNetworkFromBefore) {
  const ReluNetwork truth = planted_network(12, 8, 1, 61);
  std::size_t batches = 0;
  Index polish_queries = 0;
  {
    RecordingOracle oracle(truth, RecordingOracle::Manner::structured);
    const RunReport report =
        learn_from_queries(device(), oracle, with_polish(), small_plan()).report;
    batches = oracle.batches.size();
    polish_queries = report.queries.at("polish");
  }
  ASSERT_GT(polish_queries, 0);
  RecordingOracle oracle(truth, RecordingOracle::Manner::structured);
  oracle.after = [&](Device&, DeviceView) {
    if (oracle.batches.size() + 2 >= batches) throw std::runtime_error("the cable is out");
  };

  const Learned<ReluNetwork> learned =
      learn_from_queries(device(), oracle, with_polish(), small_plan());

  EXPECT_EQ(learned.report.outcome, Outcome::oracle_failed);
  EXPECT_FALSE(learned.report.polish.accepted);
  EXPECT_TRUE(learned.report.neuron_errors.empty());
  EXPECT_EQ(match(truth, learned.network).matched, 8);
}

TEST_P(PolishStepTest, ANetworkThatFinalPointsRefuteIsNotCalledPolished) {
  const ReluNetwork truth = planted_network(12, 8, 1, 61);
  const Index points = small_plan().certificate_points;
  RunReport whole;
  std::size_t batches = 0;
  {
    RecordingOracle oracle(truth, RecordingOracle::Manner::structured);
    whole = learn_from_queries(device(), oracle, with_polish(), small_plan()).report;
    batches = oracle.batches.size();
  }
  ASSERT_TRUE(whole.polish.accepted);
  // The last batch, the certificate's, has one answer that is another: and then the budget is
  // spent.
  RecordingOracle oracle(truth, RecordingOracle::Manner::structured);
  oracle.after = [&](Device& on, DeviceView y) {
    if (oracle.batches.size() == batches) on.copy_in(HostMatrix(1, 1, 100), y.row_block(0, 1));
  };
  RunControl control;
  control.budget.queries = whole.learning_queries + points;
  const Learned<ReluNetwork> learned =
      learn_from_queries(device(), oracle, with_polish(), small_plan(), control);

  EXPECT_EQ(to_string(learned.report.outcome), "out_of_budget") << learned.report.message;
  EXPECT_EQ(learned.network.neurons(), 8);
  EXPECT_TRUE(learned.report.polish.asked);
  EXPECT_FALSE(learned.report.polish.accepted);
  EXPECT_TRUE(learned.report.neuron_errors.empty());
}

TEST_P(PolishStepTest, AFunctionWithoutNeuronsIsNotSaidToMissOne) {
  for (const Index d : {1, 2, 5}) {
    for (const Index p : {1, 3}) {
      ReluNetwork truth(d, 0, p);
      for (Index o = 0; o < p; ++o) truth.constant(o, 0) = 0.1 * static_cast<double>(o + 1);
      const auto oracle = make_network_oracle(truth);

      const RunReport report =
          learn_from_queries(device(), *oracle, with_polish(), small_plan()).report;

      EXPECT_EQ(report.outcome, Outcome::reached) << report.message;
      for (const std::string& warning : report.warnings) {
        EXPECT_FALSE(warning.starts_with("no polish")) << warning << ", d=" << d << " p=" << p;
      }
    }
  }
}

TEST_P(PolishStepTest, BadTolerancesAndTheUniformModeAreRefused) {
  const auto oracle = make_network_oracle(planted_network(4, 2, 1, 62));
  for (const double tolerance : {0.0, 1.0, -1.0, std::nan("")}) {
    QueryProblem problem;
    problem.polish = tolerance;
    EXPECT_THROW(learn_from_queries(device(), *oracle, problem), BadInput) << tolerance;
  }
  QueryPlan uniform;
  uniform.mode = QueryPlan::Mode::uniform;
  EXPECT_THROW(learn_from_queries(device(), *oracle, with_polish(), uniform), BadInput);
}

}  // namespace
}  // namespace crease
