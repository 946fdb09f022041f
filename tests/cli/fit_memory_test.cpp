// crease fit: examples larger than the memory they may take.
#include <chrono>
#include <thread>

#include "tests/support/fit_program.hpp"

namespace crease {
namespace {

/// A file of 104 MB.
class FitMemoryTest : public FitProgramTest {
 protected:
  static constexpr Index kMany = 1'000'000;
  static constexpr std::size_t kBytes = kMany * (kInputs + kOutputs) * sizeof(double);

  void SetUp() override {
    FitProgramTest::SetUp();
    if (IsSkipped()) return;
    ReluNetwork target(kInputs, kNeurons, kOutputs);
    target.weights = truth_.directions;
    target.output = truth_.outputs;
    save_network(file("target.npz"), target);
    expect_ok({"draw", file("target.npz"), "--samples", std::to_string(kMany), "--out",
               file("large.safetensors")});
  }

  /// The most memory that the program had while it fitted exactly.
  std::size_t peak_of(Index device_bytes, Index rows = kMany) const {
    Program program(
        fit_of(file("large.safetensors"), {"--device-bytes", std::to_string(device_bytes), "--rows",
                                           std::to_string(rows), "--threads", "1"}));
    std::size_t peak = 0;
    while (!program.has_ended()) {
      peak = std::max(peak, program.peak_memory());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const ProgramResult result = program.wait();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_LT(parameter_error(truth_, learned()), kExact);
    return peak;
  }
  Index device_peak() const { return report()["peak_device_bytes"]; }
};

TEST_F(FitMemoryTest, WhatIsReadInEveryPassTakesAFractionOfItsSizeAndNoMoreForMoreRows) {
  [[maybe_unused]] const std::size_t streamed = peak_of(Index{8} << 20);
  const Index of_all = device_peak();
  peak_of(Index{8} << 20, kMany / 2);
  const Index of_half = device_peak();
  [[maybe_unused]] const std::size_t in_memory = peak_of(Index{1} << 30);

  EXPECT_EQ(of_half, of_all);
  EXPECT_LT(of_all, kBytes / 2);
#if !defined(__SANITIZE_ADDRESS__)  // which keeps what was freed
  // Not against kBytes alone: the libraries of a CUDA build are more than that.
  EXPECT_GT(in_memory, streamed + kBytes / 2);
#endif
}

TEST_F(FitMemoryTest, WhatIsReadInEveryPassGivesTheBitsOfWhatIsKept) {
  // Both in chunks of 64 MiB: half of the first bound, the largest under the second.
  peak_of(Index{128} << 20);
  const std::string streamed = read_bytes(file("out.safetensors"));
  const Index streamed_peak = device_peak();
  peak_of(Index{1} << 30);

  EXPECT_EQ(read_bytes(file("out.safetensors")), streamed);
  EXPECT_LT(streamed_peak, device_peak());
}

}  // namespace
}  // namespace crease
