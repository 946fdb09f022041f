// Answers brought into a format, and their noise.
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "kernels/answer_format.hpp"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

using Kind = Imperfection::Kind;
const double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

class AnswersTest : public EveryBackend {
 protected:
  HostMatrix rounded(const HostMatrix& values, Kind kind, int decimals = 0) {
    Padded y(device(), values);
    Imperfection format;
    format.kind = kind;
    format.decimals = decimals;
    round_answers(device(), format, y);
    return y.read();
  }
  HostMatrix noisy(const HostMatrix& values, Seed seed, double deviation) {
    Padded y(device(), values);
    add_answer_noise(device(), seed, deviation, y);
    return y.read();
  }
};
CREASE_ON_EVERY_BACKEND(AnswersTest);

TEST_P(AnswersTest, Float16IsTheNearestWithTiesToEven) {
  // Spacing 2^-10 in [1, 2), 2^-24 below 2^-14; 65504 is the largest, 65520 the middle above it.
  const HostMatrix values = {{1, 1 + 0x1p-11, 1 + 0x1.8p-10, 1 + 0x1.00001p-11, -1 - 0x1p-11},
                             {0x1p-25, 0x1.8p-24, 0x1p-24, 0x1.000001p-25, -0x1p-26},
                             {65504, 65519.999, 65520, -1e300, 2049}};
  EXPECT_TRUE(
      same_bits(rounded(values, Kind::float16), {{1, 1, 1 + 0x1p-9, 1 + 0x1p-10, -1},
                                                 {0, 0x1p-23, 0x1p-24, 0x1p-24, -0.0},
                                                 {65504, 65504, kInfinity, -kInfinity, 2048}}));
}

TEST_P(AnswersTest, Float32IsWhatACastGives) {
  HostMatrix values(64, 33);
  HostMatrix expected(64, 33);
  const HostMatrix mantissas = normals(64, 33, 3);
  for (Index i = 0; i < 64; ++i) {
    for (Index j = 0; j < 33; ++j) {
      // From below the smallest subnormal to just below the largest, halves of a step among them.
      const double value = std::ldexp(mantissas(i, j), static_cast<int>(4 * i - 152));
      const double coarse =
          std::ldexp(std::rint(std::ldexp(mantissas(i, j), 24)), static_cast<int>(4 * i - 176));
      values(i, j) = j % 2 == 0 ? value : coarse;
      expected(i, j) = static_cast<double>(static_cast<float>(values(i, j)));
    }
  }
  EXPECT_TRUE(same_bits(rounded(values, Kind::float32), expected));
  EXPECT_TRUE(same_bits(rounded({{0x1.fffffefffffffp127, 0x1.ffffffp127, -1e39}}, Kind::float32),
                        {{0x1.fffffep127, kInfinity, -kInfinity}}));
}

TEST_P(AnswersTest, DecimalsAreTheDoublesNearestToThem) {
  EXPECT_TRUE(same_bits(rounded({{0.12345, -0.12345, 2.5, 3.5, 1e-9}}, Kind::decimals, 3),
                        {{0.123, -0.123, 2.5, 3.5, 0}}));
  EXPECT_TRUE(
      same_bits(rounded({{2.5, 3.5, -2.5, 0.49999999999999994, 0x1p52 + 1}}, Kind::decimals, 0),
                {{2, 4, -2, 0, 0x1p52 + 1}}));
  // Where a double has no more decimals, and where 10^n y overflows.
  EXPECT_TRUE(same_bits(rounded({{123456789.123456789, 1e300, -1e300}}, Kind::decimals, 22),
                        {{123456789.123456789, 1e300, -1e300}}));
}

TEST_P(AnswersTest, WhatIsNoNumberStaysSo) {
  for (const Kind kind : {Kind::float64, Kind::float32, Kind::float16, Kind::decimals}) {
    const HostMatrix got = rounded({{kInfinity, -kInfinity, 0.0, -0.0, kNan}}, kind, 2);
    EXPECT_EQ(got(0, 0), kInfinity);
    EXPECT_EQ(got(0, 1), -kInfinity);
    EXPECT_EQ(got(0, 2), 0.0);
    EXPECT_EQ(got(0, 3), 0.0);
    EXPECT_TRUE(std::isnan(got(0, 4)));
  }
}

