// crease verify of smooth networks, against each other and against ReLU networks.
#include <crease/files.hpp>
#include <crease/gaussian.hpp>

#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/ops.hpp"
#include "src/cli/sampled_error.hpp"
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class VerifySmoothTest : public ProgramTest {
 protected:
  std::string one_layer(const std::string& name) const {
    return made(name, {"smooth", "--inputs", "5", "--neurons", "7"});
  }

  std::string saved(const std::string& name, const SmoothNetwork& network) const {
    save_network(file(name), network);
    return file(name);
  }
};

/// sum_i a_i x_i + constant, and no neuron that does anything.
SmoothNetwork affine(const std::vector<double>& slopes, double constant) {
  const auto d = static_cast<Index>(slopes.size());
  SmoothNetwork network(d, {1}, 1, {Activation::tanh});
  for (Index j = 0; j < d; ++j) network.linear(0, j) = slopes[static_cast<std::size_t>(j)];
  network.constant(0, 0) = constant;
  return network;
}

TEST_F(VerifySmoothTest, ANetworkIsItself) {
  for (const std::string second : {"", "3"}) {
    std::vector<std::string> arguments = {"smooth", "--inputs", "5", "--neurons", "7"};
    if (!second.empty()) arguments.insert(arguments.end(), {"--second-layer", second});
    const std::string path = made("n" + second + ".npz", arguments);
    const Json json = verified(path, path, {"--samples", "100"});
    EXPECT_EQ(json["relative_error"], 0.0);
    EXPECT_EQ(json["relative_error_confidence"], Json::array({0.0, 0.0}));
    EXPECT_EQ(json["rms_error"], 0.0);
    EXPECT_EQ(json["largest_error"], 0.0);
    EXPECT_EQ(json["ball_error"], (Json{{"largest", 0.0}, {"rms", 0.0}}));
    EXPECT_EQ(json["samples"], 100);
    for (const char* key : {"modulo", "gaussian_distance", "neurons", "largest_parameter_error"}) {
      EXPECT_TRUE(json.contains(key)) << key;
      EXPECT_TRUE(json[key].is_null()) << key;
    }
    EXPECT_TRUE(json["power"]["target"].is_null());
    const Json tanh = second.empty() ? Json::array({"tanh"}) : Json::array({"tanh", "tanh"});
    EXPECT_EQ(json["activations"], (Json{{"target", tanh}, {"learned", tanh}}));
    const Json sizes = second.empty() ? Json::array({7}) : Json::array({7, 3});
    EXPECT_EQ(json["hidden_neurons"], (Json{{"target", sizes}, {"learned", sizes}}));
  }
}

TEST_F(VerifySmoothTest, KnownErrorsAreMeasured) {
  // F = 2 x_0 - x_3 + 1, F' = F + x_1 / 4: under N(0, I) e = |x_1| / 4, rms 1/4, and sd(F) = sqrt
  // 5. Uniform in the ball, E x_1^2 = 1 / (d + 2), and |x_1| has the density (1 - t^2)^((d-1)/2).
  constexpr double kSamples = 100000;
  const std::string target = saved("f.npz", affine({2, 0, 0, -1, 0}, 1));
  const Json json =
      verified(target, saved("g.npz", affine({2, 0.25, 0, -1, 0}, 1)), {"--seed", "3"});
  // Five standard deviations of the sampled sd: sd / sqrt(2 n) for a normal F.
  const double sd = std::sqrt(5.0);
  EXPECT_NEAR(json["standard_deviation"].get<double>(), sd, 5 * sd / std::sqrt(2 * kSamples));
  EXPECT_LE(json["relative_error_confidence"][0].get<double>(), 0.25 / sd);
  EXPECT_GE(json["relative_error_confidence"][1].get<double>(), 0.25 / sd);
  EXPECT_NEAR(json["rms_error"].get<double>(), 0.25, 5 * 0.25 / std::sqrt(2 * kSamples));
  EXPECT_GT(json["largest_error"], 0.25 * 3.5);  // P(no |x_1| > 3.5 in n) < 1e-20
  EXPECT_LT(json["largest_error"], 0.25 * 7);    // P(some |x_1| > 7 in n) < 3e-7

  // e^2 = x_1^2 / 16 has variance (3 / ((d+2)(d+4)) - 1 / (d+2)^2) / 256.
  const double mean = 1.0 / 7 / 16;
  const double spread = std::sqrt((3.0 / 63 - 1.0 / 49) / kSamples) / 16;
  EXPECT_NEAR(std::pow(json["ball_error"]["rms"].get<double>(), 2), mean, 5 * spread);
  // P(|x_1| > 0.94) = 1 - (15/8)(t - 2 t^3/3 + t^5/5) at t = 0.94: 5e-4, met in 1e5 points.
  EXPECT_GT(json["ball_error"]["largest"], 0.25 * 0.94);
  EXPECT_LE(json["ball_error"]["largest"], 0.25 * (1 + 1e-15));
}

