// Gaussian numbers from a counter: the generator, the normals, and the functions under them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gaussian_sample.hpp"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

HostMatrix gaussian(Device& device, Seed seed, std::uint64_t stream, Index first_row, double scale,
                    Index rows, Index cols) {
  Padded out(device, rows, cols);
  fill_gaussian(device, seed, stream, first_row, scale, out);
  return out.read();
}

HostMatrix gaussian_by_definition(Seed seed, std::uint64_t stream, Index first_row, double scale,
                                  Index rows, Index cols) {
  HostMatrix out(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const NormalPair pair =
          normal_pair(seed.value, stream, static_cast<std::uint64_t>(first_row + i),
                      static_cast<std::uint64_t>(j / 2));
      out(i, j) = scale * (j % 2 == 0 ? pair.first : pair.second);
    }
  }
  return out;
}

/// |got - exact| in units of the last place of a double as large as `exact`.
double ulps(double got, long double exact) {
  if (exact == 0) return got == 0 ? 0 : std::numeric_limits<double>::infinity();
  int exponent = 0;
  std::frexp(exact, &exponent);
  return static_cast<double>(std::abs(got - exact) / std::ldexp(1.0L, exponent - 53));
}

TEST(PhiloxTest, KnownAnswersOfTheAuthors) {
  // kat_vectors of Random123, "philox4x32 10".
  struct Vector {
    r123::Philox4x32::ctr_type counter;
    r123::Philox4x32::key_type key;
    r123::Philox4x32::ctr_type answer;
  };
  const Vector vectors[] = {
      {{{0, 0, 0, 0}}, {{0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       {{0xffffffff, 0xffffffff}},
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {{0xa4093822, 0x299f31d0}},
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}};
  for (const Vector& vector : vectors) {
    r123::Philox4x32 philox;
    EXPECT_EQ(philox(vector.counter, vector.key), vector.answer);
  }
}

TEST(PortableLogTest, StaysWithinItsUlpsOfTheLibrary) {
  double worst = 0;
  for (int i = 1; i <= 200000; ++i) {
    const double turn = i * 0.61803398874989484820;
    const double x = turn - std::floor(turn);
    for (const double shrunk :
         {x, 1.0 - 1e-9 * x, x * 0x1p-40, std::sqrt(0.5) * (1.0 + 1e-6 * x)}) {
      worst =
          std::max(worst, ulps(portable_log(shrunk), std::log(static_cast<long double>(shrunk))));
    }
  }
  EXPECT_TRUE(at_most(worst, 4.0));
}

TEST(PortableLogTest, EndsOfItsRange) {
  EXPECT_EQ(portable_log(1.0), 0.0);
  EXPECT_TRUE(at_most(ulps(portable_log(0x1p-53), -53 * std::log(2.0L)), 4.0));
  EXPECT_TRUE(at_most(ulps(portable_log(1.0 - 0x1p-53), std::log(1.0L - 0x1p-53L)), 4.0));
}

TEST(PortableCosSinTest, StaysWithinItsUlpsOfTheLibrary) {
  constexpr long double kEighth = 0.785398163397448309615660845819875721L;
  double worst = 0;
  for (int i = 1; i <= 200000; ++i) {
    const double golden = i * 0.61803398874989484820;
    const double part = golden - std::floor(golden);
    for (const double turn : {part, part * 0x1p-20, (i % 8 + 1e-7 * part) / 8.0}) {
      // In the turn's own quarter, and cos as the sine of what is left of it: exact near its zero.
      const int quarter = static_cast<int>(turn * 4);
      const double eighths = turn * 8.0 - 2 * quarter;
      const long double c = std::sin((2 - eighths) * kEighth);
      const long double s = std::sin(eighths * kEighth);
      const long double cosines[] = {c, -s, -c, s};
      const long double sines[] = {s, c, -s, -c};
      double cosine = 0;
      double sine = 0;
      portable_cos_sin(turn, cosine, sine);
      worst = std::max({worst, ulps(cosine, cosines[quarter]), ulps(sine, sines[quarter])});
    }
  }
  EXPECT_TRUE(at_most(worst, 4.0));
}

TEST(PortableCosSinTest, ExactAtTheQuarters) {
  const double expected[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
  for (int quarter = 0; quarter < 4; ++quarter) {
    double cosine = 7;
    double sine = 7;
    portable_cos_sin(quarter / 4.0, cosine, sine);
    EXPECT_EQ(cosine, expected[quarter][0]) << quarter;
    EXPECT_EQ(sine, expected[quarter][1]) << quarter;
  }
}

class RandomTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(RandomTest);

TEST_P(RandomTest, FirstNormalsFollowFromTheKnownAnswer) {
  // Box-Muller of the words 6627e8d5 e169c58d bc57ac4c 9b00dbd8, worked in 40 digits. Relative
  // error: log and cos 4 ulp each, the root halves log's, three roundings; below 8 eps together.
  const HostMatrix got = gaussian(device(), Seed{0}, 0, 0, 1.0, 1, 2);
  const double expected[2] = {-0.12151797595308181291, -1.3500326598576550037};
  for (Index j = 0; j < 2; ++j) {
    EXPECT_TRUE(at_most(std::abs(got(0, j) - expected[j]), 8 * kEps * std::abs(expected[j])));
  }
}

TEST_P(RandomTest, EveryElementIsTheNormalOfItsCounter) {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {31, 32}, {33, 257}, {64, 3}}) {
    for (const Index first_row : {Index{0}, Index{5}, Index{1} << 40}) {
      const Seed seed{0x0123456789abcdefULL};
      EXPECT_TRUE(same_bits(gaussian(device(), seed, 7, first_row, -1.5, rows, cols),
                            gaussian_by_definition(seed, 7, first_row, -1.5, rows, cols)))
          << rows << " x " << cols << " from row " << first_row;
    }
  }
}

TEST_P(RandomTest, AnyChunkRegeneratesAnyRow) {
  const HostMatrix all = gaussian(device(), Seed{3}, 1, 0, 1.0, 100, 9);
  for (const Index first : {0, 1, 37, 99}) {
    const HostMatrix chunk = gaussian(device(), Seed{3}, 1, first, 1.0, 1, 9);
    HostMatrix expected(1, 9);
    std::copy_n(all.row(first), 9, expected.row(0));
    EXPECT_TRUE(same_bits(chunk, expected)) << "row " << first;
  }
}

TEST_P(RandomTest, MomentsAndDistributionAreNormal) {
  constexpr Index kRows = 20000;
  constexpr Index kCols = 5;
  const auto n = static_cast<double>(kRows * kCols);
  const HostMatrix x = gaussian(device(), Seed{11}, 0, 0, 1.0, kRows, kCols);
  std::vector<double> sorted(x.data(), x.data() + x.size());
  std::sort(sorted.begin(), sorted.end());
  double mean = 0;
  double square = 0;
  double fourth = 0;
  double kolmogorov = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double v = sorted[i];
    mean += v / n;
    square += v * v / n;
    fourth += v * v * v * v / n;
    const double below = 0.5 * std::erfc(-v / std::sqrt(2.0));
    kolmogorov = std::max({kolmogorov, std::abs(below - static_cast<double>(i) / n),
                           std::abs(below - static_cast<double>(i + 1) / n)});
  }
  // Six standard deviations of each moment: of x, x^2 and x^4 they are 1, sqrt(2), sqrt(96).
  EXPECT_TRUE(at_most(std::abs(mean), 6 / std::sqrt(n)));
  EXPECT_TRUE(at_most(std::abs(square - 1), 6 * std::sqrt(2 / n)));
  EXPECT_TRUE(at_most(std::abs(fourth - 3), 6 * std::sqrt(96 / n)));
  // Dvoretzky-Kiefer-Wolfowitz, failure probability 1e-9.
  EXPECT_TRUE(at_most(kolmogorov, std::sqrt(std::log(2 / 1e-9) / (2 * n))));
}

