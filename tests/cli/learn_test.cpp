// crease learn.
#include <crease/files.hpp>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "src/cli/cuda_choice.hpp"
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

class LearnTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped()) return;
    target_ = made("target.safetensors",
                   {"gaussian", "--inputs", "6", "--neurons", "8", "--outputs", "2"});
  }

  /// learn target_ into out.safetensors and out.json on the CPU.
  std::vector<std::string> learn(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {
        "learn",    target_,          "--out",    file("out.safetensors"),
        "--report", file("out.json"), "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  std::string target_;
};

std::vector<std::string> keys(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

TEST_F(LearnTest, ANetworkIsLearnedAndReported) {
  const ProgramResult result = expect_ok(learn({"--seed", "5"}));
  const Json json = report();

  EXPECT_THAT(result.out, HasSubstr("reached"));
  EXPECT_THAT(result.out, HasSubstr("vouched for with confidence 99"));
  EXPECT_THAT(result.out, HasSubstr("(A) |F - F'| <="));
  EXPECT_THAT(result.out, HasSubstr("(B) rms error <="));
  EXPECT_EQ(json["outcome"], "reached");
  EXPECT_EQ(json["seed"], 5);
  EXPECT_EQ(json["mode"], "adaptive");
  EXPECT_EQ(json["inputs"], 6);
  EXPECT_EQ(json["outputs"], 2);
  EXPECT_THAT(json["device"].get<std::string>(), HasSubstr("cpu"));
  EXPECT_EQ(json["certificate"]["points"], 2048);
  EXPECT_GE(json["certificate"]["confidence"], 0.99);
  EXPECT_LE(json["relative_error"], 1e-8);
  const Index learning = json["queries"]["learning"];
  const Index certificate = json["queries"]["certificate"];
  EXPECT_EQ(json["queries"]["total"], learning + certificate);
  const ReluNetwork learned = load_network(file("out.safetensors"));
  EXPECT_EQ(learned.neurons(), json["neurons"]);

  const NetworkMatch found = match(load_network(target_), learned);
  EXPECT_EQ(found.missing, 0);
}

TEST_F(LearnTest, TheReportHasTheKeysOfTheContract) {
  expect_ok(learn({}));
  const Json json = report();

  EXPECT_THAT(keys(json),
              UnorderedElementsAre("version", "outcome", "message", "device", "seed", "mode",
                                   "method", "inputs", "outputs", "neurons", "answers", "modulo",
                                   "queries", "examples", "rounds", "learning_rounds", "seconds",
                                   "rms_error", "relative_error", "ball_error", "certificate",
                                   "hunt_mass", "least_squares", "polish", "neuron_errors",
                                   "peak_device_bytes", "warnings"));
  EXPECT_THAT(keys(json["answers"]), UnorderedElementsAre("format", "noise"));
  EXPECT_THAT(keys(json["queries"]),
              UnorderedElementsAre("total", "learning", "certificate", "unanswered", "reused",
                                   "noise", "lines", "gradients", "hunt", "looks", "least_squares",
                                   "lift", "polish"));
  EXPECT_TRUE(json["examples"].is_null());
  EXPECT_TRUE(json["seconds"].contains("total"));
  EXPECT_THAT(keys(json["certificate"]),
              UnorderedElementsAre("points", "confidence", "largest_error", "mass", "lipschitz",
                                   "rms_bound", "silent"));
  EXPECT_THAT(
      keys(json["least_squares"]),
      UnorderedElementsAre("solver", "reason", "rank", "condition", "iterations", "accepted"));
}

TEST_F(LearnTest, APolishIsReportedNeuronByNeuron) {
  expect_ok(learn({"--polish"}));
  const Json json = report();

  EXPECT_THAT(keys(json["polish"]), UnorderedElementsAre("accepted", "tolerance", "fans", "pairs",
                                                         "levels", "rounds", "unfinished"));
  EXPECT_TRUE(json["polish"]["accepted"].get<bool>());
  EXPECT_EQ(json["polish"]["tolerance"].get<double>(), 0x1p-40);
  EXPECT_GT(json["queries"]["polish"].get<int>(), 0);
  for (const char* kind : {"weights", "biases", "hyperplanes", "scales", "floors"}) {
    EXPECT_EQ(json["neuron_errors"][kind].size(), json["neurons"].get<std::size_t>()) << kind;
  }
  expect_ok(learn({}));
  EXPECT_TRUE(report()["polish"].is_null());
  EXPECT_TRUE(report()["neuron_errors"].is_null());
}

TEST_F(LearnTest, QuietMeansNothingIsPrinted) {
  const ProgramResult result = expect_ok(learn({"--quiet"}));
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, IsEmpty());
}

TEST_F(LearnTest, PlainProgressNamesTheDeviceAndTheStages) {
  const ProgramResult result = expect_ok(learn({}));
  EXPECT_THAT(result.err, ::testing::StartsWith("learning on cpu"));
  EXPECT_THAT(result.err, HasSubstr("\nlines: "));
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("\r")));
}

