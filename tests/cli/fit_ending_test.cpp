// crease fit: runs that end before they are done.
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/support/fit_program.hpp"

namespace crease {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// A fit of too few neurons to many noisy examples: seconds, one candidate after the other.
class FitEndingTest : public FitProgramTest {
 protected:
  std::vector<std::string> long_fit() {
    ReluNetwork target(20, 12, 3);
    const RectifiedSum truth = planted_sum(3, 12, 20, 1);
    target.weights = truth.directions;
    target.output = truth.outputs;
    save_network(file("target.npz"), target);
    expect_ok({"draw", file("target.npz"), "--samples", "60000", "--noise", "0.1", "--out",
               file("long.safetensors")});
    return fit_of(file("long.safetensors"), {"--neurons", "8"});
  }
  /// Until it has said something.
  static void await_words(const Program& program) {
    while (program.err().find('\n') == std::string::npos && !program.has_ended()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
};

TEST_F(FitEndingTest, SigintEndsWithTheBestNetworkSoFar) {
  Program program(long_fit());
  await_words(program);
  program.signal(SIGINT);
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(report()["outcome"], "stopped");
  EXPECT_THAT(result.out, HasSubstr("stopped: the network is the best found until then"));
  EXPECT_EQ(load_network(file("out.safetensors")).neurons(), 8);
}

TEST_F(FitEndingTest, SigtermBeforeAnythingIsFittedIsAnOutcomeToo) {
  Program program(long_fit());
  while (!program.catches(SIGTERM) && !program.has_ended()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  program.signal(SIGTERM);
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(report()["outcome"], "stopped");
  EXPECT_EQ(report()["examples"], Json({{"training", 55904}, {"held_out", 4096}}));
  EXPECT_NO_THROW(load_network(file("out.safetensors")));
}

TEST_F(FitEndingTest, AFileThatIsCutWhileItIsReadEndsWithFiveAndTheBestNetworkSoFar) {
  std::vector<std::string> arguments = long_fit();
  arguments.insert(arguments.end(), {"--device-bytes", "4194304"});  // 11 MB of examples
  Program program(arguments);
  await_words(program);
  std::filesystem::resize_file(file("long.safetensors"), 1 << 20);
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_EQ(report()["outcome"], "oracle_failed");
  // By where it was when it was cut.
  EXPECT_THAT(report()["message"].get<std::string>(),
              AnyOf(HasSubstr("it ends too early"), HasSubstr("changed while it was read")));
  EXPECT_THAT(result.out, HasSubstr("the examples failed: the network is the best found"));
  EXPECT_EQ(load_network(file("out.safetensors")).neurons(), 8);
}

TEST_F(FitEndingTest, SigkillLeavesNothing) {
  const std::vector<std::string> arguments = long_fit();
  const std::vector<std::string> before = folder_.names();
  Program program(arguments);
  await_words(program);
  program.signal(SIGKILL);

  EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);
  EXPECT_EQ(folder_.names(), before);
}

}  // namespace
}  // namespace crease