TEST_F(VerifySmoothTest, TheBallIsFilledUniformly) {
  // F' - F = <v, x> along the diagonal: its rms tells E (v x)^2 = |v|^2 / (d + 2) in one dimension
  // and in many; points on the sphere would give |v|^2 / d.
  for (const std::size_t d : {1UL, 40UL}) {
    const std::string zero = saved("z.npz", affine(std::vector<double>(d, 0), 0));
    const std::string one = saved("o.npz", affine(std::vector<double>(d, 1), 0));
    const Json json = verified(zero, one);
    const double n = 100000;
    const double size = static_cast<double>(d);
    const double mean = size / (size + 2);
    // Var (v x)^2 <= 3 |v|^4 / ((d + 2)(d + 4)).
    const double spread = std::sqrt(3 * size * size / ((size + 2) * (size + 4)) / n);
    EXPECT_NEAR(std::pow(json["ball_error"]["rms"].get<double>(), 2), mean, 5 * spread) << d;
    EXPECT_LE(json["ball_error"]["largest"].get<double>(), std::sqrt(size) * (1 + 1e-14)) << d;
  }
}

TEST_F(VerifySmoothTest, AReluNetworkAndASmoothOneAreComparedAsFunctions) {
  // Both affine: x_0 + 1 as relu(x_0) - relu(-x_0) + 1, and x_0 + 1.5 with a linear part.
  ReluNetwork relu(3, 2, 1);
  relu.weights = {{1, 0, 0}, {-1, 0, 0}};
  relu.output = {{1, -1}};
  relu.constant = {{1}};
  save_network(file("relu.npz"), relu);
  const std::string smooth = saved("smooth.npz", affine({1, 0, 0}, 1.5));
  for (const bool swapped : {false, true}) {
    const std::string target = swapped ? smooth : file("relu.npz");
    const std::string learned = swapped ? file("relu.npz") : smooth;
    const Json json = verified(target, learned, {"--samples", "2000"});
    // A mean of 2000 squares, added one by one.
    EXPECT_NEAR(json["rms_error"].get<double>(), 0.5, 2000 * 0x1p-52);
    EXPECT_NEAR(json["largest_error"].get<double>(), 0.5, 1e-14);
    EXPECT_NEAR(json["ball_error"]["largest"].get<double>(), 0.5, 1e-14);
    EXPECT_NEAR(json["standard_deviation"].get<double>(), 1, 5 / std::sqrt(2.0 * 2000));
    EXPECT_TRUE(json["neurons"].is_null());
    EXPECT_EQ(json["activations"][swapped ? "learned" : "target"], Json::array({"relu"}));
    EXPECT_EQ(json["activations"][swapped ? "target" : "learned"], Json::array({"tanh"}));
    EXPECT_EQ(json["power"][swapped ? "learned" : "target"], 1.0);
    EXPECT_TRUE(json["power"][swapped ? "target" : "learned"].is_null());
  }
}

TEST_F(VerifySmoothTest, ARectifiedPowerCountsAsAFunctionToo) {
  const std::string power =
      made("p.npz", {"gaussian", "--inputs", "5", "--neurons", "4", "--power", "2"});
  const Json json = verified(power, saved("0.npz", affine({0, 0, 0, 0, 0}, 0)));
  const ReluNetwork network = load_network(power);
  const double rms = gaussian_distance(network, ReluNetwork(5, 0, 1)).value;
  EXPECT_NEAR(json["rms_error"].get<double>(), rms, 0.05 * rms);
  const double sd = gaussian_standard_deviation(network);
  EXPECT_NEAR(json["standard_deviation"].get<double>(), sd, 0.05 * sd);
  EXPECT_EQ(json["power"]["target"], 2.0);
  EXPECT_THAT(expect_ok({"verify", power, file("0.npz"), "--samples", "100"}).out,
              HasSubstr("4 relu^2 neurons\n"));
}

TEST_F(VerifySmoothTest, AConstantHasNoRelativeError) {
  // Also where neurons cancel to a constant but for rounding.
  const std::string plain = saved("c.npz", affine({0, 0, 0}, 1e3));
  SmoothNetwork cancelling(3, {3}, 1, {Activation::tanh});
  cancelling.hidden[0].weights = {{0.3, 1, 2}, {0.3, 1, 2}, {0.3, 1, 2}};
  cancelling.output = {{1000.1, 2000.2, -3000.3}};
  for (const std::string& path : {plain, saved("d.npz", cancelling)}) {
    const Json json = verified(path, saved("e.npz", affine({1, 0, 0}, 0)), {"--samples", "50"});
    EXPECT_TRUE(json["relative_error"].is_null());
    EXPECT_TRUE(json["relative_error_confidence"].is_null());
    EXPECT_TRUE(json["standard_deviation"].is_null());
    EXPECT_GT(json["rms_error"], 0);
    EXPECT_THAT(expect_ok({"verify", path, file("e.npz"), "--samples", "50"}).out,
                HasSubstr("none: the target is constant"));
  }
}

