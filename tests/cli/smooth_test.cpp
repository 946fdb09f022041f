// Smooth networks in make, show, evaluate and draw.
#include <crease/files.hpp>

#include "src/smooth_families.hpp"
#include "tests/support/run_program.hpp"
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class SmoothProgramTest : public ProgramTest {
 protected:
  SmoothNetwork smooth(const std::string& name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "smooth");
    return load_smooth_network(made(name, arguments));
  }
};

TEST_F(SmoothProgramTest, MakeWritesTheNetworkOfTheOptions) {
  SmoothPlan plan;
  plan.inputs = 6;
  plan.neurons = 5;
  EXPECT_TRUE(same_bits(smooth("a.safetensors", {"--inputs", "6", "--neurons", "5"}),
                        make_smooth_network(plan, Seed{})));

  plan.second_layer = 3;
  plan.outputs = 2;
  plan.activations = {Activation::tanh, Activation::sigmoid};
  plan.directions = SmoothPlan::Directions::orthogonal;
  plan.shifts = 0.2;
  plan.coefficients = SmoothPlan::Coefficients::spread;
  for (const std::string extension : {".npz", ".safetensors"}) {
    EXPECT_TRUE(
        same_bits(smooth("b" + extension,
                         {"--inputs", "6", "--neurons", "5", "--second-layer", "3", "--outputs",
                          "2", "--activation", "tanh,sigmoid", "--directions", "orthogonal",
                          "--shifts", "0.2", "--coefficients", "spread", "--seed", "9"}),
                  make_smooth_network(plan, Seed{9})));
  }
  const std::string out = expect_ok({"make", "smooth", "--inputs", "6", "--neurons", "5",
                                     "--second-layer", "3", "--activation", "erf", "--coefficients",
                                     "unit", "--directions", "sphere", "--out", file("c.npz")})
                              .out;
  EXPECT_THAT(out, HasSubstr("smooth, 6 inputs, 5 erf and 3 erf neurons, 1 outputs, seed 0"));
  EXPECT_EQ(load_smooth_network(file("c.npz")).output(0, 2), 1);
}

TEST_F(SmoothProgramTest, OptionsOfOtherFamiliesAreRefusedWithItAndItsOwnWithThem) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& words) {
    arguments.insert(arguments.begin(), "make");
    arguments.insert(arguments.end(), {"--inputs", "4", "--out", file("x.npz")});
    expect_refused(arguments, words);
  };
  const std::vector<std::vector<std::string>> others = {
      {"--spread", "1"}, {"--width", "1"},  {"--offset", "1"}, {"--on", "1"},
      {"--gap", "1"},    {"--biases", "2"}, {"--size", "2"},   {"--distance", "1"}};
  for (const auto& option : others) {
    refused({"smooth", "--neurons", "3", option[0], option[1]}, option[0] + ": belongs to ");
    refused({"smooth", "--neurons", "3", option[0], option[1]}, "not to smooth");
  }
  refused({"smooth", "--neurons", "3", "--power", "2"}, "--power: expected with the family");
  const std::vector<std::vector<std::string>> own = {{"--second-layer", "2"},
                                                     {"--activation", "tanh"},
                                                     {"--directions", "sphere"},
                                                     {"--shifts", "1"},
                                                     {"--coefficients", "unit"}};
  for (const auto& option : own) {
    for (const std::string family : {"gaussian", "mix", "rare,dead"}) {
      refused({family, "--neurons", "30", option[0], option[1]},
              option[0] + ": belongs to smooth, not to " + family);
    }
  }
  refused({"gaussian,smooth", "--neurons", "3"}, "expected smooth alone");
  refused({"smooth,smooth", "--neurons", "3"}, "expected smooth alone");
}

TEST_F(SmoothProgramTest, BadNumbersAndWordsAreRefused) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& words) {
    arguments.insert(arguments.begin(), {"make", "smooth", "--inputs", "4"});
    arguments.insert(arguments.end(), {"--out", file("x.npz")});
    expect_refused(arguments, words);
  };
  refused({}, "--neurons: expected with the family smooth");
  refused({"--neurons", "0"}, "at least 1 neuron");
  refused({"--neurons", "3", "--second-layer", "0"}, "--second-layer: expected a whole number");
  refused({"--neurons", "3", "--activation", "relu"}, "--activation: \"relu\" is no activation");
  refused({"--neurons", "3", "--activation", "tanh,"}, "--activation: \"\" is no activation");
  refused({"--neurons", "3", "--activation", "tanh,sin"}, "one hidden layer has one activation");
  refused({"--neurons", "3", "--shifts", "-1"}, "--shifts: expected a number of at least 0");
  refused({"--neurons", "3", "--directions", "cube"},
          "--directions: expected sphere or orthogonal");
  refused({"--neurons", "3", "--coefficients", "1"}, "--coefficients: expected unit or spread");
  refused({"--neurons", "5", "--directions", "orthogonal"}, "as many inputs as neurons");
  refused({"--neurons", "3", "--outputs", "2", "--coefficients", "unit"}, "would be the same");
}

