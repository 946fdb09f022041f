// crease compress.
#include <crease/files.hpp>
#include <crease/gaussian.hpp>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

class CompressTest : public ProgramTest {
 protected:
  std::string target() const {
    return made("net.safetensors",
                {"gaussian", "--inputs", "6", "--neurons", "12", "--outputs", "2", "--seed", "3"});
  }
};

TEST_F(CompressTest, TheErrorIsThatOfTheFileWritten) {
  const std::string path = target();
  const ProgramResult result =
      expect_ok({"compress", path, "--neurons", "7", "--out", file("less.npz"), "--report",
                 file("r.json"), "--json", "--device", "cpu"});
  EXPECT_THAT(result.err, IsEmpty());
  const Json json = Json::parse(result.out);
  const ReluNetwork network = load_network(path);
  const ReluNetwork less = load_network(file("less.npz"));
  const GaussianDistance expected = gaussian_distance(network, less);

  EXPECT_EQ(less.neurons(), 7);
  EXPECT_EQ(json["neurons_before"], 12);
  EXPECT_EQ(json["neurons_after"], 7);
  EXPECT_EQ(json["rms_error"], expected.value);
  EXPECT_EQ(json["rms_error_floor"], expected.floor);
  EXPECT_EQ(json["sampled"], false);
  EXPECT_EQ(json["standard_deviation"], gaussian_standard_deviation(network));
  EXPECT_EQ(json["relative_error"], expected.value / gaussian_standard_deviation(network));
  std::ifstream report(file("r.json"));
  EXPECT_EQ(Json::parse(report), json);
}

TEST_F(CompressTest, AsManyNeuronsAsThereAreLeaveTheNetworkAsItIs) {
  const std::string path = target();
  const ProgramResult result =
      expect_ok({"compress", path, "--neurons", "12", "--out", file("same.npz")});
  EXPECT_THAT(result.out, HasSubstr("12 before, 12 after"));
  EXPECT_THAT(result.out, HasSubstr("rms error          0 under N(0, I), exact"));
  EXPECT_EQ(gaussian_distance(load_network(path), load_network(file("same.npz"))).value, 0.0);
}

TEST_F(CompressTest, NoNeuronsGiveTheBestAffineApproximation) {
  const std::string path = target();
  const ProgramResult result =
      expect_ok({"compress", path, "--neurons", "0", "--out", file("affine.npz")});
  EXPECT_THAT(result.out, HasSubstr("12 before, 0 after"));
  EXPECT_EQ(load_network(file("affine.npz")).neurons(), 0);
}

TEST_F(CompressTest, AConstantHasNoRelativeError) {
  const std::string path = made("c.npz", {"constant", "--inputs", "5", "--neurons", "3"});
  const ProgramResult result =
      expect_ok({"compress", path, "--neurons", "0", "--out", file("less.npz"), "--json"});
  EXPECT_TRUE(Json::parse(result.out)["relative_error"].is_null());
}

TEST_F(CompressTest, BadInputIsRefused) {
  const std::string path = target();
  const auto with = [&](const std::string& neurons, const std::string& out) {
    return std::vector<std::string>{"compress", path, "--neurons", neurons, "--out", out};
  };
  expect_refused(with("13", file("x.npz")), "--neurons: expected at most the 12 of");
  expect_refused(with("-1", file("x.npz")), "--neurons: expected a whole number");
  expect_refused(with("many", file("x.npz")), "--neurons");
  expect_refused(with("3", file("x.onnx")), "expected a name ending in");
  expect_refused(with("3", path), "--out: expected another file");
  const std::string power =
      made("p.npz", {"gaussian", "--inputs", "3", "--neurons", "4", "--power", "2"});
  expect_refused({"compress", power, "--neurons", "3", "--out", file("x.npz")},
                 "expected a network of power 1, not 2");
  expect_refused({"compress", path, "--out", file("x.npz")}, "--neurons");
  expect_refused({"compress", path, "--neurons", "3"}, "--out");
  expect_refused({"compress", file("none.npz"), "--neurons", "3", "--out", file("x.npz")},
                 "none.npz");
  std::vector<std::string> report = with("3", file("x.npz"));
  report.insert(report.end(), {"--report", file("x.npz")});
  expect_refused(report, "--report: expected another file");
}

}  // namespace
}  // namespace crease
