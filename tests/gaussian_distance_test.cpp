// Distances of networks under N(0, I), from far apart down to the floor.
#include <crease/gaussian.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/near.hpp"
#include "tests/support/planted_power.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

// Root mean square over `points` fixed Gaussian points.
double sampled(const ReluNetwork& f, const ReluNetwork& g, Index points) {
  const auto device = make_cpu_device();
  const HostMatrix x = normals(points, f.inputs(), 77);
  const HostMatrix a = evaluate(*device, f, x);
  const HostMatrix b = evaluate(*device, g, x);
  double sum = 0.0;
  for (Index i = 0; i < a.size(); ++i) {
    sum += std::pow(a.data()[i] - b.data()[i], 2);
  }
  return std::sqrt(sum / static_cast<double>(points));
}

// Every hyperplane moved by about t, |w| being about 1.
ReluNetwork moved(const ReluNetwork& f, double t) {
  ReluNetwork g = f;
  const HostMatrix weights = normals(f.neurons(), f.inputs(), 105);
  const HostMatrix bias = normals(f.neurons(), 1, 106);
  for (Index i = 0; i < weights.size(); ++i) {
    g.weights.data()[i] += t / std::sqrt(f.inputs()) * weights.data()[i];
  }
  for (Index i = 0; i < bias.size(); ++i) g.bias.data()[i] += t * bias.data()[i];
  return g;
}

TEST(GaussianDistanceTest, ANetworkIsAtDistanceZeroFromItself) {
  const ReluNetwork f = planted_network(6, 30, 2, 1);
  const GaussianDistance distance = gaussian_distance(f, f);
  EXPECT_EQ(distance.value, 0.0);
  EXPECT_EQ(distance.floor, 0.0);
  EXPECT_FALSE(distance.sampled);
}

TEST(GaussianDistanceTest, WithoutTheOtherNetworkItIsTheSecondMoment) {
  const ReluNetwork f = planted_network(6, 30, 2, 1);
  const ReluNetwork zero(6, 0, 2);
  const HostMatrix mean = gaussian_mean(f);
  const double expected = std::hypot(gaussian_standard_deviation(f), mean(0, 0), mean(1, 0));
  EXPECT_NEAR(gaussian_distance(f, zero).value, expected, 16 * kEps * expected);
  EXPECT_NEAR(gaussian_distance(zero, f).value, expected, 16 * kEps * expected);
}

TEST(GaussianDistanceTest, UnlikeNetworksAreAsFarApartAsSamplesSay) {
  const ReluNetwork f = planted_network(5, 20, 3, 2);
  const ReluNetwork g = planted_network(5, 26, 3, 3);
  constexpr Index kPoints = 200000;
  const GaussianDistance distance = gaussian_distance(f, g);
  // The mean of n squares with kurtosis at most 15 is right to sqrt(14 / n); four of that, halved
  // by the root.
  EXPECT_NEAR(distance.value, sampled(f, g, kPoints),
              2 * std::sqrt(14.0 / kPoints) * distance.value);
  EXPECT_FALSE(distance.sampled);
}

TEST(GaussianDistanceTest, OutputsAndConstantsScaledByATinyAmountAreExactlyThatFarApart) {
  const ReluNetwork f = planted_network(8, 50, 2, 4);
  const HostMatrix mean = gaussian_mean(f);
  const double whole = std::hypot(gaussian_standard_deviation(f), mean(0, 0), mean(1, 0));
  for (int power = 6; power <= 46; power += 4) {
    const double change = std::ldexp(1.0, -power);  // 1.6e-2 to 1.4e-14
    ReluNetwork g = f;
    for (HostMatrix* part : {&g.output, &g.linear, &g.constant}) {
      for (Index i = 0; i < part->size(); ++i) part->data()[i] *= 1.0 + change;
    }
    const GaussianDistance distance = gaussian_distance(f, g);
    // Each of g's numbers is rounded once, by at most eps / 2 of itself: relative to the change
    // that is eps / (2 change), and the sum of |u| |w| is at most 20 times the norm here.
    EXPECT_NEAR(distance.value, change * whole, 20 * (kEps / change + 64 * kEps) * change * whole)
        << change;
    EXPECT_FALSE(distance.sampled) << change;
    EXPECT_LE(distance.floor, 1e-6 * distance.value) << change;
  }
}

TEST(GaussianDistanceTest, MovedHyperplanesScaleWithTheMoveDownToRounding) {
  // To first order in t, F(t) - F is t times one function: distance(t) / t settles.
  const ReluNetwork f = planted_network(30, 24, 2, 5);  // directions far from each other
  const double slope = gaussian_distance(f, moved(f, 1e-7)).value / 1e-7;
  for (const double t : {1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12}) {
    const GaussianDistance distance = gaussian_distance(f, moved(f, t));
    // The next order is t times as much (1e-7 of the slope), and of bundles the angle, at most 1e-6
    // here and there; below, the numbers moved are rounded to eps, of t.
    EXPECT_NEAR(distance.value / t, slope, (t + 1e-6 + 4 * kEps / t) * slope) << t;
    EXPECT_FALSE(distance.sampled) << t;
    EXPECT_GE(distance.value, distance.floor) << t;
  }
}

