// Exact Gaussian integrals against closed forms, quadrature, thirty digits and Monte Carlo.
#include <gtest/gtest.h>

#include <crease/gaussian.hpp>

#include <array>
#include <cmath>
#include <numbers>
#include <random>

#include "tests/support/gaussian_networks.hpp"

namespace crease {
namespace {

TEST(GaussianTest, AffineAndConstantNetworksAreExact) {
  ReluNetwork network(3, 0, 2);
  EXPECT_EQ(gaussian_standard_deviation(network), 0.0);
  network.constant = {{7}, {-1}};
  EXPECT_EQ(gaussian_standard_deviation(network), 0.0);
  EXPECT_EQ(gaussian_mean(network)(0, 0), 7.0);
  EXPECT_EQ(gaussian_mean(network)(1, 0), -1.0);
  network.linear = {{2, 3, 6}, {0, 0, 24}};  // 49 + 576 = 25^2
  EXPECT_EQ(gaussian_standard_deviation(network), 25.0);
  EXPECT_EQ(gaussian_mean(network)(0, 0), 7.0);
}

TEST(GaussianTest, OneNeuronMatchesItsClosedForm) {
  // E relu(g) = 1 / sqrt(2 pi), Var relu(g) = 1/2 - 1/(2 pi); times |w| = 5 and u = 3.
  const ReluNetwork network = network_of({{3, 4, 0}}, {3});

  EXPECT_NEAR(gaussian_mean(network)(0, 0), 15 / std::sqrt(2 * std::numbers::pi), 15 * 4 * kEps);
  EXPECT_NEAR(gaussian_standard_deviation(network), 15 * std::sqrt(0.5 - 0.5 / std::numbers::pi),
              15 * 8 * kEps);
}

TEST(GaussianTest, ANeuronWithoutWeightIsAConstant) {
  const ReluNetwork network = network_of({{0, 0, 2}, {0, 0, -2}}, {3, 5});

  EXPECT_EQ(gaussian_mean(network)(0, 0), 6.0);
  EXPECT_EQ(gaussian_standard_deviation(network), 0.0);
}

TEST(GaussianTest, NeuronsThroughTheOriginMatchTheArcCosineKernel) {
  // Cho and Saul: E relu(g1) relu(g2) = (sin t + (pi - t) cos t) / (2 pi) at angle t.
  for (const double angle : {0.0, 1e-7, 1e-4, 0.01, 0.4, 1.0, 1.6, 2.5, 3.1, std::numbers::pi}) {
    const ReluNetwork network =
        network_of({{1, 0, 0}, {std::cos(angle), std::sin(angle), 0}}, {1, 1});
    const double product =
        (std::sin(angle) + (std::numbers::pi - angle) * std::cos(angle)) / (2 * std::numbers::pi);
    const double variance = 1.0 + 2.0 * product - 2.0 / std::numbers::pi;

    EXPECT_NEAR(std::pow(gaussian_standard_deviation(network), 2), variance, 16 * kEps) << angle;
  }
}

TEST(GaussianTest, TwoNeuronsAtAnyAngleMatchThirtyDigits) {
  // Covariances of relu(g1 - b1) and relu(g2 - b2), integrated over g1 in 30 digits.
  constexpr std::array<std::array<double, 2>, 6> kThresholds = {
      {{0, 0}, {0, 0.01}, {0.7, 0.70001}, {-1, 1.5}, {2, 2.1}, {-2, -2}}};
  struct Case {
    double angle;
    std::array<double, 6> covariance;
  };
  const Case cases[] = {
      {1.5,
       {0.0180826526105205318, 0.0179415347256798635, 0.00438814252534843534,
        0.00405162200601555252, 0.000035304048462497837, 0.0675632601085993326}},
      {1,
       {0.158928693799892812, 0.157849703091729012, 0.0473419724799951147, 0.0336969159103410746,
        0.000924424043927146411, 0.516833167573549953}},
      {0.3,
       {0.319932845776479251, 0.318021651128170416, 0.111835463142055448, 0.0613816477947509225,
        0.00416352867924493073, 0.916739354657980848}},
      {0.01,
       {0.340820110167554486, 0.338817660058932656, 0.121520432577502713, 0.06436215162288319,
        0.00487198123180224731, 0.96014751588063375}},
      {1e-4,
       {0.340845054408157718, 0.338842451834586309, 0.121532487848248884, 0.0643654916210743857,
        0.00487287435606480164, 0.960196365900991924}},
      {2e-5,
       {0.340845056808105089, 0.338842454215437397, 0.121532489009625232, 0.0643654919417489516,
        0.00487287444181402027, 0.960196370591784164}},
      {3e-6,
       {0.340845056905854666, 0.338842454312407478, 0.121532489056928395, 0.0643654919548097594,
        0.00487287444530651449, 0.960196370782836456}},
      {2.9,
       {-0.158411216885781948, -0.156480521391835758, -0.0204141706037891032,
        -0.0317466822380957422, -0.0000549205204048020679, -0.926851404433887615}}};
  for (const Case& c : cases) {
    for (std::size_t i = 0; i < kThresholds.size(); ++i) {
      const auto [b1, b2] = kThresholds[i];
      const std::vector<double> first = {1, 0, -b1};
      const std::vector<double> second = {std::cos(c.angle), std::sin(c.angle), -b2};
      const double sum = gaussian_standard_deviation(network_of({first, second}, {1, 1}));
      const double one = gaussian_standard_deviation(network_of({first}, {1}));
      const double two = gaussian_standard_deviation(network_of({second}, {1}));

      // Variances of at most 4 and a few dozen roundings; the bundle of the last two angles is
      // right to the third order, 1e-15.
      EXPECT_NEAR(0.5 * (sum * sum - one * one - two * two), c.covariance[i], 4 * 16 * kEps)
          << "angle " << c.angle << ", thresholds " << b1 << " and " << b2;
    }
  }
}

TEST(GaussianTest, ParallelNeuronsMatchQuadrature) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const ReluNetwork network = random_network(1, 12, 1, seed);
    std::vector<double> breaks = {-13.0, 13.0};
    for (Index j = 0; j < 12; ++j) {
      const double at = -network.bias(j, 0) / network.weights(j, 0);
      if (std::abs(at) < 13.0) breaks.push_back(at);
    }
    const auto moment = [&](int power, int steps) {
      return simpson(
          [&](double z) {
            double y = 0.0;
            evaluate_at(network, &z, &y);
            return std::pow(y, power) * density(z);
          },
          breaks, steps);
    };
    const double mean = moment(1, 2000);
    const double variance = moment(2, 2000) - mean * mean;
    const double coarse = moment(2, 1000) - std::pow(moment(1, 1000), 2);
    const double size = size_of_terms(network);

