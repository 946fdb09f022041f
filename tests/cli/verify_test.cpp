// crease verify.
#include <crease/files.hpp>
#include <crease/gaussian.hpp>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

using VerifyTest = ProgramTest;

TEST_F(VerifyTest, ANetworkIsItself) {
  const std::string path =
      made("n.npz", {"gaussian", "--inputs", "5", "--neurons", "7", "--outputs", "2"});
  const Json json = verified(path, path, {"--samples", "100"});

  EXPECT_EQ(json["relative_error"], 0.0);
  EXPECT_EQ(json["relative_error_confidence"], Json::array({0.0, 0.0}));
  EXPECT_EQ(json["largest_error"], 0.0);
  EXPECT_EQ(json["gaussian_distance"], (Json{{"value", 0.0}, {"floor", 0.0}, {"sampled", false}}));
  EXPECT_EQ(json["samples"], 100);
  EXPECT_EQ(json["neurons"],
            (Json{{"target", 7}, {"matched", 7}, {"merged", 0}, {"missing", 0}, {"spurious", 0}}));
  for (const char* key : {"weights", "biases", "hyperplanes", "scales"}) {
    EXPECT_EQ(json["largest_parameter_error"][key], 0.0) << key;
  }
}

TEST_F(VerifyTest, AKnownErrorIsMeasuredWithinItsInterval) {
  // F' = F + 0.25 x_0: e = 0.25 |x_0|, rms 0.25.
  const std::string path = made("n.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  ReluNetwork network = load_network(path);
  const double sd = gaussian_standard_deviation(network);
  network.linear(0, 0) += 0.25;
  save_network(file("m.npz"), network);
  const Json json = verified(path, file("m.npz"), {"--seed", "3"});
  const double n = 100000;
  // The 99 % interval of the mean of x_0^2 (variance 2), half width 2.576 sqrt(2 / n).
  const double half = 2.5758293035489004 * std::sqrt(2 / n);

  EXPECT_EQ(json["samples"], n);
  const double low = json["relative_error_confidence"][0];
  const double high = json["relative_error_confidence"][1];
  EXPECT_LE(low, 0.25 / sd);
  EXPECT_GE(high, 0.25 / sd);
  EXPECT_NEAR((high * high - low * low) * sd * sd / (0.25 * 0.25), 2 * half, 2 * half * 0.1);
  // The linear part's numbers are rounded once, at a size of about 1: eps / 2 of 0.25 and more.
  EXPECT_NEAR(json["gaussian_distance"]["value"].get<double>(), 0.25, 0x1p-50);
  EXPECT_EQ(json["gaussian_distance"]["sampled"], false);
  EXPECT_EQ(json["neurons"]["matched"], 7);
  EXPECT_GT(json["largest_error"], 0.25 * 3.5);  // P(no |x_0| > 3.5 in n) < 1e-20
  EXPECT_LT(json["largest_error"], 0.25 * 7);    // P(some |x_0| > 7 in n) < 3e-7
}

TEST_F(VerifyTest, ANetworkOfAnotherPowerIsItselfAndKnownErrorsAreMeasured) {
  const std::string path = made(
      "n.npz", {"gaussian", "--inputs", "5", "--neurons", "7", "--outputs", "2", "--power", "2.5"});
  const Json same = verified(path, path, {"--samples", "100"});
  EXPECT_EQ(same["power"], (Json{{"target", 2.5}, {"learned", 2.5}}));
  EXPECT_EQ(same["relative_error"], 0.0);
  EXPECT_EQ(same["gaussian_distance"], (Json{{"value", 0.0}, {"floor", 0.0}, {"sampled", false}}));
  EXPECT_EQ(same["neurons"]["matched"], 7);

  // F' = 1.25 F: the error is F / 4, whose mean counts too.
  ReluNetwork network = load_network(path);
  const double sd = gaussian_standard_deviation(network);
  const double rms = gaussian_distance(network, ReluNetwork(5, 0, 2)).value;
  for (Index i = 0; i < network.output.size(); ++i) network.output.data()[i] *= 1.25;
  save_network(file("m.npz"), network);
  const Json json = verified(path, file("m.npz"));
  EXPECT_NEAR(json["gaussian_distance"]["value"].get<double>(), 0.25 * rms, 1e-13 * rms);
  EXPECT_NEAR(json["largest_parameter_error"]["scales"].get<double>(), 0.25, 0x1p-48);
  EXPECT_EQ(json["neurons"]["matched"], 7);
  EXPECT_LE(json["relative_error_confidence"][0].get<double>(), 0.25 * rms / sd);
  EXPECT_GE(json["relative_error_confidence"][1].get<double>(), 0.25 * rms / sd);
}

TEST_F(VerifyTest, NetworksOfDifferentPowersHaveNoNeuronInCommon) {
  const std::string two =
      made("2.npz", {"gaussian", "--inputs", "5", "--neurons", "7", "--power", "2"});
  const std::string relu = made("1.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  const Json json = verified(two, relu, {"--samples", "1000"});
  EXPECT_EQ(json["neurons"]["missing"], 7);
  EXPECT_EQ(json["neurons"]["spurious"], 7);
  EXPECT_EQ(json["gaussian_distance"]["sampled"], true);
  EXPECT_THAT(
      expect_ok({"verify", two, relu, "--samples", "100"}).out,
      HasSubstr("2 of the target, 1 of the learned network: they have no neuron in common"));
}

TEST_F(VerifyTest, AMissingNeuronIsCounted) {
  const std::string path = made("n.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  ReluNetwork network = load_network(path);
  network.output(0, 3) = 0;
  save_network(file("m.npz"), network);
  EXPECT_EQ(verified(path, file("m.npz"))["neurons"]["missing"], 1);
  EXPECT_EQ(verified(file("m.npz"), path)["neurons"]["spurious"], 1);
}

TEST_F(VerifyTest, AConstantHasNoRelativeError) {
  const std::string path = made("c.npz", {"constant", "--inputs", "5", "--neurons", "3"});
  ReluNetwork network = load_network(path);
  network.constant(0, 0) += 0.5;
  save_network(file("m.npz"), network);
  const Json json = verified(path, file("m.npz"), {"--samples", "50"});

  EXPECT_TRUE(json["relative_error"].is_null());
  EXPECT_TRUE(json["relative_error_confidence"].is_null());
  EXPECT_EQ(json["largest_error"], std::abs(load_network(path).constant(0, 0) -
                                            load_network(file("m.npz")).constant(0, 0)));
}

TEST_F(VerifyTest, TheTableSaysHowTheIntervalWasMade) {
  const std::string path = made("n.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  const ProgramResult result = expect_ok({"verify", path, path, "--samples", "100"});

  EXPECT_THAT(result.out, HasSubstr("99 % interval"));
  EXPECT_THAT(result.out, HasSubstr("normal theory"));
  EXPECT_THAT(result.out, HasSubstr("7 matched"));
}

TEST_F(VerifyTest, BadNumbersAreRefused) {
  const std::string path = made("n.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  expect_refused({"verify", path, path, "--samples", "1"}, "--samples: expected a whole number");
  expect_refused({"verify", path, path, "--samples", "many"}, "--samples");
  expect_refused({"verify", path, path, "--device", "gpu"}, "--device: expected auto or cpu");
  expect_refused({"verify", path, path, "--threads", "0"}, "--threads");
}

TEST_F(VerifyTest, ModuloTheCommonFunctionItIsNoError) {
  const std::string path =
      made("n.npz", {"gaussian", "--inputs", "5", "--neurons", "7", "--outputs", "3"});
  ReluNetwork network = load_network(path);
  for (Index o = 0; o < 3; ++o) {  // one neuron acts on all outputs alike; the learned one has none
    network.output(o, 2) = 1.5;
  }
  save_network(file("target.npz"), network);
  for (Index o = 0; o < 3; ++o) {
    network.output(o, 2) = 0;
    network.constant(o, 0) += 4;
    network.linear(o, 1) -= 2;
  }
  save_network(file("learned.npz"), network);
  const Json json = verified(file("target.npz"), file("learned.npz"), {"--softmax"});
  // Centring rounds numbers of size 10 in thirds.
  EXPECT_LT(json["relative_error"], 1e-14);
  EXPECT_EQ(json["neurons"],
            (Json{{"target", 6}, {"matched", 6}, {"merged", 0}, {"missing", 0}, {"spurious", 0}}));
  EXPECT_GT(verified(file("target.npz"), file("learned.npz"))["relative_error"], 0.1);
  const std::string scalar = made("s.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  expect_refused({"verify", scalar, scalar, "--softmax"}, "--softmax needs two outputs");
}

}  // namespace
}  // namespace crease