TEST_F(LearnTest, ATerminalShowsOneLiveLinePerStage) {
  const std::string shown = run_on_terminal(learn({}));
  std::vector<std::string> lines;
  std::istringstream text(shown);
  for (std::string line; std::getline(text, line);) {
    // What is left of a line after the last time it was overwritten.
    const std::size_t last = line.rfind("\r\033[K");
    if (last == std::string::npos) continue;
    lines.push_back(line.substr(last + 4, line.find(':', last) - last - 4));
  }

  EXPECT_THAT(lines, ::testing::IsSupersetOf({"lines", "gradients", "looks", "certificate"}));
  EXPECT_THAT(shown, HasSubstr("outcome"));
}

TEST_F(LearnTest, TheSameSeedWritesTheSameNetwork) {
  expect_ok(learn({"--seed", "3", "--threads", "1"}));
  const std::string first = read_bytes(file("out.safetensors"));
  expect_ok(learn({"--seed", "3", "--threads", "1"}));
  EXPECT_EQ(read_bytes(file("out.safetensors")), first);
}

TEST_F(LearnTest, ABudgetIsNeverExceededAndEndsWithFour) {
  const ProgramResult result = run_program(learn({"--budget", "100"}));

  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_EQ(report()["outcome"], "out_of_budget");
  EXPECT_LE(report()["queries"]["total"], 100);
  EXPECT_NO_THROW(load_network(file("out.safetensors")));
}

TEST_F(LearnTest, WithoutACertificateNothingIsReached) {
  const ProgramResult result = run_program(learn({"--certificate", "0"}));

  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_EQ(report()["outcome"], "not_reached");
  EXPECT_TRUE(report()["certificate"].is_null());
  EXPECT_EQ(report()["queries"]["certificate"], 0);
  EXPECT_THAT(result.out, HasSubstr("not vouched for"));
}

TEST_F(LearnTest, TimeIsABudgetToo) {
  const ProgramResult result = run_program(learn({"--seconds", "1e-9"}));

  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_EQ(report()["outcome"], "out_of_budget");
  EXPECT_EQ(report()["queries"]["learning"], 0);
  EXPECT_EQ(report()["certificate"]["points"], 2048);
  EXPECT_NO_THROW(load_network(file("out.safetensors")));
}

TEST_F(LearnTest, AnswersThatAreNotExactAreMeasuredAsSuch) {
  expect_ok(learn({"--answers", "float64"}));
  EXPECT_EQ(report()["answers"]["format"], "float64");
  // Few queries: what is looked at is the noise that was measured before, to a factor of ten.
  const auto answers_of = [&](const std::string& answers, const std::string& seed) {
    run_program(learn({"--answers", answers, "--seed", seed, "--budget", "600"}));
    return report()["answers"];
  };
  EXPECT_EQ(answers_of("float32", "1")["format"], "float32");
  EXPECT_EQ(answers_of("round:4", "1")["format"], "decimal");
  const double noise = answers_of("noise:1e-3", "1")["noise"];
  EXPECT_GT(noise, 1e-4);
  EXPECT_LT(noise, 1e-2);
  EXPECT_EQ(answers_of("noise:1e-3", "1")["noise"], noise);
  EXPECT_NE(answers_of("noise:1e-3", "2")["noise"], noise);
}

