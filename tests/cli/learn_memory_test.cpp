// crease learn with too little memory: before the first query, and in the middle.
#include <crease/files.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMapsAllOfMemory = true;  // AddressSanitizer's shadow: no limit is low enough
#else
constexpr bool kMapsAllOfMemory = false;
#endif

class LearnMemoryTest : public ProgramTest {};

TEST_F(LearnMemoryTest, APlanLargerThanMemoryIsRefusedBeforeTheFirstQuery) {
  // The directions of a gradient alone are d^2 numbers: 8 TB.
  const std::string target =
      made("wide.npz", {"gaussian", "--inputs", "1000000", "--neurons", "1"});
  for (const char* mode : {"adaptive", "uniform"}) {
    expect_refused({"learn", target, "--out", file("x.npz"), "--report", file("x.json"), "--mode",
                    mode, "--device", "cpu"},
                   "the plan is larger than memory: ");
  }
  const ProgramResult result =
      run_program({"learn", target, "--out", file("x.npz"), "--device", "cpu"});
  EXPECT_THAT(result.err, HasSubstr("it needs "));
  EXPECT_THAT(result.err, HasSubstr(" bytes at one time, cpu ("));
  EXPECT_THAT(result.err, HasSubstr(" free (1000000 inputs, 1 outputs)"));
}

TEST_F(LearnMemoryTest, MemoryThatEndsInTheMiddleEndsWithSixAndTheBestNetwork) {
  if (kMapsAllOfMemory) GTEST_SKIP() << "AddressSanitizer maps all of memory";
  const std::string target =
      made("target.safetensors", {"gaussian", "--inputs", "512", "--neurons", "3"});
  // Batches of the hunt grow to 65536 points of 512 inputs: 268 MB, each mapped by itself.
  Program program({"learn", target, "--out", file("out.safetensors"), "--report", file("out.json"),
                   "--resolution", "1e-4", "--device", "cpu", "--threads", "1"});
  constexpr std::size_t kGrown = 350000000;
  constexpr std::size_t kSpare = 8000000;
  std::size_t least = SIZE_MAX;
  bool grown = false;
  while (const std::size_t mapped = program.mapped_bytes()) {
    // Not before OpenBLAS has its own buffer of 134 MB: it waits for ever for one it cannot have.
    if (!grown && least != SIZE_MAX && mapped > least + kGrown) {
      grown = true;
      least = SIZE_MAX;
    }
    least = std::min(least, mapped);
    if (grown) program.limit_mapped_bytes(least + kSpare);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const ProgramResult result = program.wait();

  EXPECT_EQ(result.exit_code, 6) << result.err;
  const auto report = nlohmann::json::parse(read_bytes(file("out.json")));
  EXPECT_EQ(report["outcome"], "device_lost");
  EXPECT_THAT(report["message"].get<std::string>(), HasSubstr("no memory"));
  EXPECT_TRUE(report["certificate"].is_null());
  EXPECT_TRUE(report["relative_error"].is_null());
  EXPECT_EQ(load_network(file("out.safetensors")).neurons(), 3);
}

}  // namespace
}  // namespace crease