    // Simpson's error falls sixteenfold from the coarse to the fine rule.
    const double bound = std::abs(variance - coarse) + 1e3 * kEps * size * size;
    EXPECT_NEAR(gaussian_mean(network)(0, 0), mean, bound);
    EXPECT_NEAR(std::pow(gaussian_standard_deviation(network), 2), variance, bound);
  }
}

TEST(GaussianTest, TwoInputsMatchQuadrature) {
  const ReluNetwork network = random_network(2, 4, 1, 11);
  const auto second_moment = [&](int power, int steps) {
    return simpson(
        [&](double first) {
          std::vector<double> breaks = {-9.0, 9.0};
          for (Index j = 0; j < 4; ++j) {
            const double at =
                -(network.bias(j, 0) + network.weights(j, 0) * first) / network.weights(j, 1);
            if (std::abs(at) < 9.0) breaks.push_back(at);
          }
          return density(first) * simpson(
                                      [&](double second) {
                                        const double x[2] = {first, second};
                                        double y = 0.0;
                                        evaluate_at(network, x, &y);
                                        return std::pow(y, power) * density(second);
                                      },
                                      breaks, steps);
        },
        {-9.0, 9.0}, 5 * steps);
  };
  const auto variance = [&](int steps) {
    return second_moment(2, steps) - std::pow(second_moment(1, steps), 2);
  };
  const double fine = variance(160);
  const double size = size_of_terms(network);

  // The outer integrand has kinks in its third derivative: halving gains at least a factor four.
  EXPECT_NEAR(std::pow(gaussian_standard_deviation(network), 2), fine,
              std::abs(fine - variance(80)) + 1e3 * kEps * size * size);
}