TEST(GaussianDistanceTest, MovedHyperplanesAreAsFarApartAsSamplesSay) {
  const ReluNetwork f = planted_network(30, 24, 2, 5);
  constexpr Index kPoints = 100000;
  for (const double t : {1e-2, 1e-4, 1e-6, 1e-8}) {
    const GaussianDistance distance = gaussian_distance(f, moved(f, t));
    EXPECT_NEAR(distance.value, sampled(f, moved(f, t), kPoints),
                2 * std::sqrt(14.0 / kPoints) * distance.value)
        << t;
  }
}

TEST(GaussianDistanceTest, BelowTheFloorItIsSampled) {
  // In the plane every hyperplane has another near it: pairs are added hinge by hinge.
  const ReluNetwork f = planted_network(2, 40, 1, 6);
  constexpr Index kPoints = 100000;
  bool exact = false;
  bool from_samples = false;
  for (const double t : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10}) {
    const GaussianDistance distance = gaussian_distance(f, moved(f, t));
    (distance.sampled ? from_samples : exact) = true;
    EXPECT_GE(distance.value, distance.floor) << t;
    // 5 % above the floor, and sampling errors of 32768 points (four standard ones) below it.
    const double allowed = distance.sampled ? 2 * std::sqrt(14.0 / 32768) : 0.05;
    EXPECT_NEAR(distance.value, sampled(f, moved(f, t), kPoints),
                (allowed + 2 * std::sqrt(14.0 / kPoints)) * distance.value)
        << t;
  }
  EXPECT_TRUE(exact);
  EXPECT_TRUE(from_samples);
}

TEST(GaussianDistanceTest, OrientationAndScaleOfNeuronsDoNotMatter) {
  const ReluNetwork f = planted_network(20, 30, 2, 8);
  ReluNetwork g = f;
  for (Index j = 0; j < 30; ++j) {
    const double scale = j % 3 == 0 ? -0.7 : 3.0;
    for (Index o = 0; o < 2; ++o) {
      if (scale < 0) {  // u relu(z) = u z + u relu(-z)
        for (Index i = 0; i < 20; ++i) g.linear(o, i) += f.output(o, j) * f.weights(j, i);
        g.constant(o, 0) += f.output(o, j) * f.bias(j, 0);
      }
      g.output(o, j) /= std::abs(scale);
    }
    for (Index i = 0; i < 20; ++i) g.weights(j, i) *= scale;
    g.bias(j, 0) *= scale;
  }
  const GaussianDistance distance = gaussian_distance(f, g);
  EXPECT_LE(distance.value, distance.floor);
  EXPECT_LE(distance.floor, 1e-9 * gaussian_standard_deviation(f));
}

TEST(GaussianDistanceTest, TheGramMatrixOfANetworkIsWhole) {
  const ReluNetwork f = planted_network(3, 4, 1, 9);
  const HostMatrix gram = gaussian_gram(f);
  ASSERT_EQ(gram.rows(), 8);
  EXPECT_TRUE(same_bits(gram, transposed(gram)));
  // u^T G u is the second moment.
  HostMatrix u(8, 1);
  for (Index j = 0; j < 4; ++j) u(j, 0) = f.output(0, j);
  for (Index i = 0; i < 3; ++i) u(4 + i, 0) = f.linear(0, i);
  u(7, 0) = f.constant(0, 0);
  const double moment = product(transposed(u), product(gram, u).value).value(0, 0);
  const double expected = std::pow(gaussian_distance(f, ReluNetwork(3, 0, 1)).value, 2);
  EXPECT_NEAR(moment, expected,
              256 * kEps * product(transposed(u), product(gram, u).terms).terms(0, 0));
}

// |F - G|^2 over fixed points: its mean, and the standard deviation of one.
struct Squares {
  double mean = 0;
  double deviation = 0;
};

Squares sampled_squares(const ReluNetwork& f, const ReluNetwork& g, Index points) {
  const auto device = make_cpu_device();
  const HostMatrix x = normals(points, f.inputs(), 77);
  const HostMatrix a = evaluate(*device, f, x);
  const HostMatrix b = evaluate(*device, g, x);
  double second = 0;
  double fourth = 0;
  for (Index i = 0; i < points; ++i) {
    double square = 0;
    for (Index o = 0; o < a.cols(); ++o) square += std::pow(a(i, o) - b(i, o), 2);
    second += square / static_cast<double>(points);
    fourth += square * square / static_cast<double>(points);
  }
  return {second, std::sqrt(fourth - second * second)};
}

