// Small vectors on the host.
#include "src/stages/numbers.hpp"

#include <gtest/gtest.h>

namespace crease {
namespace {

TEST(NumbersTest, ASpreadIsThatOfAllNumbers) {
  const Spread spread = spread_of({{1, 5}, {3, 7}});  // squares: 84 / 4; about the mean 20 / 4
  EXPECT_DOUBLE_EQ(spread.mean, 4);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(5.0));
  EXPECT_DOUBLE_EQ(spread.size, std::sqrt(21.0));
  EXPECT_EQ(spread_of({{2}}).deviation, 0);
  EXPECT_EQ(spread_of(HostMatrix(0, 1)).size, 0);
}

// Where squares of the mean would hide what is left beside it.
TEST(NumbersTest, ASpreadIsTakenAboutTheMean) {
  EXPECT_DOUBLE_EQ(spread_of({{1e9 - 1, 1e9 + 1}}).deviation, 1);
}

}  // namespace
}  // namespace crease
