// Exact Gaussian integrals of neurons that cancel: bumps, near duplicates, disguises.
#include <gtest/gtest.h>

#include <crease/gaussian.hpp>

#include <cmath>
#include <numbers>

#include "tests/support/gaussian_networks.hpp"

namespace crease {
namespace {

// A bump of height width / 2 over [.7, .7 + width] along a direction, as three neurons.
ReluNetwork bump_along(const std::vector<double>& direction, double width, double tilt = 0.0) {
  ReluNetwork network(static_cast<Index>(direction.size()), 3, 1);
  for (Index j = 0; j < 3; ++j) {
    const double size = j == 1 ? 2.0 : 1.0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      network.weights(j, static_cast<Index>(i)) =
          size * (direction[i] + tilt * std::cos(1.0 + 2.0 * static_cast<double>(i + 5) * (j + 1)));
    }
    network.bias(j, 0) = -size * (0.7 + 0.5 * static_cast<double>(j) * width);
    network.output(0, j) = j == 1 ? -1.0 : 1.0;
  }
  return network;
}

// Standard deviation of the tent itself, in its own coordinate: nothing cancels.
double tent_deviation(double width) {
  const auto moment = [width](int power) {
    return width * simpson(
                       [&](double s) {
                         return std::pow(width * std::min(s, 1.0 - s), power) *
                                density(0.7 + width * s);
                       },
                       {0.0, 0.5, 1.0}, 200);
  };
  return std::sqrt(moment(2) - moment(1) * moment(1));
}

TEST(GaussianTest, BumpsKeepTheirDeviationDownToWidthOneInAMillion) {
  for (const double width : {1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6}) {
    const ReluNetwork network = bump_along({0.6, 0.0, 0.8}, width);
    const double expected = tent_deviation(width);

    // Thresholds are right to 2 eps: errors of the function of 8 eps or so over half of the line.
    // The tent's own rule, 400 panels of a smooth function, is right to 1e-12.
    EXPECT_NEAR(gaussian_standard_deviation(network), expected, 32 * kEps + 1e-12 * expected)
        << width;
  }
}

TEST(GaussianTest, BumpsLearnedWithNearlyParallelNeuronsKeepTheirDeviation) {
  for (const double width : {1e-1, 1e-2, 1e-3, 1e-4}) {
    for (const double tilt : {1e-12, 1e-10, 1e-9}) {
      const ReluNetwork network = bump_along({0.6, 0.0, 0.8}, width, tilt);

      // |relu(<n + e, x> - b) - relu(<n, x> - b)| <= |<e, x>|, and |e| <= 2 tilt for three inputs;
      // the rescaling of the threshold by |n + e| adds as much.
      EXPECT_NEAR(gaussian_standard_deviation(network), tent_deviation(width), 16 * tilt)
          << width << " " << tilt;
    }
  }
}

TEST(GaussianTest, BumpsInTwoDirectionsAddTheirVariances) {
  for (const double width : {1e-3, 1e-4, 1e-5}) {
    const ReluNetwork one = bump_along({1, 0}, width);
    const ReluNetwork two = bump_along({0.6, 0.8}, width);
    ReluNetwork both(2, 6, 1);
    for (Index j = 0; j < 6; ++j) {
      const ReluNetwork& from = j < 3 ? one : two;
      for (Index i = 0; i < 2; ++i) both.weights(j, i) = from.weights(j % 3, i);
      both.bias(j, 0) = from.bias(j % 3, 0);
      both.output(0, j) = from.output(0, j % 3);
    }
    const double single = tent_deviation(width);

    // |Cov| <= E t1 t2 + E t1 E t2 <= (width / 2)^2 (.2 + .16) width^2: the slabs' densities.
    const double covariance = 0.09 * std::pow(width, 4);
    EXPECT_NEAR(std::pow(gaussian_standard_deviation(both), 2), 2 * single * single,
                2 * covariance + 64 * kEps * single)
        << width;
  }
}

TEST(GaussianTest, ANearDuplicatePairThatCancelsKeepsItsDeviation) {
  // relu(x) - relu(x cos t + y sin t): by the arc-cosine kernel its variance is
  // 1 - 2 E relu relu = 1 - (sin t + (pi - t) cos t) / pi = t^2 / 2 - t^3 / (3 pi) + O(t^4).
  for (const double angle : {1e-7, 1e-6, 5e-6, 2e-5, 1e-4, 1e-3}) {
    const ReluNetwork network =
        network_of({{1, 0, 0}, {std::cos(angle), std::sin(angle), 0}}, {1, -1});
    const double variance = 0.5 * angle * angle - angle * angle * angle / (3 * std::numbers::pi);
    const double measured = std::pow(gaussian_standard_deviation(network), 2);

    // Below 1e-5 the third order is what is left out; above, the rounding of 1 - 1.
    EXPECT_NEAR(measured, variance,
                (angle <= 1e-5 ? std::pow(angle, 3) : std::pow(angle, 4) + 8 * kEps))
        << angle;
  }
}

TEST(GaussianTest, NearDuplicatePairsInTwoDirectionsKeepTheirCovariance) {
  // relu(<n, x>) - relu(<n + t e, x>) is -t <e, x> where <n, x> > 0, up to t^2: two such pairs with
  // the same e and normals at correlation rho have covariance t^2 P(both active).
  const double rho = 0.6;
  for (const double tilt : {1e-7, 1e-6, 5e-6}) {
    const ReluNetwork network = network_of(
        {{1, 0, 0, 0}, {1, 0, tilt, 0}, {rho, 0.8, 0, 0}, {rho, 0.8, tilt, 0}}, {1, -1, 1, -1});
    const double both = 0.25 + std::asin(rho) / (2 * std::numbers::pi);

    // sums of eight hinges whose kinks are wrong by t over a mass of t, and squared lengths by t^2
    EXPECT_NEAR(std::pow(gaussian_standard_deviation(network), 2), tilt * tilt * (1.0 + 2.0 * both),
                8 * std::pow(tilt, 3) + 64 * kEps * tilt)
        << tilt;
  }
}

TEST(GaussianTest, ANetworkLessItselfInDisguiseIsItsRoundingFloor) {
  const Index k = 40;
  const ReluNetwork network = random_network(8, k, 2, 12);
  ReluNetwork difference(8, 2 * k, 2);
  difference.linear = HostMatrix(2, 8);
  for (Index j = 0; j < k; ++j) {
    const double scale = j % 2 == 0 ? 3.0 : -0.7;  // flipped: u relu(z) = u z + u relu(-z)
    for (Index i = 0; i < 8; ++i) {
      difference.weights(j, i) = network.weights(j, i);
      difference.weights(k + j, i) = scale * network.weights(j, i);
    }
    difference.bias(j, 0) = network.bias(j, 0);
    difference.bias(k + j, 0) = scale * network.bias(j, 0);
    for (Index o = 0; o < 2; ++o) {
      const double u = network.output(o, j);
      difference.output(o, j) = u;
      difference.output(o, k + j) = -u / std::abs(scale);
      if (scale > 0) continue;
      for (Index i = 0; i < 8; ++i) difference.linear(o, i) -= u * network.weights(j, i);
    }
  }
  // Every pair is one bundle whose profile is rounding: what is left is of that size, not its root.
  EXPECT_LE(gaussian_standard_deviation(difference), 8 * kEps * size_of_terms(network));
}

}  // namespace
}  // namespace crease
