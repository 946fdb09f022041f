// What numbers answers are, from the answers alone.
#include "src/stages/answer_formats.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace crease {
namespace {

TEST(AnswerFormatsTest, AnOutputIsKnownByItsOwnAnswersWhereEnoughOfThemDiffer) {
  HostMatrix answers(20, 3);
  for (Index i = 0; i < 20; ++i) {
    const double value = std::sqrt(2.0 + static_cast<double>(i));
    answers(i, 0) = static_cast<double>(static_cast<float>(value));
    answers(i, 1) = std::round(1e3 * value) / 1e3;
    answers(i, 2) = 0.5;  // too few to say: what all are together
  }
  const std::vector<AnswerFormat> formats = find_formats(answers);
  EXPECT_EQ(formats[0].name, "float32");
  EXPECT_EQ(formats[0].unit, 0x1p-24);
  EXPECT_EQ(formats[1].name, "decimal");
  EXPECT_DOUBLE_EQ(formats[1].quantum, 1e-3);
  EXPECT_EQ(formats[2].name, "float64");
  EXPECT_EQ(coarsest({"float64", "decimal", "float32"}), "decimal");
}

TEST(AnswerFormatsTest, RoundingIsUniformWithinTheSpacing) {
  // Spacings of float16 and float32 from 1 to 2 are 2^-10 and 2^-23, from 2 to 4 twice as much.
  EXPECT_DOUBLE_EQ(rounding_rms({1.5}, "float16"), 0x1p-10 / std::sqrt(12.0));
  EXPECT_DOUBLE_EQ(rounding_rms({1.5, -3}, "float32"), 0x1p-23 * std::sqrt(2.5 / 12));
}

TEST(AnswerFormatsTest, FewRareAnswersAreToldFromExactOnes) {
  HostMatrix answers(8, 1);
  for (Index i = 0; i < 8; ++i) answers(i, 0) = 0.1 * std::sqrt(2.0);
  EXPECT_FALSE(are_rounded(answers));  // a constant
  answers(3, 0) = 0.125;
  EXPECT_FALSE(are_rounded(answers));  // one says nothing
  answers(5, 0) = 0.625;
  EXPECT_TRUE(are_rounded(answers));
  answers(6, 0) = std::sqrt(3.0);
  EXPECT_FALSE(are_rounded(answers));
}

TEST(AnswerFormatsTest, WhereAFunctionIsConstantNearlyEverywhereTheRestSaysItsFormat) {
  HostMatrix answers(8, 2);
  for (Index i = 0; i < 8; ++i) answers(i, 0) = answers(i, 1) = std::sqrt(2.0);
  EXPECT_EQ(rare_format(answers, 0).name, "float64");
  answers(1, 1) = 0.25;
  answers(2, 1) = 0.75;
  EXPECT_EQ(rare_format(answers, 0).name, "float64");
  EXPECT_EQ(rare_format(answers, 1).name, "decimal");
}

}  // namespace
}  // namespace crease
