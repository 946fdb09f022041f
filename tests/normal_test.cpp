// The standard normal distribution against values computed with 40 digits.
#include <gtest/gtest.h>

#include <crease/types.hpp>

#include <cmath>
#include <limits>

#include "src/normal.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(NormalTest, TailAndItsMomentsMatchFortyDigitsFarOut) {
  struct Case {
    double z, tail, first, second;
  };
  const Case cases[] = {
      {-8, 0.99999999999999938, 8.0000000000000001, 65.0},
      {-3, 0.99865010196836991, 3.0003821543170477, 9.9997965649195131},
      {-1, 0.84134474606854295, 1.0833154705876863, 1.9246602166562292},
      {0, 0.5, 0.39894228040143268, 0.5},
      {0.5, 0.3085375387259869, 0.19779655740130603, 0.20963926002533388},
      {1, 0.15865525393145705, 0.083315470587686298, 0.075339783343770753},
      {2, 0.022750131948179207, 0.0084907026168296375, 0.0057687267145199321},
      {5, 2.8665157187919391e-7, 5.346165533832815e-8, 1.9343295187553164e-8},
      {10, 7.6198530241605261e-24, 7.474560254589328e-25, 1.4529276957119803e-25},
      {30, 4.9067139271481871e-198, 1.6319567340914012e-199, 1.0843724873983491e-200}};
  for (const Case& c : cases) {
    // exp(-z^2 / 2) turns a relative rounding of z into z^2 of its own; a dozen more operations,
    // and below z = 1 the subtraction in the second moment, at most a factor 5.
    const double relative = (c.z * c.z + 32) * kEps;
    EXPECT_NEAR(normal_tail(c.z), c.tail, relative * c.tail) << c.z;
    EXPECT_NEAR(tail_moments(c.z).first, c.first, relative * c.first) << c.z;
    EXPECT_NEAR(tail_moments(c.z).second, c.second, relative * c.second) << c.z;
  }
}

TEST(NormalTest, TheInverseTailMatchesFortyDigitsDownToDenormalNumbers) {
  struct Case {
    double q, z;
  };
  const Case cases[] = {{0.9, -1.2815515655446005},  {0.5, 0.0},
                        {0.01, 2.3263478740408411},  {1e-6, 4.7534243088228989},
                        {1e-20, 9.2623400897984076}, {1e-100, 21.273453560965324},
                        {1e-300, 37.047096299361199}};
  for (const Case& c : cases) {
    EXPECT_NEAR(inverse_normal_tail(c.q), c.z, 8 * kEps * std::max(1.0, std::abs(c.z))) << c.q;
  }
  // A denormal q carries fewer digits: half a unit in its last place is relative 2^-1075 / q.
  EXPECT_NEAR(inverse_normal_tail(1e-320), 38.269125052320672, 0x1p-1074 / 1e-320);
  EXPECT_EQ(inverse_normal_tail(0.0), kInfinity);
  EXPECT_EQ(inverse_normal_tail(1.0), -kInfinity);
}

TEST(NormalTest, TheLimitsAreExact) {
  EXPECT_EQ(tail_moments(kInfinity).first, 0.0);
  EXPECT_EQ(tail_moments(kInfinity).second, 0.0);
  EXPECT_EQ(tail_moments(-kInfinity).first, kInfinity);
  EXPECT_EQ(tail_moments(-kInfinity).second, kInfinity);
}

TEST(NormalTest, AProbabilityOutsideItsRangeIsRefused) {
  EXPECT_THROW(inverse_normal_tail(-0.1), BadInput);
  EXPECT_THROW(inverse_normal_tail(1.1), BadInput);
  EXPECT_THROW(inverse_normal_tail(std::nan("")), BadInput);
}

}  // namespace
}  // namespace crease
