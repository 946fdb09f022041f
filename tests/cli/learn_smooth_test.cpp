// crease learn --learner hessian and auto.
#include "tests/support/learn_smooth_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using LearnSmoothTest = LearnSmoothProgramTest;

TEST_F(LearnSmoothTest, ASmoothNetworkIsLearnedAndWrittenAndReported) {
  const std::string target =
      made("t.safetensors", {"smooth", "--inputs", "6", "--neurons", "4", "--activation", "gelu"});
  const Json report = learned(target, {"--learner", "hessian", "--activation", "gelu"});
  EXPECT_EQ(report["outcome"], "reached");
  EXPECT_EQ(report["mode"], "hessian");
  EXPECT_EQ(report["method"], "one layer");
  EXPECT_EQ(report["neurons"], 4);
  EXPECT_LT(report["ball_error"].get<double>(), 1e-12);
  EXPECT_LT(report["relative_error"].get<double>(), 1e-12);
  EXPECT_GT(report["queries"]["hessians"], 0);
  EXPECT_THAT(out_, HasSubstr("of the unit ball"));
  EXPECT_LT(verified_against(target)["ball_error"]["largest"].get<double>(), 1e-12);
}

TEST_F(LearnSmoothTest, TwoHiddenLayersAreFoundWithoutTheirNumbers) {
  const std::string target = made(
      "t.npz", {"smooth", "--inputs", "8", "--neurons", "6", "--second-layer", "2", "--seed", "3"});
  const Json report = learned(target, {"--learner", "hessian"});
  EXPECT_EQ(report["outcome"], "reached") << report["message"];
  EXPECT_EQ(report["method"], "corners");
  EXPECT_LT(report["ball_error"].get<double>(), 1e-12);
}

TEST_F(LearnSmoothTest, TwoHiddenLayersAreFoundThePapersWayWhereItIsAskedFor) {
  const std::string target =
      made("t.npz", {"smooth", "--inputs", "6", "--neurons", "6", "--second-layer", "2", "--seed",
                     "3", "--directions", "orthogonal"});
  const Json report =
      learned(target, {"--learner", "hessian", "--second-layer", "2", "--entangled"});
  EXPECT_EQ(report["outcome"], "reached") << report["message"];
  EXPECT_EQ(report["method"], "entangled");
  EXPECT_EQ(report["neurons"], 8);
  EXPECT_LT(report["ball_error"].get<double>(), 1e-12);
}

TEST_F(LearnSmoothTest, AutoTakesTheLearnerForTheTarget) {
  const std::string smooth = made("s.npz", {"smooth", "--inputs", "5", "--neurons", "3"});
  EXPECT_EQ(learned(smooth, {"--learner", "auto"})["mode"], "hessian");
  const std::string relu = made("r.npz", {"gaussian", "--inputs", "5", "--neurons", "3"});
  const Json report = learned(relu, {"--learner", "auto"});
  EXPECT_EQ(report["mode"], "adaptive");
  EXPECT_EQ(report["outcome"], "reached");
  const Json& queries = report["queries"];
  EXPECT_GT(queries["recognition"], 0);
  EXPECT_EQ(queries["total"], queries["learning"].get<int>() + queries["certificate"].get<int>());
  const std::string several =
      made("p.npz", {"gaussian", "--inputs", "5", "--neurons", "3", "--outputs", "2"});
  EXPECT_EQ(learned(several, {"--learner", "auto"})["mode"], "adaptive");
}

TEST_F(LearnSmoothTest, OptionsThatHadNoPartInTheNetworkAreWarnings) {
  const auto warnings = [&](const std::string& target, std::vector<std::string> more) {
    more.insert(more.begin(), {"--learner", "auto"});
    return learned(target, more)["warnings"].dump();
  };
  const std::string smooth = made("s.npz", {"smooth", "--inputs", "5", "--neurons", "3"});
  EXPECT_EQ(warnings(smooth, {"--layers", "1"}), "[]");
  EXPECT_THAT(
      warnings(smooth, {"--polish", "--mode", "adaptive"}),
      HasSubstr("--mode, --polish had no effect: the network is that of --learner hessian"));
  EXPECT_THAT(out_, HasSubstr("--mode, --polish had no effect"));
  EXPECT_THAT(warnings(smooth, {"--activation", "tanh,sin"}),
              HasSubstr("--activation: sin had no effect: the network has one hidden layer"));
  const std::string relu = made("r.npz", {"gaussian", "--inputs", "5", "--neurons", "3"});
  EXPECT_EQ(warnings(relu, {"--mode", "adaptive"}), "[]");
  EXPECT_THAT(warnings(relu, {"--neurons", "3"}),
              HasSubstr("--neurons had no effect: the network is that of --learner query"));
}