TEST_F(VerifySmoothTest, TheTableSaysWhatWasCompared) {
  const std::string target = made("t.npz", {"smooth", "--inputs", "5", "--neurons", "7",
                                            "--second-layer", "3", "--activation", "tanh,erf"});
  const std::string text =
      expect_ok({"verify", target, one_layer("n.npz"), "--samples", "100"}).out;
  EXPECT_THAT(text, HasSubstr("7 tanh and 3 erf neurons\n"));
  EXPECT_THAT(text, HasSubstr("7 tanh neurons, compared as functions\n"));
  EXPECT_THAT(text, ContainsRegex("in the unit ball +largest error .*, at 100 uniform points\n"));
  EXPECT_THAT(text, ContainsRegex("relative error .*99 % interval .*normal theory"));
  EXPECT_THAT(text, HasSubstr("100 from N(0, I), seed 0, on cpu"));
}

TEST_F(VerifySmoothTest, ModuloTheCommonFunctionItIsNoError) {
  const std::string path =
      made("n.npz", {"smooth", "--inputs", "5", "--neurons", "7", "--outputs", "3"});
  SmoothNetwork network = load_smooth_network(path);
  for (Index o = 0; o < 3; ++o) {
    network.output(o, 2) += 1.5;
    network.linear(o, 1) -= 2;
    network.constant(o, 0) += 4;
  }
  const Json json = verified(path, saved("m.npz", network), {"--softmax", "--samples", "1000"});
  EXPECT_EQ(json["modulo"], "the common function of the outputs");
  EXPECT_LT(json["largest_error"], 1e-13);
  EXPECT_LT(json["ball_error"]["largest"], 1e-13);
  EXPECT_GT(verified(path, file("m.npz"), {"--samples", "1000"})["largest_error"], 1);
  const std::string scalar = one_layer("s.npz");
  expect_refused({"verify", scalar, scalar, "--softmax"}, "--softmax needs two outputs");
}

TEST_F(VerifySmoothTest, ManyPointsOfManyInputsComeInChunks) {
  // 2^22 numbers at a time: 100 inputs, 50,000 points, two chunks; e = |x_0|.
  constexpr Index kSamples = 50000, kInputs = 100;
  std::vector<double> slopes(kInputs, 0);
  const std::string zero = saved("z.npz", affine(slopes, 0));
  slopes[0] = 1;
  const std::string one = saved("o.npz", affine(slopes, 0));
  const Json json = verified(zero, one, {"--samples", std::to_string(kSamples), "--seed", "6"});
  const auto device = make_cpu_device();
  DeviceMatrix x(*device, kSamples, kInputs);
  fill_gaussian(*device, Seed{6}, kVerifyStream, 0, 1.0, x);
  const HostMatrix first = download(*device, x.view().col_block(0, 1));
  double squares = 0;
  for (Index i = 0; i < kSamples; ++i) squares += first(i, 0) * first(i, 0);
  const double rms = std::sqrt(squares / kSamples);
  EXPECT_NEAR(json["rms_error"].get<double>(), rms, kSamples * 0x1p-52 * rms);
  EXPECT_NEAR(std::pow(json["ball_error"]["rms"].get<double>(), 2), 1.0 / 102,
              5 * std::sqrt(3.0 / (102 * 104) / kSamples));
}

TEST_F(VerifySmoothTest, OtherInputsAndOutputsAreRefused) {
  const std::string path = one_layer("n.npz");
  const std::string wide = made("w.npz", {"smooth", "--inputs", "6", "--neurons", "7"});
  const std::string relu =
      made("r.npz", {"gaussian", "--inputs", "5", "--neurons", "7", "--outputs", "2"});
  expect_refused({"verify", path, wide}, "has 6 inputs and 1 outputs; expected 5 and 1");
  expect_refused({"verify", path, relu}, "has 5 inputs and 2 outputs; expected 5 and 1");
  expect_refused({"verify", path, path, "--samples", "1"}, "--samples: expected a whole number");
}

TEST_F(VerifySmoothTest, ReluNetworksHaveTheSameKeys) {
  const std::string relu = made("r.npz", {"gaussian", "--inputs", "5", "--neurons", "7"});
  const Json of_relu = verified(relu, relu, {"--samples", "100"});
  const std::string smooth = one_layer("n.npz");
  const Json of_smooth = verified(smooth, smooth, {"--samples", "100"});
  for (const auto& [key, value] : of_relu.items()) EXPECT_TRUE(of_smooth.contains(key)) << key;
  for (const auto& [key, value] : of_smooth.items()) EXPECT_TRUE(of_relu.contains(key)) << key;
  EXPECT_EQ(of_relu["activations"]["target"], Json::array({"relu"}));
  EXPECT_EQ(of_relu["hidden_neurons"]["learned"], Json::array({7}));
  EXPECT_TRUE(of_relu["ball_error"].is_null());
  EXPECT_EQ(of_relu["standard_deviation"], gaussian_standard_deviation(load_network(relu)));
}

}  // namespace
}  // namespace crease
