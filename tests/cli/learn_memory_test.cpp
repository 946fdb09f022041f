// crease learn with too little memory for the plan.
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

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

}  // namespace
}  // namespace crease