TEST_P(RandomTest, ColumnsRowsStreamsAndSeedsAreUncorrelated) {
  constexpr Index kRows = 20000;
  const HostMatrix x = gaussian(device(), Seed{5}, 0, 0, 1.0, kRows + 1, 4);
  const HostMatrix other_stream = gaussian(device(), Seed{5}, 1, 0, 1.0, kRows, 4);
  const HostMatrix other_seed = gaussian(device(), Seed{6}, 0, 0, 1.0, kRows, 4);
  // A product of two independent normals has standard deviation 1: six of the mean's.
  const double bound = 6 / std::sqrt(static_cast<double>(kRows));
  double columns[3] = {};
  double rows = 0;
  double streams = 0;
  double seeds = 0;
  for (Index i = 0; i < kRows; ++i) {
    for (Index j = 1; j < 4; ++j) columns[j - 1] += x(i, 0) * x(i, j) / kRows;
    rows += x(i, 0) * x(i + 1, 0) / kRows;
    streams += x(i, 0) * other_stream(i, 0) / kRows;
    seeds += x(i, 0) * other_seed(i, 0) / kRows;
  }
  for (const double column : columns) EXPECT_TRUE(at_most(std::abs(column), bound));
  EXPECT_TRUE(at_most(std::abs(rows), bound));
  EXPECT_TRUE(at_most(std::abs(streams), bound));
  EXPECT_TRUE(at_most(std::abs(seeds), bound));
}

TEST_P(RandomTest, EmptyOutputIsLeftAlone) {
  EXPECT_EQ(gaussian(device(), Seed{1}, 0, 0, 1.0, 0, 5).size(), 0);
  EXPECT_EQ(gaussian(device(), Seed{1}, 0, 0, 1.0, 5, 0).size(), 0);
}

TEST_P(RandomTest, BadArgumentsAreRefused) {
  DeviceMatrix out(device(), 2, 2);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THROW(fill_gaussian(device(), {}, 0, -1, 1.0, out), BadInput);
  EXPECT_THROW(fill_gaussian(device(), {}, std::uint64_t{1} << 32, 0, 1.0, out), BadInput);
  EXPECT_THROW(fill_gaussian(device(), {}, 0, 0, infinity, out), BadInput);
  EXPECT_THROW(fill_gaussian(device(), {}, 0, 0, std::nan(""), out), BadInput);
}

}  // namespace
}  // namespace crease
