// The query learner given a smooth target: it says so instead of looking for kinks.
#include <crease/query_learner.hpp>

#include <gmock/gmock.h>

#include "tests/support/devices.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

class SmoothTargetTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SmoothTargetTest);

TEST_P(SmoothTargetTest, ASmoothTargetEndsItAfterAHundredQueries) {
  for (const Activation g : kActivations) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const auto oracle = make_network_oracle(planted_smooth(6, {8}, 1, {g}, seed));
      const Learned<ReluNetwork> result = learn_from_queries(device(), *oracle, {});
      EXPECT_EQ(result.report.outcome, Outcome::not_reached) << to_string(g);
      EXPECT_THAT(result.report.message, HasSubstr("learn_from_hessians()")) << to_string(g);
      EXPECT_LE(result.report.learning_queries, 120 + 256) << to_string(g);
    }
  }
}

TEST_P(SmoothTargetTest, RoundedAnswersOfASmoothTargetToo) {
  Imperfection single;
  single.kind = Imperfection::Kind::float32;
  const auto oracle = make_imperfect_oracle(
      make_network_oracle(planted_smooth(6, {8}, 1, {Activation::tanh}, 1)), single);
  const Learned<ReluNetwork> result = learn_from_queries(device(), *oracle, {});
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message, HasSubstr("learn_from_hessians()"));
}

TEST_P(SmoothTargetTest, SeveralOutputsAreSaidToBeMoreThanTheOtherLearnerTakes) {
  const auto oracle = make_network_oracle(planted_smooth(6, {8}, 3, {Activation::tanh}, 1));
  const Learned<ReluNetwork> result = learn_from_queries(device(), *oracle, {});
  EXPECT_EQ(result.report.outcome, Outcome::not_reached);
  EXPECT_THAT(result.report.message,
              HasSubstr("(--learner hessian) is for one output at a time, not for 3"));
}

// Kinks in every stencil are no smoothness.
TEST_P(SmoothTargetTest, WideReluNetworksAreNotTakenForSmooth) {
  for (const Index k : {50, 2000}) {
    const auto oracle = make_network_oracle(planted_network(6, k, 1, 1));
    RunControl control;
    control.budget.queries = 3000;
    const Learned<ReluNetwork> result = learn_from_queries(device(), *oracle, {}, {}, control);
    EXPECT_THAT(result.report.message, testing::Not(HasSubstr("learn_from_hessians()"))) << k;
  }
}

}  // namespace
}  // namespace crease