TEST_F(LearnTest, AFoldedNetworkHasNoLinearPart) {
  target_ = made("affine.npz", {"gaussian,affine", "--inputs", "5", "--neurons", "4"});
  expect_ok(learn({}));
  const ReluNetwork with_part = load_network(file("out.safetensors"));
  expect_ok(learn({"--fold-skip"}));
  const TensorFile folded = read_tensors(file("out.safetensors"));

  EXPECT_FALSE(folded.tensors.contains("skip.weight"));
  EXPECT_EQ(folded.tensors.at("0.bias").shape[0], fold_linear_part(with_part).neurons());
}

TEST_F(LearnTest, SigintEndsWithTheBestNetworkSoFar) {
  // Ten million hunt points take far longer than the signal.
  Program program(learn({"--resolution", "1e-6"}));
  while (program.err().find('\n') == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  program.signal(SIGINT);
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(report()["outcome"], "stopped");
  EXPECT_NO_THROW(load_network(file("out.safetensors")));
}

TEST_F(LearnTest, BadNumbersAreRefusedBeforeAnythingIsAsked) {
  const std::vector<std::vector<std::string>> bad = {
      {"--accuracy", "0"},        {"--accuracy", "-1e-8"},
      {"--accuracy", "nan"},      {"--accuracy", "inf"},
      {"--accuracy", "small"},    {"--failure", "0"},
      {"--failure", "1"},         {"--failure", "-0.5"},
      {"--failure", "2"},         {"--budget", "0"},
      {"--budget", "-5"},         {"--budget", "1e6"},
      {"--certificate", "-1"},    {"--resolution", "0"},
      {"--resolution", "-1"},     {"--mode", "clever"},
      {"--threads", "0"},         {"--threads", "9999999"},
      {"--seed", "-1"},           {"--seed", "18446744073709551616"},
      {"--seconds", "0"},         {"--seconds", "inf"},
      {"--retries", "-1"},        {"--retries", "0.5"},
      {"--answers", "float"},     {"--answers", "round:"},
      {"--answers", "round:23"},  {"--answers", "round:-1"},
      {"--answers", "round:2.5"}, {"--answers", "noise:"},
      {"--answers", "noise:-1"},  {"--answers", "noise:nan"},
      {"--answers", "noise:inf"}, {"--answers", "noise:1x"}};
  for (const auto& arguments : bad) {
    expect_refused(learn(arguments), arguments[0] + ": expected");
  }
}

TEST_F(LearnTest, PlacesThatCannotBeWrittenAreRefusedBeforeAnythingIsAsked) {
  const auto to = [&](const std::string& out, const std::string& report) {
    return std::vector<std::string>{"learn", target_, "--out", out, "--report", report};
  };
  expect_refused(to(file("none/x.npz"), file("r.json")), "No such file");
  expect_refused(to(file("x.npz"), file("none/r.json")), "No such file");
  expect_refused(to(file("x.onnx"), file("r.json")), "expected a name ending in");
  expect_refused(to(file(""), file("r.json")), "cannot write");
  expect_refused(to("/dev/null", file("r.json")), "cannot write /dev/null");
  expect_refused(to(target_, file("r.json")), "--out: expected another file than the target");
  expect_refused(to(file("x.npz"), target_), "--report: expected another file");
  expect_refused(to(file("x.npz"), file("x.npz")), "--report: expected another file");
  EXPECT_THAT(folder_.names(), ElementsAre("target.safetensors"));
}

TEST_F(LearnTest, OtherPowersAreForTheLearnersFromExamples) {
  const std::string power =
      made("p.npz", {"gaussian", "--inputs", "3", "--neurons", "2", "--power", "2"});
  expect_refused({"learn", power, "--out", file("x.npz")}, "crease fit");
}

TEST_F(LearnTest, UnknownDevicesAreRefused) {
  expect_refused({"learn", target_, "--out", file("x.npz"), "--device", "gpu"},
                 "--device: expected auto or cpu or cuda, not \"gpu\"");
}

TEST_F(LearnTest, CudaWithoutAGpuIsRefused) {
  if (gpus_at_hand() > 0) GTEST_SKIP() << "there is a GPU";
  expect_refused({"learn", target_, "--out", file("x.npz"), "--device", "cuda"},
                 "--device cuda: expected a GPU");
}

TEST_F(LearnTest, LogitsAreLearnedFromProbabilities) {
  for (const char* words : {"probabilities", "log-probabilities"}) {
    const ProgramResult result = expect_ok(learn({"--softmax", words}));
    const Json json = report();
    EXPECT_THAT(result.out, HasSubstr("modulo           the common function of the outputs"));
    EXPECT_EQ(json["outcome"], "reached");
    EXPECT_EQ(json["modulo"], "the common function of the outputs");
    EXPECT_EQ(json["answers"]["format"], std::string(words) + " float64");
    EXPECT_EQ(json["queries"]["noise"], 0);
    EXPECT_EQ(json["certificate"]["silent"], 0);
    const Json modulo = verified(target_, file("out.safetensors"), {"--softmax"});
    EXPECT_EQ(modulo["modulo"], "the common function of the outputs");
    EXPECT_LT(modulo["relative_error"], 1e-8);
    EXPECT_EQ(modulo["neurons"]["matched"], 8);
    EXPECT_EQ(modulo["neurons"]["missing"], 0);
    const Json plain = verified(target_, file("out.safetensors"));
    EXPECT_TRUE(plain["modulo"].is_null());
    EXPECT_GT(plain["relative_error"], 1e-3);  // the common function is not there
  }
}

TEST_F(LearnTest, ProbabilitiesThatAreRoundedSayWhereTheySayNothing) {
  const ProgramResult result =
      run_program(learn({"--softmax", "probabilities", "--answers", "round:2"}));
  EXPECT_EQ(result.exit_code, 3);
  const Json json = report();
  EXPECT_EQ(json["outcome"], "not_reached");
  EXPECT_EQ(json["answers"]["format"], "probabilities decimal 2");
  EXPECT_GT(json["certificate"]["silent"], 0);
  EXPECT_THAT(result.out, HasSubstr("said nothing: they count among the exceptions"));
}

TEST_F(LearnTest, WhatSaysNothingIsCalledThat) {
  // Without a neuron there is no slope from which to guess L: (B) would take F - F' for a constant.
  target_ = made("affine.npz", {"affine", "--inputs", "5"});
  EXPECT_THAT(expect_ok(learn({})).out, HasSubstr("(B) says nothing: "));
  EXPECT_EQ(report()["certificate"]["lipschitz"], 0);
  // Nor are answers called anything of which none came before the certificate.
  EXPECT_THAT(run_program(learn({"--budget", "1"})).out,
              HasSubstr("answers          not measured"));
  EXPECT_THAT(run_program(learn({"--seconds", "1e-9"})).out,
              HasSubstr("the time budget of 1e-09 seconds is spent"));
}

TEST_F(LearnTest, WhatHasNoProbabilitiesIsRefused) {
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"learn", target_, "--out", file("x.npz")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  expect_refused(with({"--softmax", "odds"}),
                 "--softmax: expected probabilities or log-probabilities, not \"odds\"");
  expect_refused(with({"--softmax", "probabilities", "--answers", "noise:1e-3"}), "not noisy");
  expect_refused(with({"--softmax", "probabilities", "--mode", "uniform"}), "the uniform mode");
  expect_refused(with({"--softmax", "probabilities", "--polish"}), "a polish needs");
  const std::string scalar = made("scalar.npz", {"gaussian", "--inputs", "3", "--neurons", "2"});
  expect_refused({"learn", scalar, "--out", file("x.npz"), "--softmax", "probabilities"},
                 "--softmax needs two outputs or more");
}

}  // namespace
}  // namespace crease