TEST_F(SmoothProgramTest, ShowDescribesBothDepths) {
  const std::string one = made("1.npz", {"smooth", "--inputs", "4", "--neurons", "8"});
  const std::string text = expect_ok({"show", one}).out;
  EXPECT_THAT(text, HasSubstr(" a network with one hidden layer of smooth neurons\n"));
  EXPECT_THAT(text, ContainsRegex("inputs +4\n"));
  EXPECT_THAT(text, ContainsRegex("outputs +1\n"));
  EXPECT_THAT(text, ContainsRegex("hidden layer +8 neurons, tanh\n"));
  EXPECT_THAT(text, ContainsRegex("linear part +no\n"));
  EXPECT_THAT(text, ContainsRegex("constant +0.3 +0.3 +0.3\n"));

  SmoothNetwork two(2, {2, 1}, 2, {Activation::sin, Activation::gelu});
  two.hidden[0].weights = {{3, 4}, {0, 2}};
  two.hidden[0].bias = {{-0.5}, {0.25}};
  two.hidden[1].weights = {{6, 8}};
  two.output = {{3}, {-4}};
  two.linear = {{5, 12}, {0, 0}};
  save_network(file("2.safetensors"), two);
  const std::string deep = expect_ok({"show", file("2.safetensors")}).out;
  EXPECT_THAT(deep, HasSubstr("two hidden layers of smooth neurons"));
  EXPECT_THAT(deep, ContainsRegex("hidden layer 1 +2 neurons, sin\n"));
  EXPECT_THAT(deep, ContainsRegex("hidden layer 2 +1 neurons, gelu\n"));
  EXPECT_THAT(deep, ContainsRegex("\\|w\\| 1 +2 +5 +5\n"));
  EXPECT_THAT(deep, ContainsRegex("bias 1 +-0.5 +0.25 +0.25\n"));
  EXPECT_THAT(deep, ContainsRegex("\\|w\\| 2 +10 +10 +10\n"));
  EXPECT_THAT(deep, ContainsRegex("\\|u\\| +5 +5 +5\n"));
  EXPECT_THAT(deep, ContainsRegex("linear part, rows +0 +13 +13\n"));
}

TEST_F(SmoothProgramTest, EvaluateWritesTheValuesOfTheLibrary) {
  const std::string path = made("n.npz", {"smooth", "--inputs", "3", "--neurons", "5",
                                          "--second-layer", "2", "--outputs", "2"});
  const HostMatrix x = {{1, 2, 3}, {-1, 0.5, 0}};
  save_matrix(file("x.npz"), "x", x.view());
  const ProgramResult result =
      expect_ok({"evaluate", path, "--points", file("x.npz"), "--out", file("y.npz")});
  EXPECT_THAT(result.out, HasSubstr("y [2, 2]"));
  const HostMatrix y = load_matrix(file("y.npz"), "y");
  const auto device = make_cpu_device();
  const HostMatrix expected = evaluate(*device, load_smooth_network(path), x);
  ASSERT_EQ(y.rows(), 2);
  for (Index t = 0; t < y.size(); ++t) EXPECT_EQ(y.data()[t], expected.data()[t]);

  save_matrix(file("narrow.npz"), "x", HostMatrix{{1, 2}}.view());
  expect_refused({"evaluate", path, "--points", file("narrow.npz"), "--out", file("z.npz")},
                 "at least one row of 3 inputs");
}

TEST_F(SmoothProgramTest, DrawAndCompressSayThatTheyKnowReluAlone) {
  for (const std::string extension : {".npz", ".safetensors"}) {
    for (const std::string layers : {"1", "2"}) {
      std::vector<std::string> arguments = {"smooth", "--inputs", "3", "--neurons", "5"};
      if (layers == "2") arguments.insert(arguments.end(), {"--second-layer", "2"});
      const std::string path = made(layers + extension, arguments);
      expect_refused({"draw", path, "--samples", "9", "--out", file("d.npz")}, "a smooth network");
      expect_refused({"compress", path, "--neurons", "2", "--out", file("d.npz")},
                     "is not a network crease knows");
    }
  }
}

TEST_F(SmoothProgramTest, FilesThatAreNoSmoothNetworkAreRefusedByEveryVerb) {
  const std::string path = made("n.npz", {"smooth", "--inputs", "3", "--neurons", "5"});
  TensorFile damaged = read_tensors(path);
  damaged.tensors["activation"].values[0] = 9;
  write_tensors(file("bad.npz"), damaged);
  save_matrix(file("x.npz"), "x", HostMatrix{{1, 2, 3}}.view());
  const std::string words = "no code of an activation";
  expect_refused({"show", file("bad.npz")}, words);
  expect_refused({"verify", path, file("bad.npz")}, words);
  expect_refused({"draw", file("bad.npz"), "--samples", "9", "--out", file("d.npz")}, words);
  expect_refused({"evaluate", file("bad.npz"), "--points", file("x.npz"), "--out", file("y.npz")},
                 words);
  expect_refused({"learn", file("bad.npz"), "--out", file("l.npz")}, words);
}

TEST_F(SmoothProgramTest, LearnOpensASmoothFileAsABlackBox) {
  // One query is no budget to learn anything from; the file must be answered from all the same.
  const std::string path = made("n.npz", {"smooth", "--inputs", "3", "--neurons", "2"});
  const ProgramResult result = run_program({"learn", path, "--budget", "1", "--certificate", "0",
                                            "--log", file("log"), "--out", file("l.npz")});
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_THAT(expect_ok({"show", file("log")}).out, HasSubstr("smooth network "));
  EXPECT_THAT(result.err, Not(HasSubstr("crease: ")));
}

}  // namespace
}  // namespace crease