TEST(GaussianDistanceTest, OfOnePowerItIsExactDownToItsFloorAndThenSampled) {
  const ReluNetwork f = planted_power(5, 12, 2, 1.5, 7);
  const GaussianDistance same = gaussian_distance(f, f);
  EXPECT_EQ(same.value, 0.0);
  EXPECT_EQ(same.floor, 0.0);
  EXPECT_FALSE(same.sampled);
  const double rms = gaussian_distance(f, planted_power(5, 0, 2, 1.5, 7)).value;
  const HostMatrix mean = gaussian_mean(f);
  EXPECT_NEAR(rms, std::hypot(gaussian_standard_deviation(f), mean(0, 0), mean(1, 0)), 1e-13 * rms);
  // The same weights: outputs subtract first, to eps of themselves, so 2^-40 of them to 2^-11.
  const double scaled = gaussian_distance(f, times(f, 1 + 0x1p-40)).value;
  EXPECT_NEAR(scaled, 0x1p-40 * rms, 0x1p-11 * scaled);

  constexpr Index kPoints = 100000;
  bool exact = false;
  bool from_samples = false;
  for (const double t : {1e-1, 1e-3, 1e-5, 1e-8, 1e-11}) {
    ReluNetwork g = moved(f, t);
    g.bias = HostMatrix(12, 1);
    const GaussianDistance distance = gaussian_distance(f, g);
    (distance.sampled ? from_samples : exact) = true;
    EXPECT_GE(distance.value, distance.floor) << t;
    // Four standard errors of the samples here, and of the 32768 there; an exact square is off by
    // at most floor^2.
    const Squares squares = sampled_squares(f, g, kPoints);
    const double there = distance.sampled ? 1 / std::sqrt(32768.0) : 0.0;
    const double off = distance.sampled ? 0.0 : distance.floor * distance.floor;
    EXPECT_NEAR(distance.value * distance.value, squares.mean,
                4 * squares.deviation * (there + 1 / std::sqrt(kPoints)) + off)
        << t;
  }
  EXPECT_TRUE(exact);
  EXPECT_TRUE(from_samples);
}

TEST(GaussianDistanceTest, OfDifferentPowersItIsExactWithoutBiases) {
  // |f_1(x) - f_2(y)|^2 at an angle t: 1/2 + 3/2 - 2 E f_1 f_2, with 2^1.5 Gamma(2.5) / (2 pi) (1 +
  // cos t)^2 / 3 for the last; 100 eps S^2, S = sqrt(1/2) + sqrt(3/2) < 2.
  for (const double t : {0.0, 0.7, 2.0}) {
    ReluNetwork f(2, 1, 1);
    f.weights = {{1, 0}};
    f.output = {{1}};
    ReluNetwork g = f;
    g.weights = {{std::cos(t), std::sin(t)}};
    g.power = 2;
    const double mixed = std::exp2(1.5) * std::tgamma(2.5) / (2 * std::acos(-1.0)) *
                         std::pow(1 + std::cos(t), 2) / 3;
    for (const GaussianDistance& distance : {gaussian_distance(f, g), gaussian_distance(g, f)}) {
      EXPECT_NEAR(distance.value * distance.value, 2 - 2 * mixed, 400 * kEps) << t;
      EXPECT_FALSE(distance.sampled);
      EXPECT_GT(distance.floor, 0);
      EXPECT_LT(distance.floor, distance.value);
    }
  }
}

TEST(GaussianDistanceTest, OfAnotherPowerAndANetworkWithBiasesItIsSampled) {
  const ReluNetwork f = planted_network(5, 12, 2, 7);
  const ReluNetwork g = planted_power(5, 12, 2, 2, 8);
  constexpr Index kPoints = 100000;
  const GaussianDistance distance = gaussian_distance(f, g);
  EXPECT_TRUE(distance.sampled);
  EXPECT_EQ(gaussian_distance(g, f).value, distance.value);
  const Squares squares = sampled_squares(f, g, kPoints);
  EXPECT_NEAR(distance.value * distance.value, squares.mean,
              4 * squares.deviation * (1 / std::sqrt(32768.0) + 1 / std::sqrt(kPoints)));
}

TEST(GaussianDistanceTest, DifferentShapesAreRefused) {
  const ReluNetwork f = planted_network(3, 4, 2, 1);
  EXPECT_THROW(gaussian_distance(f, planted_network(4, 4, 2, 1)), BadInput);
  EXPECT_THROW(gaussian_distance(f, planted_network(3, 4, 1, 1)), BadInput);
  ReluNetwork broken = f;
  broken.bias = HostMatrix(3, 1);
  EXPECT_THROW(gaussian_distance(f, broken), BadInput);
  EXPECT_THROW(gaussian_distance(broken, f), BadInput);
  EXPECT_THROW(gaussian_gram(broken), BadInput);
  EXPECT_THROW(gaussian_distance(f, planted_power(3, 4, 2, 65, 1)), BadInput);
  EXPECT_THROW(gaussian_distance(planted_power(3, 4, 2, 65, 1), f), BadInput);
}

}  // namespace
}  // namespace crease
