// The certificate: values from independent formulas.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/stages/certify.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// 1000 errors 0, .001, ..., .999 in scrambled order.
std::vector<double> scrambled_errors() {
  std::vector<double> errors(1000);
  for (int i = 0; i < 1000; ++i) errors[static_cast<std::size_t>(i)] = (i * 37) % 1000 / 1000.0;
  return errors;
}

// Two thousand roundings at most go into a sum of a thousand terms, all of one sign; half of them
// survive the square root. The numbers compared with were computed with 30 digits.
constexpr double kThousandTerms = 2000 * kEps;

TEST(CertifyTest, BoundsMatchThirtyDigitsOfTheirFormulas) {
  const std::vector<double> errors = scrambled_errors();

  EXPECT_NEAR(iso_max(errors, 0.01, 0.5), 0.99982538035067673, kThousandTerms);
  EXPECT_NEAR(iso_split(errors, 0.01, 0.5), 0.6400901509005107, kThousandTerms);

  std::vector<double> few(20);
  for (int i = 0; i < 20; ++i) few[static_cast<std::size_t>(i)] = ((7 * i) % 20 + 1) / 20.0;
  EXPECT_NEAR(iso_max(few, 0.1, 3.0), 1.30829187079413820, 100 * kEps);
  EXPECT_NEAR(iso_split(few, 0.1, 3.0), 1.69186367090564529, 100 * kEps);
}

TEST(CertifyTest, TheCertificateIsTheSmallerBoundAtHalfTheFailureEach) {
  const std::vector<double> errors = scrambled_errors();

  const Certificate certificate = certify(errors, 0.01, 0.5);

  EXPECT_EQ(certificate.points, 1000);
  EXPECT_EQ(certificate.confidence, 1.0 - 0.01);
  EXPECT_EQ(certificate.largest_error, 0.999);
  EXPECT_EQ(certificate.lipschitz, 0.5);
  EXPECT_NEAR(certificate.mass, 1.0 - std::pow(0.01, 1e-3), 2 * kEps);
  EXPECT_NEAR(certificate.rms_bound, 0.64393437956019606, kThousandTerms);
  // sum of squares of 0 .. 999 is 332833500
  EXPECT_NEAR(certificate.rms_error, std::sqrt(332833500e-9), kThousandTerms);
  EXPECT_EQ(certificate.beyond_limit, 0);
}

TEST(CertifyTest, WithoutAnyErrorTheBoundIsItsFloor) {
  struct Case {
    std::size_t n;
    double failure, floor;
  };
  for (const Case c :
       {Case{256, 0.05, 0.057126576142710584}, Case{256, 0.01, 0.071177591558629276},
        Case{2048, 0.05, 0.016820919965292306}, Case{2048, 0.01, 0.02072660528070927},
        Case{16384, 0.05, 0.0051906012185095818}, Case{16384, 0.01, 0.0063544451579564227}}) {
    const std::vector<double> errors(c.n, 0.0);
    // d log b / d log q <= 1.2, and q itself comes from expm1 within a few eps.
    EXPECT_NEAR(certify(errors, c.failure, 1.0).rms_bound, c.floor, 64 * kEps * c.floor);
    EXPECT_EQ(certify(errors, c.failure, 2.0).rms_bound,
              2.0 * certify(errors, c.failure, 1.0).rms_bound);
  }
}

TEST(CertifyTest, OneMissingNeuronAttainsTheBound) {
  // No point hit max(Z - z, 0) with probability exactly `failure`: the bound is then its rms.
  const double failure = 0.03;
  const std::size_t n = 500;
  const double z = inverse_normal_tail(1.0 - std::pow(failure, 1.0 / n));

  EXPECT_NEAR(iso_max(std::vector<double>(n, 0.0), failure, 1.0), std::sqrt(tail_moments(z).second),
              1e-12);  // 1 - pow loses eps / .007, then sqrt
}

TEST(CertifyTest, NoPointsVouchForNothing) {
  const Certificate certificate = certify({}, 0.05, 0.0);

  EXPECT_EQ(certificate.points, 0);
  EXPECT_EQ(certificate.mass, 1.0);
  EXPECT_EQ(certificate.rms_bound, kInfinity);
  EXPECT_EQ(certificate.rms_error, 0.0);
}

TEST(CertifyTest, OnePointVouchesByItsMaximumAlone) {
  const std::vector<double> errors = {2.0};

  EXPECT_EQ(iso_split(errors, 0.05, 1.0), kInfinity);
  EXPECT_EQ(certify(errors, 0.05, 1.0).rms_bound, iso_max(errors, 0.025, 1.0));
  EXPECT_EQ(certify(errors, 0.05, 0.0).rms_bound, 2.0);
}

