// Gaussian integrals of rectified powers: closed forms, fifty digits, and the angle they depend on.
#include "src/gaussian_powers.hpp"

#include <gtest/gtest.h>

#include <crease/gaussian.hpp>

#include <array>
#include <cmath>
#include <numbers>
#include <random>

#include "tests/support/gaussian_networks.hpp"

namespace crease {
namespace {

constexpr double kPi = std::numbers::pi;
// The contract: two sums that agree to 1e-11 leave an error of about 1e-14; a few hundred terms and
// their powers (p eps each) round by less than the rest.
constexpr double kRelative = 1e-13;

Angle angle(double between) {
  return {between, kPi - between};
}

TEST(GaussianPowersTest, MomentsOfOneNeuronMatchTheirClosedForms) {
  // E relu = 1 / sqrt(2 pi), E relu^2 = 1/2, E relu^3 = 2 / sqrt(2 pi), E relu^4 = 3/2; E z_+^(2p)
  // is half the double factorial (2p - 1)!!.
  EXPECT_NEAR(power_mean(1), 1 / std::sqrt(2 * kPi), 4 * kEps);
  EXPECT_NEAR(power_mean(2), 0.5, 4 * kEps);
  EXPECT_NEAR(power_mean(3), 2 / std::sqrt(2 * kPi), 8 * kEps);
  EXPECT_NEAR(power_square(2), 1.5, 8 * kEps);
  EXPECT_NEAR(power_square(3), 7.5, 64 * kEps);
  EXPECT_NEAR(power_square(5), 945.0 / 2, 945 * 8 * kEps);
  // Gamma(3/4): E sqrt(z_+).
  EXPECT_NEAR(power_mean(0.5), std::pow(2, -0.75) * 1.2254167024651776451 / std::sqrt(kPi),
              4 * kEps);
}

TEST(GaussianPowersTest, WholePowersAreTheArcCosineKernels) {
  const PowerProduct first(1, 1);
  const PowerProduct second(2, 2);
  const PowerProduct mixed(1, 2);
  for (const double t : {0.0, 1e-9, 1e-4, 0.01, 0.4, 1.0, 0.5 * kPi, 2.0, 2.5}) {
    const double s = std::sin(t);
    const double c = std::cos(t);
    const double j1 = s + (kPi - t) * c;
    const double j2 = 3 * s * c + (kPi - t) * (1 + 2 * c * c);
    // Where their terms cancel the closed forms lose a little: at 2.5 to 60 and 400 eps of them.
    const double terms1 = s + (kPi - t) * std::abs(c);
    const double terms2 = 3 * std::abs(s * c) + (kPi - t) * (1 + 2 * c * c);
    EXPECT_NEAR(first(angle(t)), j1 / (2 * kPi), kRelative * j1 + 4 * kEps * terms1) << t;
    EXPECT_NEAR(second(angle(t)), j2 / (2 * kPi), kRelative * j2 + 8 * kEps * terms2) << t;
    // int_0^L sin^2(a) sin(L - a) da = (1 - cos L)^2 / 3, L = pi - t.
    const double expected = std::exp2(1.5) * std::tgamma(2.5) / (2 * kPi) * std::pow(1 + c, 2) / 3;
    EXPECT_NEAR(mixed(angle(t)), expected, kRelative * expected + 16 * kEps) << t;
  }
}

TEST(GaussianPowersTest, OrthogonalNeuronsAreIndependentAndEqualOnesAreTheSquare) {
  for (const double p : {0.01, 0.25, 0.5, 1.0, 1.7, 3.0, 8.5, 64.0}) {
    for (const double q : {0.01, 0.5, 2.0, 7.3, 64.0}) {
      const double independent = power_mean(p) * power_mean(q);
      const double equal = power_mean(p + q);
      EXPECT_NEAR(PowerProduct(p, q)({0.5 * kPi, 0.5 * kPi}) / independent, 1, kRelative) << p << q;
      EXPECT_NEAR(PowerProduct(p, q)({0, kPi}) / equal, 1, kRelative) << p << " " << q;
    }
  }
}

TEST(GaussianPowersTest, NearlyOppositeNeuronsKeepTheirRelativeAccuracy) {
  // sin a = a (1 - a^2 / 6): L^(p+q+1) B(p + 1, q + 1) to a relative (p + q) L^2 / 6.
  for (const double p : {0.1, 1.0, 2.5}) {
    for (const double q : {0.1, 2.0, 4.0}) {
      const double rest = 1e-8;
      const double beta = std::tgamma(p + 1) * std::tgamma(q + 1) / std::tgamma(p + q + 2);
      const double expected = std::exp2((p + q) / 2) * std::tgamma((p + q) / 2 + 1) / (2 * kPi) *
                              std::pow(rest, p + q + 1) * beta;
      EXPECT_NEAR(PowerProduct(p, q)({kPi - rest, rest}) / expected, 1, kRelative) << p << " " << q;
    }
  }
  EXPECT_EQ(PowerProduct(0.5, 0.5)({kPi, 0}), 0.0);
  EXPECT_EQ(PowerProduct(2, 3)({kPi, 0}), 0.0);
}

TEST(GaussianPowersTest, AnyPowersAtAnyAngleMatchFiftyDigits) {
  // The integral over the angle, in 50 digits.
  struct Case {
    double p, q, between, product;
  };
  constexpr Case kCases[] = {
      {0.125, 0.125, 0x1p-27, 0.44129608668333662153},
      {0.125, 0.125, 0x1p-10, 0.44127218412125576339},
      {0.125, 0.125, 0.125, 0.43107721194736217863},
      {0.125, 0.125, 1, 0.30925521054214296866},
      {0.125, 0.125, 2.5, 0.073052361764818281599},
      {0.5, 0.5, 0x1p-27, 0.39894228040143261899},
      {0.5, 0.5, 0x1p-10, 0.39894182808499686527},
      {0.5, 0.5, 0.125, 0.39531507458872431862},
      {0.5, 0.5, 1, 0.27680314795964536459},
      {0.5, 0.5, 2.5, 0.031556117324034384504},
      {1.5, 1.5, 0x1p-27, 0.79788456080286533097},
      {1.5, 1.5, 0x1p-10, 0.79788413278451602533},
      {1.5, 1.5, 0.125, 0.7909145722883809955},
      {1.5, 1.5, 1, 0.45407413011424539557},
      {1.5, 1.5, 2.5, 0.007028931276735616812},
      {2.5, 0.5, 0x1p-27, 0.79788456080286534204},
      {2.5, 0.5, 0x1p-10, 0.79788432301442516882},
      {2.5, 0.5, 0.125, 0.79396063484989361286},
      {2.5, 0.5, 1, 0.53933272628280326795},
      {2.5, 0.5, 2.5, 0.011322446672898714777},
      {3.25, 3.25, 0x1p-27, 11.870208715689244717},
      {3.25, 3.25, 0x1p-10, 11.870197845620404144},
      {3.25, 3.25, 0.125, 11.693346142102721966},
      {3.25, 3.25, 1, 4.3746713543416309221},
      {3.25, 3.25, 2.5, 0.0019434007779418157072},
      {0.25, 7.0, 0x1p-27, 24.486264878456596041},
      {0.25, 7.0, 0x1p-10, 24.486261609186962042},
      {0.25, 7.0, 0.125, 24.432547555465175536},
      {0.25, 7.0, 1, 19.657013109462172499},
      {0.25, 7.0, 2.5, 0.032078686631150890064},
      {20.5, 20.5, 0x1p-27, 1.0177347323273816201e+24},
      {20.5, 20.5, 0x1p-10, 1.017729633722620827e+24},
      {20.5, 20.5, 0.125, 9.3748533954604432406e+23},
      {20.5, 20.5, 1, 4.2120836434572045372e+21},
      {20.5, 20.5, 2.5, 892.60258973239432231},
      {64, 64, 0x1p-27, 8.2374630218014076753e+106},
      {64, 64, 0x1p-10, 8.2373363393455883673e+106},
      {64, 64, 0.125, 6.4016753195947161924e+106},
      {64, 64, 1, 3.9769668730523055276e+99},
      {64, 64, 2.5, 1.7932497721207245773e+42},
  };
  for (const auto& [p, q, between, product] : kCases) {
    EXPECT_NEAR(PowerProduct(p, q)(angle(between)) / product, 1, kRelative)
        << p << " " << q << " " << between;
    EXPECT_NEAR(PowerProduct(q, p)(angle(between)) / product, 1, kRelative)
        << q << " " << p << " " << between;
  }
}

TEST(GaussianPowersTest, AnglesNearZeroAndPiAreRightToTheirOwnSize) {
  for (const double t : {1e-12, 1e-6, 0.3, 1.5}) {
    const Row v = {1, 0};
    const Row w = {std::cos(t), std::sin(t)};
    const Row opposite = {-std::cos(t), -std::sin(t)};
    EXPECT_NEAR(angle_between(v, w).between / t, 1, 8 * kEps) << t;
    EXPECT_NEAR(angle_between(v, opposite).rest / t, 1, 8 * kEps) << t;
    EXPECT_NEAR(angle_between(v, w).between + angle_between(v, w).rest, kPi, 4 * kEps) << t;
  }
  EXPECT_EQ(angle_between({1, 0}, {1, 0}).between, 0.0);
  EXPECT_EQ(angle_between({1, 0}, {-1, 0}).rest, 0.0);
}

TEST(GaussianPowersTest, TheSecondMomentAddsUpAllPairs) {
  // E |3 f_2(x) (1, 1) + 2 f_1(y) (1, 0)|^2, x and y independent:
  // 9 * 2 * 3/2 + 4 * 1/2 + 2 * 6 * E f_2 E f_1 = 29 + 12 * 0.5 / sqrt(2 pi).
  const std::vector<PowerTerm> terms = {{{1, 0}, {3, 3}, 2}, {{0, 1}, {2, 0}, 1}};
  const double expected = 29 + 6 / std::sqrt(2 * kPi);
  EXPECT_NEAR(power_second_moment(terms), expected, kRelative * expected);
  const Row mean = power_means(terms, 2);
  EXPECT_NEAR(mean[0], 1.5 + 2 / std::sqrt(2 * kPi), 8 * kEps);
  EXPECT_NEAR(mean[1], 1.5, 8 * kEps);
  const double size = 3 * std::sqrt(2 * 1.5) + 2 * std::sqrt(0.5);
  EXPECT_NEAR(power_size(terms), size, 16 * kEps * size);
  EXPECT_EQ(power_second_moment({}), 0.0);
  EXPECT_EQ(power_size({}), 0.0);
}

TEST(GaussianPowersTest, TermsAreFreeOfScaleAndDeadNeuronsAreNone) {
  ReluNetwork network(2, 3, 1);
  network.weights = {{3, 4}, {0, 0}, {1, 0}};
  network.output = {{2, 7, 0}};
  network.power = 3;
  std::vector<PowerTerm> terms;
  add_power_terms(network, -1, terms);
  ASSERT_EQ(terms.size(), 1u);
  EXPECT_NEAR(terms[0].jump[0], -250, 250 * 8 * kEps);
  EXPECT_NEAR(terms[0].normal[1], 0.8, 2 * kEps);
  EXPECT_EQ(terms[0].power, 3);
}

TEST(GaussianPowersTest, PowersOutOfTheirRangeAreRefused) {
  EXPECT_NO_THROW(PowerProduct(64, 64));
  for (const double bad : {0.0, -1.0, 64.5, std::nan("")}) {
    EXPECT_THROW(PowerProduct(bad, 1), BadInput) << bad;
    EXPECT_THROW(PowerProduct(1, bad), BadInput) << bad;
  }
}

// Neurons (w, 0) of a power.
ReluNetwork power_of(const std::vector<std::vector<double>>& rows, std::vector<double> outputs,
                     double power) {
  ReluNetwork network = network_of(rows, std::move(outputs));
  network.power = power;
  return network;
}

ReluNetwork random_power(Index d, Index k, Index p, double power, std::uint64_t seed) {
  ReluNetwork network = random_network(d, k, p, seed);
  network.bias = HostMatrix(k, 1);
  network.linear = HostMatrix(p, d);
  network.constant = HostMatrix(p, 1);
  network.power = power;
  return network;
}

TEST(GaussianTest, SquaresMatchTheArcCosineKernel) {
  // Cho and Saul: E f_2 f_2 = (3 sin t cos t + (pi - t) (1 + 2 cos^2 t)) / (2 pi) at angle t; E f_2
  // = 1/2, E f_2^2 = 3/2, and weights of size 2 and 3 count 4 and 9 times.
  for (const double t : {0.01, 0.4, 1.0, 1.6, 2.5, 3.1}) {
    const ReluNetwork network =
        power_of({{2, 0, 0}, {3 * std::cos(t), 3 * std::sin(t), 0}}, {1, -2}, 2);
    const double product = (3 * std::sin(t) * std::cos(t) +
                            (std::numbers::pi - t) * (1 + 2 * std::pow(std::cos(t), 2))) /
                           (2 * std::numbers::pi);
    const double mean = 0.5 * (4 - 18);
    const double variance = 1.5 * (16 + 324) - 2 * 4 * 18 * product - mean * mean;
    // 100 eps S^2, S = (4 + 18) sqrt(3/2).
    EXPECT_NEAR(gaussian_variance(network), variance, 100 * kEps * 22 * 22 * 1.5) << t;
    EXPECT_NEAR(gaussian_mean(network)(0, 0), mean, 22 * 8 * kEps) << t;
  }
}

TEST(GaussianTest, APowerNextToOneIsPowerOne) {
  // The integrals of powers at 1 + eps against those of relu. A neuron u (z + |w|)^p changes by p
  // eps log |w| and less than that from f itself: less than the rounding of either.
  ReluNetwork network = random_power(6, 25, 3, 1, 4);
  const double relu = gaussian_variance(network);
  const HostMatrix mean = gaussian_mean(network);
  network.power = 1 + kEps;
  const double size = size_of_terms(network);
  EXPECT_NEAR(gaussian_variance(network), relu, 100 * kEps * size * size);
  for (Index o = 0; o < 3; ++o) {
    EXPECT_NEAR(gaussian_mean(network)(o, 0), mean(o, 0), 32 * kEps * size);
  }
}

TEST(GaussianTest, PowersMatchSampling) {
  for (const double power : {0.5, 1.5, 2.0, 3.3}) {
    const ReluNetwork network = random_power(6, 25, 1, power, 4);
    constexpr int kPoints = 200000;
    std::mt19937_64 engine(9);
    std::normal_distribution<double> normal;
    const double mean = gaussian_mean(network)(0, 0);
    double sum = 0.0;
    double squares = 0.0;
    double fourths = 0.0;
    for (int point = 0; point < kPoints; ++point) {
      double x[6];
      for (double& value : x) value = normal(engine);
      double y = -mean;
      for (Index j = 0; j < 25; ++j) {
        double z = 0.0;
        for (Index i = 0; i < 6; ++i) z += network.weights(j, i) * x[i];
        y += network.output(0, j) * std::pow(std::max(z, 0.0), power);
      }
      sum += y / kPoints;
      squares += y * y / kPoints;
      fourths += y * y * y * y / kPoints;
    }
    // Six standard errors: one run in 10^9 fails by chance.
    EXPECT_LE(std::abs(sum), 6 * std::sqrt(squares / kPoints)) << power;
    EXPECT_NEAR(gaussian_variance(network), squares,
                6 * std::sqrt((fourths - squares * squares) / kPoints))
        << power;
  }
}

TEST(GaussianTest, PowersWithoutAClosedFormAreRefused) {
  EXPECT_NO_THROW(gaussian_variance(power_of({{1, 0}}, {1}, 64)));
  const ReluNetwork high = power_of({{1, 0}}, {1}, 65);
  EXPECT_THROW(gaussian_variance(high), BadInput);
  EXPECT_THROW(gaussian_mean(high), BadInput);
  EXPECT_THROW(gaussian_gram(power_of({{1, 0}}, {1}, 2)), BadInput);
  EXPECT_THROW(gaussian_variance(power_of({{1, 0.5}}, {1}, 2)), BadInput);
}

}  // namespace
}  // namespace crease
