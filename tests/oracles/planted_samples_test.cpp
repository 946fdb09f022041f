// Gaussian examples of a known network, with errors of a known size.
#include <crease/gaussian.hpp>
#include <crease/samples.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/devices.hpp"
#include "tests/support/drawn_rows.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_power.hpp"

namespace crease {
namespace {

class PlantedSamplesTest : public EveryBackend {
 protected:
  DrawnRows draw(SampleSource& source, Index rows) { return drawn_rows(device(), source, rows); }
};
CREASE_ON_EVERY_BACKEND(PlantedSamplesTest);

constexpr Index kInputs = 5;
constexpr Index kOutputs = 3;

ReluNetwork network() {
  return planted_network(kInputs, 7, kOutputs, 11);
}

double root_mean_square() {
  const HostMatrix mean = gaussian_mean(network());
  double sum = gaussian_variance(network());
  for (Index o = 0; o < kOutputs; ++o) sum += mean(o, 0) * mean(o, 0);
  return std::sqrt(sum / kOutputs);
}

TEST_P(PlantedSamplesTest, AnswersAreTheNetworksAndChunksMakeNoDifference) {
  const auto source = make_planted_samples(network(), Seed{3}, 10);
  EXPECT_EQ(source->rows_left(), 10);
  const DrawnRows all = draw(*source, 10);
  EXPECT_EQ(source->rows_left(), 0);
  EXPECT_THROW(draw(*source, 1), BadInput);

  EXPECT_TRUE(same_bits(all.y, evaluate(device(), network(), all.x)));
  ASSERT_TRUE(source->rewind());
  const DrawnRows first = draw(*source, 4);
  const DrawnRows second = draw(*source, 6);
  for (Index i = 0; i < 10; ++i) {
    const DrawnRows& from = i < 4 ? first : second;
    for (Index j = 0; j < kInputs; ++j) EXPECT_EQ(from.x(i < 4 ? i : i - 4, j), all.x(i, j));
  }
}

TEST_P(PlantedSamplesTest, AnotherSeedMakesOtherExamplesAndAnEndlessSourceHasNoEnd) {
  const auto a = make_planted_samples(network(), Seed{3}, std::nullopt);
  const auto b = make_planted_samples(network(), Seed{4}, std::nullopt);

  EXPECT_FALSE(a->rows_left());
  EXPECT_NE(draw(*a, 1).x(0, 0), draw(*b, 1).x(0, 0));
}

// The mean square of N normal errors of size s is within 5 standard deviations, 5 s^2 sqrt(2 / N),
// of s^2; seeds are fixed.
TEST_P(PlantedSamplesTest, TheNoiseHasTheSizeThatIsAskedForOverTheRmsOfTheOutputs) {
  constexpr Index kRows = 4000;
  const auto clean = make_planted_samples(network(), Seed{3}, kRows);
  const auto noisy = make_planted_samples(network(), Seed{3}, kRows, {0.25, 0, 10});
  const DrawnRows a = draw(*clean, kRows);
  const DrawnRows b = draw(*noisy, kRows);
  EXPECT_TRUE(same_bits(a.x, b.x));
  double square = 0;
  for (Index i = 0; i < a.y.size(); ++i) {
    square += std::pow(b.y.data()[i] - a.y.data()[i], 2);
  }
  const double expected = std::pow(0.25 * root_mean_square(), 2);
  const auto count = static_cast<double>(kRows * kOutputs);

  EXPECT_NEAR(square / count, expected, 5 * expected * std::sqrt(2 / count));
}

TEST_P(PlantedSamplesTest, OtherPowersAreDrawnWithNoiseOfTheirOwnSize) {
  constexpr Index kRows = 4000;
  const ReluNetwork power = planted_power(kInputs, 7, kOutputs, 2.5, 11);
  const auto clean = make_planted_samples(power, Seed{3}, kRows);
  const auto noisy = make_planted_samples(power, Seed{3}, kRows, {0.25, 0, 10});
  const DrawnRows a = draw(*clean, kRows);
  const DrawnRows b = draw(*noisy, kRows);
  EXPECT_TRUE(same_bits(a.y, evaluate(device(), power, a.x)));
  double square = 0;
  for (Index i = 0; i < a.y.size(); ++i) square += std::pow(b.y.data()[i] - a.y.data()[i], 2);
  const double moment =
      std::pow(gaussian_distance(power, ReluNetwork(kInputs, 0, kOutputs)).value, 2);
  const double expected = 0.25 * 0.25 * moment / kOutputs;
  const auto count = static_cast<double>(kRows * kOutputs);
  EXPECT_NEAR(square / count, expected, 5 * expected * std::sqrt(2 / count));
}

// The number of gross errors among N numbers is within 5 sqrt(N f (1 - f)) of N f.
TEST_P(PlantedSamplesTest, GrossErrorsHitTheShareThatIsAskedForAndNothingElse) {
  constexpr Index kRows = 4000;
  const auto clean = make_planted_samples(network(), Seed{5}, kRows);
  const auto spoilt = make_planted_samples(network(), Seed{5}, kRows, {0, 0.05, 100});
  const DrawnRows a = draw(*clean, kRows);
  const DrawnRows b = draw(*spoilt, kRows);
  double hit = 0;
  double square = 0;
  for (Index i = 0; i < a.y.size(); ++i) {
    if (a.y.data()[i] == b.y.data()[i]) continue;
    ++hit;
    square += std::pow(b.y.data()[i] - a.y.data()[i], 2);
  }
  const auto count = static_cast<double>(kRows * kOutputs);
  const double expected = std::pow(100 * root_mean_square(), 2);

  EXPECT_NEAR(hit, 0.05 * count, 5 * std::sqrt(count * 0.05 * 0.95));
  EXPECT_NEAR(square / hit, expected, 5 * expected * std::sqrt(2 / hit));
}

TEST_P(PlantedSamplesTest, ErrorsOutOfTheirRangeAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const PlantedErrors& errors :
       {PlantedErrors{-1, 0, 10}, PlantedErrors{nan, 0, 10}, PlantedErrors{0, -0.1, 10},
        PlantedErrors{0, 1.1, 10}, PlantedErrors{0, nan, 10}, PlantedErrors{0, 0.1, -1}}) {
    EXPECT_THROW(make_planted_samples(network(), {}, 1, errors), BadInput);
  }
  EXPECT_THROW(make_planted_samples(network(), {}, -1), BadInput);
}

}  // namespace
}  // namespace crease
