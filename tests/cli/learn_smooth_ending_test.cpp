// How crease learn --learner hessian ends where it learns nothing, not enough, or nothing that it
// vouches for: exit code, outcome and words.
#include <cmath>

#include "tests/support/children.hpp"
#include "tests/support/learn_smooth_program.hpp"

namespace crease {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

class LearnSmoothEndingTest : public LearnSmoothProgramTest {
 protected:
  /// boxed.py with that limit, learned.
  Json learned_in_box(const char* limit, Words more, int exit_code) {
    more.insert(more.end(), {"--inputs", "3", "--outputs", "1", "--learner", "hessian"});
    return learned("exec:" + boxed_child(limit), more, exit_code);
  }
};

TEST_F(LearnSmoothEndingTest, EveryStatusIsAnOutcomeWithItsExitCodeItsWordsAndBothFiles) {
  struct Case {
    const char* status;
    Words target;
    Words options;
  };
  const Case cases[] = {
      {"HESSIAN_VANISHES", {"gaussian", "--neurons", "3"}, {}},
      // 15 symmetric matrices of 5 x 5.
      {"RANK_SATURATED", {"smooth", "--neurons", "16"}, {"--layers", "1"}},
      {"FAR_FIELD_INCOMPLETE",
       {"smooth", "--neurons", "8", "--second-layer", "2"},
       {"--layers", "2", "--neurons", "8"}},
      {"NOT_SATURATING",
       {"smooth", "--neurons", "4", "--second-layer", "2", "--activation", "softplus,tanh"},
       {"--layers", "2", "--activation", "softplus,tanh"}},
      {"RESIDUAL_TOO_LARGE",
       {"smooth", "--neurons", "4", "--activation", "gelu"},
       {"--layers", "1", "--activation", "sin"}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.status);
    Words target = c.target, options = {"--learner", "hessian"};
    target.insert(target.end(), {"--inputs", "5"});
    options.insert(options.end(), c.options.begin(), c.options.end());
    const Json report = learned(made("t.npz", target), options, 3);
    EXPECT_EQ(report["outcome"], "not_reached");
    const std::string message = report["message"];
    EXPECT_THAT(message, StartsWith(std::string(c.status) + ": "));
    EXPECT_THAT(out_, HasSubstr(message));
    EXPECT_EQ(load_smooth_network(file("out.safetensors")).inputs(), 5);
  }
}

TEST_F(LearnSmoothEndingTest, OneLayerMayHaveMoreNeuronsThanInputs) {
  const std::string target = made("t.npz", {"smooth", "--inputs", "6", "--neurons", "10"});
  const Json report = learned(target, {"--learner", "hessian"});
  EXPECT_EQ(report["outcome"], "reached") << report["message"];
  EXPECT_EQ(report["neurons"], 10);
  EXPECT_EQ(report["method"], "one layer");
  EXPECT_LT(verified_against(target)["ball_error"]["largest"].get<double>(), 1e-12);
}

TEST_F(LearnSmoothEndingTest, TwoLayersWithMoreNeuronsThanInputsAreNotCalledLearned) {
  const std::string target =
      made("t.npz", {"smooth", "--inputs", "5", "--neurons", "8", "--second-layer", "2"});
  for (const Words& options : {Words{}, Words{"--layers", "2"}}) {
    Words more = {"--learner", "hessian"};
    more.insert(more.end(), options.begin(), options.end());
    const Json report = learned(target, more, 3);
    EXPECT_EQ(report["outcome"], "not_reached");
    EXPECT_THAT(report["message"].get<std::string>(),
                AnyOf(StartsWith("RANK_SATURATED"), StartsWith("FAR_FIELD_INCOMPLETE"),
                      StartsWith("RESIDUAL_TOO_LARGE")));
    // Whatever was written is as far off as the report says: two means of 2000 squares, each known
    // to a few per cent.
    if (report["relative_error"].is_null()) continue;
    const double said = report["relative_error"];
    EXPECT_GT(said, 1e-8);
    EXPECT_NEAR(verified_against(target)["relative_error"].get<double>() / said, 1, 0.3);
  }
}

TEST_F(LearnSmoothEndingTest, WithoutACertificateNothingIsReached) {
  const std::string target = made("t.npz", {"smooth", "--inputs", "5", "--neurons", "3"});
  const Json report = learned(target, {"--learner", "hessian", "--certificate", "0"}, 3);
  EXPECT_EQ(report["outcome"], "not_reached");
  EXPECT_THAT(report["message"].get<std::string>(), HasSubstr("certificate was turned off"));
  EXPECT_EQ(report["queries"]["certificate"], 0);
  EXPECT_EQ(report["queries"]["total"], report["queries"]["learning"]);
  for (const char* key : {"certificate", "rms_error", "relative_error", "ball_error"}) {
    EXPECT_TRUE(report[key].is_null()) << key;
  }
  // What was found is written all the same.
  EXPECT_LT(verified_against(target)["ball_error"]["largest"].get<double>(), 1e-12);
}

TEST_F(LearnSmoothEndingTest, DirectionsThatDependAreNotCalledLearned) {
  const std::string path =
      made("t.npz", {"smooth", "--inputs", "6", "--neurons", "6", "--second-layer", "2"});
  SmoothNetwork network = load_smooth_network(path);
  HostMatrix& weights = network.hidden[0].weights;
  for (Index j = 0; j < 6; ++j) weights(5, j) = 0.8 * weights(0, j) - 0.6 * weights(1, j);
  save_network(path, network);
  for (const Words& options : {Words{}, Words{"--neurons", "6"}}) {
    Words more = {"--learner", "hessian", "--layers", "2"};
    more.insert(more.end(), options.begin(), options.end());
    const Json report = learned(path, more, 3);
    EXPECT_EQ(report["outcome"], "not_reached");
    EXPECT_THAT(report["message"].get<std::string>(),
                AnyOf(StartsWith("FAR_FIELD_INCOMPLETE"), StartsWith("RESIDUAL_TOO_LARGE"),
                      HasSubstr("directions must be linearly independent")));
  }
}

TEST_F(LearnSmoothEndingTest, TargetsThatAreConstantOrSaturatedNearlyEverywhereSaySo) {
  const std::string path = made("t.npz", {"smooth", "--inputs", "4", "--neurons", "3"});
  SmoothNetwork constant = load_smooth_network(path), saturated = constant;
  constant.output = HostMatrix(1, 3);
  for (Index i = 0; i < 12; ++i) saturated.hidden[0].weights.data()[i] *= 1e5;
  for (const SmoothNetwork& network : {constant, saturated}) {
    save_network(path, network);
    const Json report = learned(path, {"--learner", "hessian"}, 3);
    EXPECT_THAT(report["message"].get<std::string>(), StartsWith("HESSIAN_VANISHES: "));
    EXPECT_THAT(report["message"].get<std::string>(), HasSubstr("constant at most points"));
  }
}

TEST_F(LearnSmoothEndingTest, ABoxThatAnswersOnlyNearTheOriginIsLearnedByItsHessians) {
  const Json report = learned_in_box("20", {}, 0);
  EXPECT_EQ(report["outcome"], "reached") << report["message"];
  EXPECT_EQ(report["neurons"], 3);
  ASSERT_EQ(report["warnings"].size(), 1u);
  EXPECT_THAT(report["warnings"][0].get<std::string>(), HasSubstr("nothing is learned from far"));
  // Two layers are learned from far out.
  const Json two = learned_in_box("20", {"--layers", "2"}, 5);
  EXPECT_EQ(two["outcome"], "oracle_failed");
  EXPECT_THAT(two["message"].get<std::string>(), HasSubstr("answered NaN or infinity"));
  EXPECT_EQ(load_smooth_network(file("out.safetensors")).inputs(), 3);
}

TEST_F(LearnSmoothEndingTest, ABudgetThatBuysNothingIsRefusedBeforeTheFirstQuestion) {
  const TemporaryFolder lives;
  const std::string target = "exec:" + misbehaving_child("none", 0, 1, lives.file(""));
  expect_refused({"learn", target, "--inputs", "3", "--outputs", "1", "--learner", "hessian",
                  "--budget", "100", "--out", file("o.npz"), "--report", file("o.json")},
                 "the budget is 100 queries; noise, gradients, the first Hessians and a ");
  EXPECT_EQ(read_bytes(lives.file("asked")), "");
}

}  // namespace
}  // namespace crease
