// Usage errors, help and version.
#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using MainTest = ProgramTest;

TEST_F(MainTest, WithoutAGoodVerbTheVerbsAreNamed) {
  expect_refused({}, "expected a verb: make, learn, verify, show, evaluate, compress, draw or fit");
  expect_refused({"lern"}, "expected a verb");
  expect_refused({"--verbose"}, "expected a verb");
}

TEST_F(MainTest, MissingAndUnknownOptionsAreRefused) {
  expect_refused({"learn"}, "TARGET is required");
  expect_refused({"learn", "x"}, "--out is required");
  expect_refused({"make", "gaussian", "--neurons", "3", "--out", file("x.npz")},
                 "--inputs is required");
  expect_refused({"verify", "x"}, "LEARNED is required");
  expect_refused({"show"}, "FILE is required");
  expect_refused({"evaluate", "x", "--out", file("y.npz")}, "--points is required");
  expect_refused({"show", "x", "y"}, "not expected: y");
  expect_refused({"show", "x", "--bogus"}, "not expected: --bogus");
  expect_refused({"learn", "x", "--out"}, "--out");
}

TEST_F(MainTest, NamesWithLineBreaksStillGiveOneLine) {
  expect_refused({"show", file("a\nb")}, "No such file");
}

TEST_F(MainTest, HelpAndVersionAreNoErrors) {
  EXPECT_THAT(expect_ok({"--help"}).out, HasSubstr("evaluate"));
  EXPECT_THAT(expect_ok({"learn", "--help"}).out, HasSubstr("--certificate"));
  EXPECT_THAT(expect_ok({"--version"}).out, StartsWith("crease 0."));
}

}  // namespace
}  // namespace crease
