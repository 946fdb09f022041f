// crease make.
#include <crease/files.hpp>

#include "src/families.hpp"
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::ElementsAre;

using MakeTest = ProgramTest;

TEST_F(MakeTest, EveryFamilyIsMadeWithTheSizesAskedFor) {
  for (const std::string& family : family_names()) {
    const std::string path = made(family + ".safetensors", {family, "--inputs", "6", "--neurons",
                                                            "40", "--outputs", "2", "--seed", "4"});
    const ReluNetwork network = load_network(path);
    EXPECT_EQ(network.inputs(), 6) << family;
    EXPECT_EQ(network.neurons(), 40) << family;
    EXPECT_EQ(network.outputs(), 2) << family;
  }
}

TEST_F(MakeTest, OptionsReachTheFamily) {
  const ReluNetwork bump = load_network(
      made("b.npz", {"bump", "--inputs", "3", "--on", "2", "--width", "0.5", "--offset", "-0.25"}));
  EXPECT_EQ(bump.neurons(), 5);
  EXPECT_EQ(bump.bias(2, 0), 0.25);
  EXPECT_EQ(bump.bias(3, 0), -0.25);

  const ReluNetwork parallel =
      load_network(made("p.npz", {"parallel", "--inputs", "3", "--neurons", "6", "--biases", "3"}));
  EXPECT_EQ(parallel.weights(2, 0), parallel.weights(0, 0));
  EXPECT_NE(parallel.weights(3, 0), parallel.weights(0, 0));

  FamilyPlan plan;
  plan.family = "clusters,rare";
  plan.inputs = 3;
  plan.neurons = 12;
  plan.gap = 1e-2;
  plan.size = 3;
  plan.distance = 2;
  const ReluNetwork expected = make_family(plan, Seed{9});
  const ReluNetwork mix =
      load_network(made("m.npz", {"clusters,rare", "--inputs", "3", "--neurons", "12", "--gap",
                                  "1e-2", "--size", "3", "--distance", "2", "--seed", "9"}));
  for (Index i = 0; i < 12; ++i) EXPECT_EQ(mix.bias(i, 0), expected.bias(i, 0));
}

TEST_F(MakeTest, APowerMeansANetworkWithoutBiases) {
  for (const std::string extension : {".npz", ".safetensors"}) {
    const ReluNetwork network = load_network(
        made("p" + extension, {"gaussian", "--inputs", "3", "--neurons", "2", "--power", "2.5"}));
    EXPECT_EQ(network.power, 2.5);
    EXPECT_EQ(network.bias(1, 0), 0);
    EXPECT_EQ(network.constant(0, 0), 0);
  }
  const ReluNetwork relu =
      load_network(made("r.npz", {"gaussian", "--inputs", "3", "--neurons", "2", "--power", "1"}));
  EXPECT_EQ(relu.power, 1);
  EXPECT_EQ(relu.bias(1, 0), 0);
}

TEST_F(MakeTest, SomeFamiliesNeedNoNeurons) {
  EXPECT_EQ(load_network(made("b.npz", {"bump", "--inputs", "3"})).neurons(), 3);
  EXPECT_EQ(load_network(made("a.npz", {"affine", "--inputs", "3"})).neurons(), 0);
  EXPECT_EQ(load_network(made("c.npz", {"constant", "--inputs", "3"})).neurons(), 0);
}

TEST_F(MakeTest, TheSameSeedMakesTheSameFile) {
  const std::vector<std::string> arguments = {"mix", "--inputs", "5", "--neurons", "40"};
  for (const std::string extension : {".npz", ".safetensors"}) {
    EXPECT_EQ(read_bytes(made("a" + extension, arguments)),
              read_bytes(made("b" + extension, arguments)));
  }
}

TEST_F(MakeTest, BadFamiliesAndNumbersAreRefused) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& words) {
    arguments.insert(arguments.begin(), "make");
    arguments.insert(arguments.end(), {"--out", file("x.npz")});
    expect_refused(arguments, words);
  };
  refused({"blob", "--inputs", "3", "--neurons", "4"}, "unknown family \"blob\"");
  refused({"gaussian", "--inputs", "0", "--neurons", "4"}, "--inputs: expected a whole number");
  refused({"gaussian", "--inputs", "-3", "--neurons", "4"}, "--inputs: expected a whole number");
  refused({"gaussian", "--inputs", "3.5", "--neurons", "4"}, "--inputs: expected a whole number");
  refused({"gaussian", "--inputs", "3", "--neurons", "-1"}, "--neurons: expected a whole number");
  refused({"gaussian", "--inputs", "3", "--neurons", "4", "--outputs", "0"}, "--outputs");
  refused({"gaussian", "--inputs", "99999999999999999999", "--neurons", "4"}, "--inputs");
  refused({"gaussian", "--inputs", "4294967296", "--neurons", "4294967296"}, "2^31");
  refused({"gaussian", "--inputs", "3", "--neurons", "4", "--seed", "-1"}, "--seed");
  refused({"gaussian", "--inputs", "3"}, "--neurons: expected with the family gaussian");
  refused({"gaussian", "--inputs", "3", "--neurons", "4", "--gap", "1"}, "--gap: belongs to");
  refused({"gaussian", "--inputs", "3", "--neurons", "4", "--on", "1"}, "--on");
  refused({"gaussian", "--inputs", "3", "--neurons", "4", "--power", "0"}, "--power: expected");
  refused({"gaussian", "--inputs", "3", "--neurons", "4", "--power", "2", "--spread", "0"},
          "--spread: expected without --power");
  refused({"rare", "--inputs", "3", "--neurons", "4", "--power", "2"}, "--power: expected with");
  refused({"bump", "--inputs", "3", "--width", "0"}, "--width: expected a number greater than 0");
  refused({"bump", "--inputs", "3", "--width", "nan"}, "--width");
  refused({"bump", "--inputs", "3", "--on", "4", "--neurons", "9"}, "--neurons: expected 7");
  refused({"bump", "--inputs", "3", "--neurons", "2"}, "3 neurons");
  refused({"clusters", "--inputs", "3", "--neurons", "4", "--size", "1"}, "--size");
  refused({"parallel", "--inputs", "3", "--neurons", "4", "--biases", "5"}, "biases");
}

TEST_F(MakeTest, OutputsThatCannotBeWrittenAreRefused) {
  const std::vector<std::string> arguments = {"make", "constant", "--inputs", "3", "--out"};
  const auto with = [&](const std::string& out) {
    auto all = arguments;
    all.push_back(out);
    return all;
  };
  expect_refused(with(file("none/x.npz")), "No such file");
  expect_refused(with(file("x.onnx")), "expected a name ending in .safetensors or .npz");
  expect_refused(with(""), "");
  EXPECT_THAT(folder_.names(), ElementsAre());
}

}  // namespace
}  // namespace crease
