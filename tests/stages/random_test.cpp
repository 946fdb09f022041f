// The learner's own random decisions.
#include "src/stages/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

class LearnerRandomTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(LearnerRandomTest);

TEST_P(LearnerRandomTest, PointsAreTheNextRowsOfTheirStream) {
  Random random(Seed{7});
  const HostMatrix first =
      download(device(), random.gaussian_points(device(), Stream::looks, 5, 3));
  random.gaussian_points(device(), Stream::hunt, 4, 3);  // another stream: moves nothing here
  const HostMatrix second =
      download(device(), random.gaussian_points(device(), Stream::looks, 2, 3, 2.0));
  EXPECT_EQ(random.take_rows(Stream::looks, 10), 7);
  EXPECT_EQ(random.take_rows(Stream::looks, 1), 17);
  EXPECT_EQ(random.take_rows(Stream::hunt, 1), 4);

  DeviceMatrix expected(device(), 5, 3);
  fill_gaussian(device(), Seed{7}, static_cast<std::uint64_t>(Stream::looks), 0, 1.0, expected);
  EXPECT_TRUE(same_bits(first, download(device(), expected)));
  DeviceMatrix wide(device(), 2, 3);
  fill_gaussian(device(), Seed{7}, static_cast<std::uint64_t>(Stream::looks), 5, 2.0, wide);
  EXPECT_TRUE(same_bits(second, download(device(), wide)));
}

TEST_P(LearnerRandomTest, NormalsOnTheHostAreThoseOfTheDevice) {
  for (const Index d : {1, 2, 7, 64}) {
    Random random(Seed{11});
    random.normals(d);
    const std::vector<double> second = random.normals(d);
    DeviceMatrix expected(device(), 1, d);
    fill_gaussian(device(), Seed{11}, static_cast<std::uint64_t>(Stream::lines), 1, 1.0, expected);
    HostMatrix got(0, d);
    got.append_row(second.data(), d);
    EXPECT_TRUE(same_bits(got, download(device(), expected)));
  }
}

TEST_P(LearnerRandomTest, PointsFillTheUnitBallEvenly) {
  constexpr Index kPoints = 4000;
  for (const Index d : {1, 2, 7}) {
    Random random(Seed{4});
    const HostMatrix x =
        download(device(), random.ball_points(device(), Stream::certificate, kPoints, d));
    ASSERT_EQ(x.rows(), kPoints);
    ASSERT_EQ(x.cols(), d);
    double inside = 0, first = 0, square = 0;
    for (Index i = 0; i < kPoints; ++i) {
      double norm = 0;
      for (Index j = 0; j < d; ++j) norm = std::hypot(norm, x(i, j));
      ASSERT_LE(norm, 1);
      inside += std::pow(norm, static_cast<double>(d)) < 0.25 ? 1 : 0;  // a quarter of the volume
      first += x(i, 0) / kPoints;
      square += x(i, d - 1) * x(i, d - 1) / kPoints;
    }
    // Five standard errors of a binomial, of a mean of numbers of variance 1 / (d + 2), and of
    // squares, whose variance is below theirs.
    const double error = 5 / std::sqrt(static_cast<double>(kPoints));
    EXPECT_NEAR(inside / kPoints, 0.25, error * std::sqrt(0.25 * 0.75)) << d;
    EXPECT_NEAR(first, 0, error / std::sqrt(static_cast<double>(d) + 2)) << d;
    EXPECT_NEAR(square, 1 / (static_cast<double>(d) + 2), error / std::sqrt(d + 2.0)) << d;
    EXPECT_EQ(random.take_rows(Stream::certificate, 1), kPoints);
  }
}

TEST_P(LearnerRandomTest, NoTwoStreamsShareANumber) {
  // 6 streams x 200 normals of 53 bits: two alike by chance with probability below 1e-9.
  Random random(Seed{3});
  std::set<double> seen;
  for (const Stream stream : {Stream::lines, Stream::directions, Stream::looks, Stream::hunt,
                              Stream::certificate, Stream::uniform_mode}) {
    const HostMatrix points = download(device(), random.gaussian_points(device(), stream, 100, 2));
    seen.insert(points.data(), points.data() + points.size());
  }
  EXPECT_EQ(seen.size(), 6u * 200u);
}

TEST(LearnerRandomNumbersTest, ASeedIsARun) {
  Random a(Seed{5});
  Random b(Seed{5});
  Random other(Seed{6});
  EXPECT_EQ(a.seed().value, 5u);
  const std::vector<double> normals = a.normals(9);
  EXPECT_EQ(normals, b.normals(9));
  EXPECT_NE(normals, other.normals(9));
  EXPECT_NE(normals, a.normals(9)) << "the next draw is another one";
  const double uniform = a.uniform(0, 1);
  EXPECT_EQ(uniform, b.uniform(0, 1));
  EXPECT_NE(uniform, other.uniform(0, 1));
}

TEST(LearnerRandomNumbersTest, UniformFillsItsIntervalEvenly) {
  Random random(Seed{8});
  constexpr int kDraws = 10000;
  constexpr int kBins = 10;
  std::vector<int> count(kBins);
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.uniform(-3.0, 2.0);
    ASSERT_GE(value, -3.0);
    ASSERT_LT(value, 2.0);
    ++count[static_cast<std::size_t>((value + 3.0) / 5.0 * kBins)];
  }
  // Binomial with mean 1000 and standard deviation 30: beyond 5 of them in one of ten bins with
  // probability below 6e-6.
  for (const int in_bin : count) EXPECT_NEAR(in_bin, 1000, 150);
}

}  // namespace
}  // namespace crease
