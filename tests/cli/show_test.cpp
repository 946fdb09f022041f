// crease show.
#include <crease/files.hpp>

#include "tests/support/run_program.hpp"

namespace crease {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

using ShowTest = ProgramTest;

TEST_F(ShowTest, ANetworkIsDescribed) {
  const std::string path = made("n.safetensors", {"dead", "--inputs", "4", "--neurons", "8"});
  const std::string text = expect_ok({"show", path}).out;

  EXPECT_THAT(text, HasSubstr("one hidden ReLU layer"));
  EXPECT_THAT(text, ContainsRegex("inputs +4\n"));
  EXPECT_THAT(text, ContainsRegex("neurons +8 \\(6 live, 2 dead\\)\n"));
  EXPECT_THAT(text, ContainsRegex("linear part +no\n"));
  EXPECT_THAT(text, HasSubstr("float64"));
  EXPECT_THAT(text, HasSubstr("format=crease"));
}

TEST_F(ShowTest, ANetworkWithoutNeuronsIsDescribed) {
  const std::string text =
      expect_ok({"show", made("a.npz", {"affine", "--inputs", "4", "--outputs", "2"})}).out;

  EXPECT_THAT(text, ContainsRegex("neurons +0 \\(0 live, 0 dead\\)\n"));
  EXPECT_THAT(text, ContainsRegex("linear part +yes\n"));
}

TEST_F(ShowTest, APowerIsPartOfTheDescription) {
  for (const std::string name : {"n.npz", "n.safetensors"}) {
    const std::string path =
        made(name, {"gaussian", "--inputs", "4", "--neurons", "3", "--power", "2.5"});
    const std::string text = expect_ok({"show", path}).out;
    EXPECT_THAT(text, HasSubstr("one hidden layer of rectified powers"));
    EXPECT_THAT(text, ContainsRegex("power +2.5, no biases\n"));
    EXPECT_THAT(text, HasSubstr("|u| |w|^power"));
  }
}

TEST_F(ShowTest, OtherArraysAreListed) {
  save_matrix(file("x.npz"), "x", HostMatrix{{1, 2, 3}, {4, 5, 6}}.view());
  const std::string text = expect_ok({"show", file("x.npz")}).out;

  EXPECT_THAT(text, ContainsRegex("x +\\[2, 3\\] float64\n"));
}

}  // namespace
}  // namespace crease