TEST(GaussianTest, MeanAndDeviationOfSeveralOutputsMatchSampling) {
  const ReluNetwork network = random_network(6, 25, 3, 4);
  constexpr int kPoints = 200000;
  std::mt19937_64 engine(9);
  std::normal_distribution<double> normal;
  const HostMatrix mean = gaussian_mean(network);
  std::array<double, 3> sums{};
  std::array<double, 3> squares{};
  double total = 0.0;
  double total_squares = 0.0;
  for (int point = 0; point < kPoints; ++point) {
    double x[6];
    double y[3];
    for (double& value : x) value = normal(engine);
    evaluate_at(network, x, y);
    double distance = 0.0;
    for (Index o = 0; o < 3; ++o) {
      const double deviation = y[o] - mean(o, 0);
      sums[static_cast<std::size_t>(o)] += deviation / kPoints;
      squares[static_cast<std::size_t>(o)] += deviation * deviation / kPoints;
      distance += deviation * deviation;
    }
    total += distance / kPoints;
    total_squares += distance * distance / kPoints;
  }
  // Six standard errors: one run in 10^9 fails by chance.
  for (std::size_t o = 0; o < 3; ++o) {
    EXPECT_LE(std::abs(sums[o]), 6 * std::sqrt(squares[o] / kPoints));
  }
  EXPECT_NEAR(std::pow(gaussian_standard_deviation(network), 2), total,
              6 * std::sqrt((total_squares - total * total) / kPoints));
}

TEST(GaussianTest, OutputsAddTheirVariances) {
  const ReluNetwork network = random_network(5, 10, 3, 6);
  double sum = 0.0;
  for (Index o = 0; o < 3; ++o) {
    ReluNetwork single(5, 10, 1);
    single.weights = network.weights;
    single.bias = network.bias;
    for (Index j = 0; j < 10; ++j) single.output(0, j) = network.output(o, j);
    for (Index i = 0; i < 5; ++i) single.linear(0, i) = network.linear(o, i);
    sum += std::pow(gaussian_standard_deviation(single), 2);
  }
  const double size = size_of_terms(network);
  EXPECT_NEAR(std::pow(gaussian_standard_deviation(network), 2), sum, 64 * kEps * size * size);
}

TEST(GaussianTest, OrientationIsFree) {
  // relu(z) = z + relu(-z), neuron by neuron.
  const ReluNetwork network = random_network(4, 30, 2, 7);
  ReluNetwork flipped = network;
  for (Index j = 0; j < 30; j += 2) {
    for (Index o = 0; o < 2; ++o) {
      for (Index i = 0; i < 4; ++i) {
        flipped.linear(o, i) += network.output(o, j) * network.weights(j, i);
      }
      flipped.constant(o, 0) += network.output(o, j) * network.bias(j, 0);
    }
    for (Index i = 0; i < 4; ++i) flipped.weights(j, i) *= -1;
    flipped.bias(j, 0) *= -1;
  }
  const double size = size_of_terms(network);

  EXPECT_NEAR(std::pow(gaussian_standard_deviation(flipped), 2),
              std::pow(gaussian_standard_deviation(network), 2), 64 * kEps * size * size);
  for (Index o = 0; o < 2; ++o) {
    EXPECT_NEAR(gaussian_mean(flipped)(o, 0), gaussian_mean(network)(o, 0), 64 * kEps * size);
  }
}

TEST(GaussianTest, NeuronsFarFromTheOriginAreAffine) {
  const ReluNetwork active = network_of({{3, 4, 1e6}}, {1});
  EXPECT_NEAR(gaussian_standard_deviation(active), 5.0, 8 * 5 * kEps);
  EXPECT_NEAR(gaussian_mean(active)(0, 0), 1e6, 8 * 1e6 * kEps);

  const ReluNetwork silent = network_of({{3, 4, -1e200}}, {1});
  EXPECT_EQ(gaussian_standard_deviation(silent), 0.0);
  EXPECT_EQ(gaussian_mean(silent)(0, 0), 0.0);
}

TEST(GaussianTest, ARareNeuronKeepsItsRelativeAccuracy) {
  for (const double distance : {3.0, 5.0, 8.0}) {
    const double mean = simpson([&](double z) { return (z - distance) * density(z); },
                                {distance, distance + 1, distance + 8}, 2000);
    const double square =
        simpson([&](double z) { return (z - distance) * (z - distance) * density(z); },
                {distance, distance + 1, distance + 8}, 2000);
    const double expected = std::sqrt(square - mean * mean);

    // Simpson with h = 1/2000 and 7/2000: (7/2000)^4 / 180 of a fourth derivative ~ distance^4.
    const double relative = std::pow(7.0 * distance / 2000, 4);
    EXPECT_NEAR(gaussian_standard_deviation(network_of({{1, -distance}}, {1})), expected,
                relative * expected)
        << distance;
  }
}

TEST(GaussianTest, MisshapenNetworksAreRefused) {
  ReluNetwork network(3, 2, 1);
  network.bias = HostMatrix(3, 1);

  EXPECT_THROW(gaussian_standard_deviation(network), BadInput);
  EXPECT_THROW(gaussian_mean(network), BadInput);
}

}  // namespace
}  // namespace crease
