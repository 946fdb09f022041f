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

TEST_F(LearnMemoryTest, ACertificateThatNobodyCanHoldOrPayIsRefusedBeforeTheFirstQuery) {
  const std::string target = made("small.npz", {"gaussian", "--inputs", "3", "--neurons", "2"});
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"learn",    target,         "--out",    file("x.npz"),
                                          "--report", file("x.json"), "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  // The error of each point, twice, and its answer: 3 * 8 bytes.
  for (const char* mode : {"adaptive", "uniform"}) {
    expect_refused(with({"--certificate", "1000000000000", "--mode", mode}),
                   "the certificate is larger than memory: its 1000000000000 points take "
                   "24000000000000 bytes, this machine has ");
  }
  expect_refused(with({"--certificate", "9223372036854775807"}), "larger than memory");
  expect_refused(with({"--certificate", "3001", "--budget", "3000"}),
                 "--certificate: expected no more points than the 3000 queries of --budget, not "
                 "3001: each is one");
  // What the budget could pay is cut to what is left of it, as the default one is.
  expect_ok(with({"--certificate", "3000", "--budget", "3000"}));
  EXPECT_EQ(run_program(with({"--budget", "100"})).exit_code, 4);
}

}  // namespace
}  // namespace crease