TEST_P(AnswersTest, ExactAnswersAreLeftAlone) {
  const HostMatrix values = normals(5, 3, 1);
  EXPECT_TRUE(same_bits(rounded(values, Kind::float64), values));
}

TEST_P(AnswersTest, NoiseIsTheNormalsOfTheRowsHash) {
  for (const auto& [n, p] : {std::pair<Index, Index>{1, 1}, {33, 2}, {64, 31}, {257, 3}}) {
    HostMatrix expected = normals(n, p, 5);
    const HostMatrix got = noisy(expected, Seed{9}, 0.25);
    for (Index i = 0; i < n; ++i) {
      const std::uint64_t hash = answer_hash(expected.row(i), p, i, n);
      for (Index o = 0; o < p; ++o) {
        const NormalPair z =
            normal_pair(9, kAnswerNoiseStream, hash, static_cast<std::uint64_t>(o / 2));
        // The hash is of the row as it was.
        expected(i, o) += 0.25 * (o % 2 == 0 ? z.first : z.second);
      }
    }
    EXPECT_TRUE(same_bits(got, expected)) << n << " x " << p;
  }
}

TEST_P(AnswersTest, NoiseDependsOnSeedPlaceSizeAndAnswersAndOnNothingElse) {
  const HostMatrix values(4, 2, 1.5);
  const HostMatrix once = noisy(values, Seed{1}, 1);
  EXPECT_TRUE(same_bits(noisy(values, Seed{1}, 1), once)) << "asked again, answered alike";
  // The same point in one batch: 8 numbers, all different; and in a batch of another size.
  std::map<double, int> seen;
  for (const HostMatrix& answers :
       {once, noisy(values, Seed{2}, 1), noisy(HostMatrix(3, 2, 1.5), Seed{1}, 1),
        noisy(HostMatrix(4, 2, 1.5000000000000002), Seed{1}, 1)}) {
    for (Index i = 0; i < answers.size(); ++i) ++seen[answers.data()[i]];
  }
  EXPECT_EQ(seen.size(), 8u + 8u + 6u + 8u);
}

TEST_P(AnswersTest, NoiseHasItsDeviation) {
  // Of n standard normals the mean has deviation 1 / sqrt(n), the mean square sqrt(2 / n); six of
  // them is exceeded with probability 2e-9.
  constexpr Index kRows = 20000;
  const HostMatrix noise = noisy(HostMatrix(kRows, 1, 3.0), Seed{4}, 1e-3);
  double sum = 0;
  double squares = 0;
  for (Index i = 0; i < kRows; ++i) {
    const double z = (noise(i, 0) - 3.0) / 1e-3;
    sum += z;
    squares += z * z;
  }
  EXPECT_LE(std::abs(sum / kRows), 6 / std::sqrt(static_cast<double>(kRows)));
  EXPECT_LE(std::abs(squares / kRows - 1), 6 * std::sqrt(2.0 / kRows));
}

TEST_P(AnswersTest, EmptyAnswersAreLeftAloneAndBadFormatsRefused) {
  for (const auto& [n, p] : {std::pair<Index, Index>{0, 3}, {3, 0}}) {
    EXPECT_EQ(rounded(HostMatrix(n, p), Kind::float16).size(), 0);
    EXPECT_EQ(noisy(HostMatrix(n, p), Seed{1}, 1).size(), 0);
  }
  const HostMatrix values(2, 2, 1.0);
  EXPECT_THROW(rounded(values, Kind::noise), BadInput);
  EXPECT_THROW(rounded(values, Kind::decimals, -1), BadInput);
  EXPECT_THROW(rounded(values, Kind::decimals, 23), BadInput);
  EXPECT_THROW(noisy(values, Seed{1}, -1), BadInput);
  EXPECT_THROW(noisy(values, Seed{1}, kNan), BadInput);
  EXPECT_THROW(noisy(values, Seed{1}, kInfinity), BadInput);
}

}  // namespace
}  // namespace crease
