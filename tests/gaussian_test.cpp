// Exact Gaussian integrals against closed forms, quadrature, thirty digits and Monte Carlo.
#include <gtest/gtest.h>

#include <crease/gaussian.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

ReluNetwork random_network(Index d, Index k, Index p, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  ReluNetwork network(d, k, p);
  for (HostMatrix* part :
       {&network.weights, &network.bias, &network.output, &network.linear, &network.constant}) {
    for (Index i = 0; i < part->size(); ++i) part->data()[i] = normal(engine);
  }
  return network;
}

// One neuron per row (w, bias), p = 1.
ReluNetwork network_of(const std::vector<std::vector<double>>& rows, std::vector<double> outputs) {
  const auto d = static_cast<Index>(rows[0].size()) - 1;
  ReluNetwork network(d, static_cast<Index>(rows.size()), 1);
  for (std::size_t j = 0; j < rows.size(); ++j) {
    for (Index i = 0; i < d; ++i) {
      network.weights(static_cast<Index>(j), i) = rows[j][static_cast<std::size_t>(i)];
    }
    network.bias(static_cast<Index>(j), 0) = rows[j].back();
    network.output(0, static_cast<Index>(j)) = outputs[j];
  }
  return network;
}

void evaluate_at(const ReluNetwork& network, const double* x, double* y) {
  for (Index o = 0; o < network.outputs(); ++o) {
    y[o] = network.constant(o, 0);
    for (Index i = 0; i < network.inputs(); ++i) y[o] += network.linear(o, i) * x[i];
  }
  for (Index j = 0; j < network.neurons(); ++j) {
    double z = network.bias(j, 0);
    for (Index i = 0; i < network.inputs(); ++i) z += network.weights(j, i) * x[i];
    for (Index o = 0; o < network.outputs(); ++o) y[o] += network.output(o, j) * std::max(z, 0.0);
  }
}

// sum of |u_j| |w_j| (1 + |threshold|) + |linear|: the size of the terms that rounding is
// relative to.
double size_of_terms(const ReluNetwork& network) {
  double sum = 0.0;
  for (Index o = 0; o < network.outputs(); ++o) {
    for (Index i = 0; i < network.inputs(); ++i) sum += std::abs(network.linear(o, i));
    for (Index j = 0; j < network.neurons(); ++j) {
      double length = 0.0;
      for (Index i = 0; i < network.inputs(); ++i) {
        length = std::hypot(length, network.weights(j, i));
      }
      sum += std::abs(network.output(o, j)) * (length + std::abs(network.bias(j, 0)));
    }
  }
  return sum;
}

// Composite Simpson between breakpoints, `steps` to a piece.
double simpson(const std::function<double(double)>& f, std::vector<double> breaks, int steps) {
  std::sort(breaks.begin(), breaks.end());
  double sum = 0.0;
  for (std::size_t piece = 0; piece + 1 < breaks.size(); ++piece) {
    const double h = (breaks[piece + 1] - breaks[piece]) / steps;
    for (int i = 0; i <= steps; ++i) {
      const double weight = i == 0 || i == steps ? 1.0 : i % 2 == 1 ? 4.0 : 2.0;
      sum += weight * h / 3.0 * f(breaks[piece] + i * h);
    }
  }
  return sum;
}

double density(double z) {
  return std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::numbers::pi);
}

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

// ------------------------------------------------------------------------------------------------
// cancellation

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

TEST(GaussianTest, MisshapenNetworksAreRefused) {
  ReluNetwork network(3, 2, 1);
  network.bias = HostMatrix(3, 1);

  EXPECT_THROW(gaussian_standard_deviation(network), BadInput);
  EXPECT_THROW(gaussian_mean(network), BadInput);
}

}  // namespace
}  // namespace crease