TEST(CertifyTest, ConstantErrorsUnderAConstantPromiseAreExact) {
  const std::vector<double> zeros(64, 0.0);
  const std::vector<double> ones(64, 1.0);

  EXPECT_EQ(certify(zeros, 0.05, 0.0).rms_bound, 0.0);
  EXPECT_EQ(certify(ones, 0.05, 0.0).rms_bound, 1.0);
  EXPECT_EQ(certify(ones, 0.05, 0.0).rms_error, 1.0);
}

TEST(CertifyTest, NeitherHugeNorTinyErrorsLoseTheirSquares) {
  for (const double scale : {0x1p-900, 0x1p900}) {
    std::vector<double> errors = scrambled_errors();
    const Certificate plain = certify(errors, 0.05, 0.5);
    for (double& e : errors) e *= scale;
    const Certificate scaled = certify(errors, 0.05, 0.5 * scale);

    EXPECT_EQ(scaled.rms_error, scale * plain.rms_error);
    EXPECT_EQ(scaled.rms_bound, scale * plain.rms_bound);
  }
}

TEST(CertifyTest, TheMeanOfBoundedValuesMatchesThirtyDigits) {
  std::vector<double> y = scrambled_errors();
  EXPECT_NEAR(upper_mean_of_bounded(y, 0.05), 0.53677323499157828, kThousandTerms);
  for (double& v : y) v /= 1000.0;
  EXPECT_NEAR(upper_mean_of_bounded(y, 0.05), 0.0053620753611424402, kThousandTerms);

  EXPECT_NEAR(upper_mean_of_bounded(std::vector<double>(1000, 0.5), 0.05), 0.51023496377801707,
              kThousandTerms);
  // nothing seen: 1 - (failure / 2)^(1/n)
  EXPECT_NEAR(upper_mean_of_bounded(std::vector<double>(50, 0.0), 0.05), 0.071121736464197662,
              100 * kEps);
  EXPECT_EQ(upper_mean_of_bounded(std::vector<double>(50, 1.0), 0.05), 1.0);
  EXPECT_EQ(upper_mean_of_bounded({}, 0.05), 1.0);
  EXPECT_NEAR(upper_mean_of_bounded(std::vector<double>{0.0}, 0.05), 1.0 - 0.025, 4 * kEps);
}

TEST(CertifyTest, ArgumentsOutOfRangeAreRefused) {
  const std::vector<double> errors = {1.0, 2.0};
  for (const double failure : {0.0, 1.0, -0.1, std::nan("")}) {
    EXPECT_THROW(certify(errors, failure, 1.0), BadInput);
    EXPECT_THROW(upper_mean_of_bounded(errors, failure), BadInput);
    EXPECT_THROW(look_failure(failure, 1), BadInput);
  }
  for (const double lipschitz : {-1.0, std::nan("")}) {
    EXPECT_THROW(certify(errors, 0.05, lipschitz), BadInput);
  }
  for (const double error : {-1.0, kInfinity, std::nan("")}) {
    EXPECT_THROW(certify(std::vector<double>{error}, 0.05, 1.0), BadInput);
  }
  EXPECT_THROW(upper_mean_of_bounded(std::vector<double>{1.5}, 0.05), BadInput);
  EXPECT_THROW(look_failure(0.05, 0), BadInput);
}

TEST(CertifyTest, TheFailuresOfAllLooksAddUpToTheWhole) {
  double sum = 0.0;
  for (int look = 1; look <= 1000; ++look) sum += look_failure(0.01, look);

  EXPECT_EQ(look_failure(0.01, 1), 0.005);
  EXPECT_NEAR(sum, 0.01 * 1000 / 1001, 0.01 * 1000 * kEps);  // a telescoping sum
}

TEST(CertifyTest, TheLipschitzGuessIsTwiceTheSteepestNeuron) {
  ReluNetwork network(2, 2, 2);
  EXPECT_EQ(largest_lipschitz_guess(network), 0.0);
  EXPECT_EQ(largest_lipschitz_guess(ReluNetwork(2, 0, 2)), 0.0);
  network.weights = {{3, 4}, {0, 1}};
  network.output = {{5, 0}, {12, 100}};

  EXPECT_EQ(largest_lipschitz_guess(network), 200.0);
  network.output(1, 1) = 1.0;
  EXPECT_EQ(largest_lipschitz_guess(network), 130.0);
}

TEST(CertifyTest, SlopesOfOtherPowersHaveNoBoundAndNothingFollowsFromThem) {
  ReluNetwork network(2, 2, 2);
  network.power = 2;
  EXPECT_EQ(largest_lipschitz_guess(network), 0.0);
  network.weights = {{3, 4}, {0, 1}};
  network.output = {{5, 0}, {12, 100}};
  EXPECT_EQ(largest_lipschitz_guess(network), kInfinity);

  const std::vector<double> errors = {1.0, 2.0};
  const Certificate bounded = certify(errors, 0.05, 1.0);
  for (const std::vector<double>& each : {errors, std::vector<double>(2, 0.0)}) {
    EXPECT_EQ(certify(each, 0.05, kInfinity).rms_bound, kInfinity);
  }
  const Certificate unbounded = certify(errors, 0.05, kInfinity);
  EXPECT_EQ(unbounded.lipschitz, kInfinity);
  EXPECT_EQ(unbounded.mass, bounded.mass);
  EXPECT_EQ(unbounded.largest_error, bounded.largest_error);
  EXPECT_EQ(unbounded.rms_error, bounded.rms_error);
}