TEST_F(LearnSmoothTest, AutoDoesWhatTheQueryLearnerDoesWithReluAnswersThatHaveErrors) {
  const std::string relu = made("r.npz", {"gaussian", "--inputs", "5", "--neurons", "4"});
  for (const char* answers : {"noise:1e-4", "float32"}) {
    const Json report =
        learned(relu, {"--learner", "auto", "--answers", answers, "--accuracy", "1e-3"});
    EXPECT_EQ(report["outcome"], "reached") << answers << report["message"];
    EXPECT_EQ(report["mode"], "adaptive");
  }
  // What the first learner could not pay for is the second one's.
  EXPECT_EQ(learned(relu, {"--learner", "auto", "--budget", "200"}, 4)["mode"], "adaptive");
}

TEST_F(LearnSmoothTest, AutoKeepsWhatItFoundWhereNothingIsVouchedFor) {
  const std::string smooth = made("s.npz", {"smooth", "--inputs", "5", "--neurons", "3"});
  const Json report = learned(smooth, {"--learner", "auto", "--certificate", "0"}, 3);
  EXPECT_EQ(report["outcome"], "not_reached");
  EXPECT_EQ(report["mode"], "hessian");
  EXPECT_EQ(report["neurons"], 3);
  EXPECT_EQ(load_smooth_network(file("out.safetensors")).neurons(0), 3);
}

TEST_F(LearnSmoothTest, TheWrongLearnerSaysWhichIsRight) {
  const std::string smooth = made("s.npz", {"smooth", "--inputs", "5", "--neurons", "3"});
  EXPECT_THAT(learned(smooth, {}, 3)["message"].get<std::string>(), HasSubstr("--learner hessian"));
  const std::string relu = made("r.npz", {"gaussian", "--inputs", "5", "--neurons", "3"});
  EXPECT_THAT(learned(relu, {"--learner", "hessian"}, 3)["message"].get<std::string>(),
              StartsWith("HESSIAN_VANISHES"));
}

TEST_F(LearnSmoothTest, OptionsOfTheOtherLearnerAndUnknownActivationsAreRefused) {
  const std::string target = made("s.npz", {"smooth", "--inputs", "5", "--neurons", "3"});
  const auto refused = [&](std::vector<std::string> more, const std::string& words) {
    std::vector<std::string> arguments = {"learn", target, "--out", file("o.npz")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refused(arguments, words);
  };
  refused({"--activation", "tanh"}, "--activation: belongs to --learner hessian, not to query");
  refused({"--layers", "1"}, "--layers: belongs to --learner hessian");
  refused({"--entangled"}, "--entangled: belongs to --learner hessian");
  refused({"--learner", "hessian", "--entangled"}, "--entangled: needs --second-layer");
  refused({"--learner", "hessian", "--entangled", "--second-layer", "2", "--layers", "1"},
          "two hidden layers");
  refused({"--learner", "hessian", "--mode", "uniform"}, "--mode: belongs to --learner query");
  refused({"--learner", "hessian", "--polish"}, "--polish: belongs to --learner query");
  refused({"--learner", "hessian", "--layers", "3"}, "--layers: expected 1 or 2");
  refused({"--learner", "hessian", "--activation", "swish"}, "\"swish\" is no activation");
  refused({"--learner", "hessian", "--budget", "100"}, "the budget is 100 queries");
  refused({"--learner", "hessian", "--layers", "1", "--activation", "tanh,sin"}, "one name");
  refused({"--learner", "hessian", "--activation", "tanh,sin,erf"}, "one each of two");
}

}  // namespace
}  // namespace crease
