// crease fit.
#include <cmath>

#include "tests/support/fit_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

std::vector<std::string> keys(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

using FitTest = FitProgramTest;

TEST_F(FitTest, ANetworkIsLearnedAndReported) {
  const ProgramResult result = expect_ok(fit({"--neurons", "4", "--seed", "5"}));
  const Json json = report();

  EXPECT_LT(parameter_error(truth_, learned()), kExact);
  EXPECT_EQ(json["outcome"], "reached");
  EXPECT_EQ(json["mode"], "two-layer");
  EXPECT_EQ(json["method"], "row space");
  EXPECT_EQ(json["seed"], 5);
  EXPECT_EQ(json["inputs"], kInputs);
  EXPECT_EQ(json["outputs"], kOutputs);
  EXPECT_EQ(json["neurons"], kNeurons);
  EXPECT_THAT(json["device"].get<std::string>(), HasSubstr("cpu"));
  EXPECT_EQ(json["examples"], Json({{"training", 1800}, {"held_out", 200}}));
  EXPECT_EQ(json["certificate"]["points"], 200);
  EXPECT_LE(json["relative_error"], 1e-8);
  EXPECT_THAT(result.out, HasSubstr("reached: the held-out examples lie within the accuracy"));
  EXPECT_THAT(result.out, HasSubstr("on the held-out examples\n"));
  EXPECT_THAT(result.out, HasSubstr("2000 = 1800 to fit + 200 held out; 56.2 to fit per k d"));
  EXPECT_THAT(result.out, HasSubstr("vouched for with confidence 99"));
  EXPECT_THAT(result.out, HasSubstr("(A) |y - F'(x)| <="));
  EXPECT_THAT(result.out, HasSubstr("(B) rms error <="));
}

TEST_F(FitTest, TheReportHasTheKeysOfTheContractAndNoQueries) {
  const ProgramResult result = expect_ok(fit({}));
  const Json json = report();

  EXPECT_THAT(keys(json),
              UnorderedElementsAre("version", "outcome", "message", "device", "seed", "mode",
                                   "method", "inputs", "outputs", "neurons", "answers", "modulo",
                                   "queries", "examples", "rounds", "learning_rounds", "seconds",
                                   "rms_error", "relative_error", "ball_error", "certificate",
                                   "hunt_mass", "least_squares", "polish", "neuron_errors",
                                   "peak_device_bytes", "warnings"));
  EXPECT_THAT(keys(json["queries"]),
              UnorderedElementsAre("total", "learning", "certificate", "unanswered", "reused",
                                   "noise", "lines", "gradients", "hunt", "looks", "least_squares",
                                   "lift", "polish"));
  for (const auto& [key, count] : json["queries"].items()) EXPECT_EQ(count, 0) << key;
  for (const char* word : {"quer", "rounds", "kinks", "black box"}) {
    EXPECT_THAT(result.out + result.err, Not(HasSubstr(word)));
  }
}

TEST_F(FitTest, TheNumberOfNeuronsIsFoundWhereItIsNotGiven) {
  expect_ok(fit({}));
  const std::string unsaid = read_bytes(file("out.safetensors"));
  expect_ok(fit({"--neurons", "auto"}));

  EXPECT_EQ(report()["neurons"], kNeurons);
  EXPECT_EQ(read_bytes(file("out.safetensors")), unsaid);
}

TEST_F(FitTest, AnNpzFileAndAPlainListOfAnswersAreExamplesToo) {
  const RectifiedSum one = planted_sum(1, 2, 3, 3);
  const HostMatrix x = normals(4000, 3, 5);
  const HostMatrix y = values_of(one, x);
  write_tensors(file("flat.npz"), {{{"x", {{4000, 3}, {x.data(), x.data() + x.size()}}},
                                    {"y", {{4000}, {y.data(), y.data() + y.size()}}}},
                                   {}});
  expect_ok(fit_of(file("flat.npz"), {"--neurons", "2"}));

  EXPECT_EQ(report()["outputs"], 1);
  EXPECT_LT(parameter_error(one, learned()), kExact);
}

TEST_F(FitTest, WhatDrawWritesIsFitted) {
  ReluNetwork target(kInputs, kNeurons, kOutputs);
  target.weights = truth_.directions;
  target.output = truth_.outputs;
  save_network(file("target.npz"), target);
  expect_ok({"draw", file("target.npz"), "--samples", "2000", "--out", file("drawn.npz")});
  expect_ok(fit_of(file("drawn.npz"), {}));

  EXPECT_LT(parameter_error(truth_, learned()), kExact);
  EXPECT_EQ(verified(file("target.npz"), file("out.safetensors"))["neurons"]["matched"], kNeurons);
}

TEST_F(FitTest, NarrowNetworksMayHaveMoreNeuronsThanInputs) {
  learner_ = "narrow";
  const RectifiedSum more = planted_sum(1, 5, 3, 3);
  const HostMatrix x = normals(4000, 3, 5);
  const std::string data = written("narrow.npz", x, values_of(more, x));
  const ProgramResult result = expect_ok(fit_of(data, {"--neurons", "5"}));
  const Json json = report();

  EXPECT_LT(parameter_error(more, learned()), kExact);
  EXPECT_EQ(json["mode"], "narrow");
  EXPECT_EQ(json["neurons"], 5);
  EXPECT_EQ(json["examples"], Json({{"training", 3200}, {"held_out", 800}}));
  EXPECT_THAT(result.out, HasSubstr("reached: the held-out examples lie within the accuracy"));
  for (const auto& [key, count] : json["queries"].items()) EXPECT_EQ(count, 0) << key;
}

TEST_F(FitTest, EachLearnerHasItsOwnAccuracy) {
  // Errors between the two, over sd(F).
  const RectifiedSum one = planted_sum(1, 2, 4, 3);
  const HostMatrix x = normals(4000, 4, 5);
  const HostMatrix errors = normals(4000, 1, 7);
  HostMatrix y = values_of(one, x);
  for (Index i = 0; i < y.size(); ++i) y.data()[i] += 1e-6 * errors.data()[i];
  const std::string data = written("accuracy.npz", x, y);
  const auto exit_code = [&](const char* learner, const std::vector<std::string>& more) {
    learner_ = learner;
    std::vector<std::string> arguments = {"--neurons", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(fit_of(data, arguments)).exit_code;
  };
  EXPECT_EQ(exit_code("two-layer", {}), 3);
  EXPECT_EQ(exit_code("narrow", {}), 0);
  EXPECT_EQ(exit_code("two-layer", {"--accuracy", "1e-4"}), 0);
  EXPECT_EQ(exit_code("narrow", {"--accuracy", "1e-8"}), 3);
}

TEST_F(FitTest, SoManyRowsAreTakenAndSoManyHeldOut) {
  y_(1500, 0) = std::nan("");  // beyond what is taken
  const std::string data = written("late.safetensors", x_, y_);
  expect_ok(fit_of(data, {"--rows", "1000", "--held-out", "77"}));

  EXPECT_EQ(report()["examples"], Json({{"training", 923}, {"held_out", 77}}));
  EXPECT_EQ(report()["certificate"]["points"], 77);
  EXPECT_LT(parameter_error(truth_, learned()), kExact);
}

TEST_F(FitTest, WithoutHeldOutExamplesNothingIsVouchedFor) {
  const ProgramResult result = run_program(fit({"--held-out", "0"}));

  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_EQ(report()["outcome"], "not_reached");
  EXPECT_TRUE(report()["certificate"].is_null());
  EXPECT_TRUE(report()["rms_error"].is_null());
  EXPECT_THAT(result.out, HasSubstr("not vouched for"));
  EXPECT_LT(parameter_error(truth_, learned()), kExact);
}

TEST_F(FitTest, QuietMeansNothingIsPrinted) {
  const ProgramResult result = expect_ok(fit({"--quiet"}));
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, IsEmpty());
}

TEST_F(FitTest, PlainProgressNamesTheDeviceAndTheStages) {
  const ProgramResult result = expect_ok(fit({"--neurons", "4"}));
  EXPECT_THAT(result.err, StartsWith("learning on cpu"));
  EXPECT_THAT(result.err, HasSubstr("\nleast_squares: 4 neurons, error "));
  EXPECT_THAT(result.err, Not(HasSubstr("\r")));
}

TEST_F(FitTest, ATerminalShowsALiveLine) {
  const std::string shown = run_on_terminal(fit({"--neurons", "4"}));
  EXPECT_THAT(shown, HasSubstr("\r\033[Kleast_squares: 4 neurons"));
  EXPECT_THAT(shown, HasSubstr("outcome"));
}

TEST_F(FitTest, WhatIsOddAboutTheInputsIsAWarning) {
  for (Index i = 0; i < kRows; ++i) x_(i, 0) += 3;
  const std::string data = written("moved.safetensors", x_, values_of(truth_, x_));
  const ProgramResult result = run_program(fit_of(data, {"--neurons", "4"}));

  EXPECT_THAT(result.err, HasSubstr("\nwarning: the inputs are not centred"));
  EXPECT_THAT(result.out, HasSubstr("\nwarning          the inputs are not centred"));
  EXPECT_THAT(report()["warnings"].dump(), HasSubstr("not centred"));
}

TEST_F(FitTest, TheSameSeedWritesTheSameNetwork) {
  expect_ok(fit({"--seed", "3", "--threads", "1"}));
  const std::string first = read_bytes(file("out.safetensors"));
  expect_ok(fit({"--seed", "3", "--threads", "1"}));
  EXPECT_EQ(read_bytes(file("out.safetensors")), first);
}

TEST_F(FitTest, GrossErrorsNeedTheRobustFit) {
  const HostMatrix chance = normals(kRows, kOutputs, 9);
  for (Index i = 0; i < y_.size(); ++i) {
    if (chance.data()[i] > 1.645) y_.data()[i] += 20;  // 5 %
  }
  const std::string data = written("gross.safetensors", x_, y_);
  run_program(fit_of(data, {"--neurons", "4"}));
  EXPECT_GT(parameter_error(truth_, learned()), 1e-2);
  const ProgramResult result = run_program(fit_of(data, {"--neurons", "4", "--robust"}));
  EXPECT_LT(parameter_error(truth_, learned()), kExact);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GT(report()["certificate"]["silent"], 0);  // held-out answers have such errors too
  EXPECT_THAT(result.out, HasSubstr(" of them have gross errors: they count among the exceptions"));
}

TEST_F(FitTest, RectifiedPowersAreFittedAndWritten) {
  for (const char* power : {"2", "0.5"}) {
    const std::string target = made("power.npz", {"gaussian", "--inputs", "8", "--neurons", "4",
                                                  "--outputs", "5", "--power", power});
    expect_ok({"draw", target, "--samples", "2000", "--out", file("drawn.npz")});
    const ProgramResult result =
        expect_ok(fit_of(file("drawn.npz"), {"--neurons", "4", "--power", power}));
    const ReluNetwork network = load_network(file("out.safetensors"));

    EXPECT_EQ(network.power, std::stod(power));
    EXPECT_EQ(match(load_network(target), network).missing, 0);
    EXPECT_THAT(result.out, HasSubstr("(B) says nothing: inputs are not from N(0, I), or powers"));
    EXPECT_TRUE(report()["certificate"]["lipschitz"].is_null());
  }
}

TEST_F(FitTest, BiasesAreFoundWhereTheyAreAskedFor) {
  ReluNetwork biased(kInputs, kNeurons, kOutputs);
  biased.weights = truth_.directions;
  biased.output = truth_.outputs;
  for (Index i = 0; i < kNeurons; ++i) biased.bias(i, 0) = 0.1 * static_cast<double>(i + 1);
  save_network(file("biased.npz"), biased);
  expect_ok({"draw", file("biased.npz"), "--samples", "2000", "--out", file("drawn.npz")});
  expect_ok(fit_of(file("drawn.npz"), {"--neurons", "4", "--biases"}));
  EXPECT_EQ(match(biased, load_network(file("out.safetensors"))).missing, 0);
}

// What cannot be reached is an outcome, with the network that was found.

TEST_F(FitTest, NoiseEndsWithThreeAndSaysThatItIsNoise) {
  const HostMatrix errors = normals(kRows, kOutputs, 7);
  for (Index i = 0; i < y_.size(); ++i) y_.data()[i] += 0.1 * errors.data()[i];
  const std::string data = written("noisy.safetensors", x_, y_);
  const ProgramResult result = run_program(fit_of(data, {"--neurons", "4"}));

  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_EQ(report()["outcome"], "not_reached");
  EXPECT_THAT(report()["message"].get<std::string>(), HasSubstr("at the noise floor"));
  EXPECT_THAT(result.out, HasSubstr("at the noise floor"));
  // 0.1 is the least that the held-out answers can be off, over sd(F) below 5 times that of one
  // output's noise; an accuracy beyond it is reached.
  expect_ok(fit_of(data, {"--neurons", "4", "--accuracy", "0.5"}));
}

TEST_F(FitTest, TooFewNeuronsEndWithThree) {
  const ProgramResult result = run_program(fit({"--neurons", "2"}));

  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(report()["message"].get<std::string>(), HasSubstr("too few neurons"));
  EXPECT_EQ(load_network(file("out.safetensors")).neurons(), 2);
}

TEST_F(FitTest, ConstantAnswersEndWithThreeAndANetworkWithoutNeurons) {
  const std::string data = written("constant.npz", x_, HostMatrix(kRows, 2, 3.0));
  const ProgramResult result = run_program(fit_of(data, {"--neurons", "2"}));

  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(report()["message"].get<std::string>(), HasSubstr("constant"));
  EXPECT_TRUE(report()["relative_error"].is_null());
  EXPECT_THAT(result.out, HasSubstr("(B) says nothing"));
  EXPECT_EQ(load_network(file("out.safetensors")).neurons(), 0);
}

TEST_F(FitTest, LinearAnswersEndWithThree) {
  for (Index i = 0; i < kRows; ++i) y_(i, 0) = x_(i, 0) - 2 * x_(i, 3);
  for (Index i = 0; i < kRows; ++i) y_(i, 1) = x_(i, 1);
  HostMatrix linear(kRows, 2);
  for (Index i = 0; i < kRows; ++i) {
    for (Index o = 0; o < 2; ++o) linear(i, o) = y_(i, o);
  }
  const std::string data = written("linear.npz", x_, linear);
  const ProgramResult result = run_program(fit_of(data, {"--neurons", "2"}));

  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_FALSE(report()["message"].get<std::string>().empty());
}

TEST_F(FitTest, TimeIsABudgetAndEndsWithFour) {
  const ProgramResult result = run_program(fit({"--seconds", "1e-9"}));

  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_EQ(report()["outcome"], "out_of_budget");
  EXPECT_NO_THROW(load_network(file("out.safetensors")));
}

// Refused: exit code 2, one line, nothing written.

}  // namespace
}  // namespace crease