TEST(CertifyTest, TheMassOfAnEventIsThatOfClopperAndPearson) {
  // One of two: (1 - m)^2 + 2 m (1 - m) = 1 - m^2 = failure. All but one: 1 - m^n = failure.
  EXPECT_NEAR(upper_mass(2, 1, 0.05), std::sqrt(0.95), 64 * kEps);
  EXPECT_NEAR(upper_mass(5, 4, 0.05), std::pow(0.95, 0.2), 64 * kEps);
  EXPECT_EQ(upper_mass(7, 7, 0.05), 1.0);
  EXPECT_EQ(upper_mass(0, 0, 0.05), 1.0);
  EXPECT_NEAR(upper_mass(100, 0, 0.05), 1 - std::pow(0.05, 0.01), 64 * kEps);
  // It does what it says at any size: the chance of so few, summed up term by term. The terms are
  // exponentials of sums of magnitude n log n.
  for (const auto& [n, hits] : {std::pair{20, 3}, std::pair{2048, 50}, std::pair{2048, 2000}}) {
    const double mass = upper_mass(n, hits, 0.01);
    double chance = 0;
    for (int i = 0; i <= hits; ++i) {
      chance += std::exp(std::lgamma(n + 1.0) - std::lgamma(i + 1.0) - std::lgamma(n - i + 1.0) +
                         i * std::log(mass) + (n - i) * std::log1p(-mass));
    }
    EXPECT_NEAR(chance, 0.01, 0.01 * 64 * n * std::log(n) * kEps);
    EXPECT_GT(mass, static_cast<double>(hits) / n);
  }
  EXPECT_THROW(upper_mass(5, 6, 0.05), BadInput);
  EXPECT_THROW(upper_mass(5, -1, 0.05), BadInput);
  EXPECT_THROW(upper_mass(5, 1, 1.0), BadInput);
}

TEST(CertifyTest, PointsThatSaidNothingCountAmongTheExceptions) {
  // Half of the failure for no silent point; a quarter each for the silent mass and what is beyond.
  EXPECT_NEAR(mass_with_silent_points(100, 0, 0.1), 1 - std::pow(0.05, 0.01), 64 * kEps);
  const double hidden = std::sqrt(0.95);  // 1 of 2 at .2 / 4
  EXPECT_NEAR(mass_with_silent_points(2, 1, 0.2), 1 - (1 - hidden) * 0.05, 64 * kEps);
  EXPECT_EQ(mass_with_silent_points(3, 3, 0.2), 1.0);
  EXPECT_EQ(mass_with_silent_points(0, 0, 0.2), 1.0);
  EXPECT_THROW(mass_with_silent_points(2, 3, 0.2), BadInput);
}

TEST(CertifyTest, ErrorsAreThoseOfThePointsThatSaidSomething) {
  std::vector<double> errors = scrambled_errors();
  for (std::size_t i = 0; i < 100; ++i) errors[10 * i] = kInfinity;
  const Certificate certificate = certify(errors, 0.01, 0.5, true);
  double largest = 0;
  double squares = 0;
  for (const double e : errors) {
    if (std::isinf(e)) continue;
    largest = std::max(largest, e);
    squares += e * e;
  }
  EXPECT_EQ(certificate.points, 1000);
  EXPECT_EQ(certificate.silent, 100);
  EXPECT_EQ(certificate.largest_error, largest);
  EXPECT_EQ(certificate.mass, mass_with_silent_points(1000, 100, 0.01));
  EXPECT_NEAR(certificate.rms_error, std::sqrt(squares / 900), kThousandTerms);
  // (B): never below what the same points would vouch for if the silent ones were as small as 0.
  std::vector<double> small = errors;
  std::replace(small.begin(), small.end(), kInfinity, 0.0);
  EXPECT_GT(certificate.rms_bound, certify(small, 0.01, 0.5, true).rms_bound);
  EXPECT_TRUE(std::isfinite(certificate.rms_bound));

  const std::vector<double> nothing(5, kInfinity);
  const Certificate none = certify(nothing, 0.01, 0.5, true);
  EXPECT_EQ(none.mass, 1.0);
  EXPECT_EQ(none.rms_bound, kInfinity);
  EXPECT_EQ(none.largest_error, 0.0);
  EXPECT_THROW(certify(std::vector<double>{1, std::nan("")}, 0.01, 0.5, true), BadInput);
  EXPECT_THROW(certify(nothing, 0.01, 0.5), BadInput);
}

}  // namespace
}  // namespace crease
