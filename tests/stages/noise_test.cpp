// The noise probe: what it measures on answers whose noise is known.
#include "src/stages/noise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>

#include "src/stages/numbers.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class NoiseTest : public EveryBackend {
 protected:
  NoiseModel probe(Oracle& oracle, std::uint64_t seed = 1) {
    const RunControl run;
    Asker asker(device(), oracle, run);
    Random random(Seed{seed});
    const NoiseModel noise = probe_noise(asker, random);
    EXPECT_EQ(asker.asked(), 40);
    EXPECT_EQ(asker.rounds(), 1);
    return noise;
  }

  /// Of the network's exact answers, each changed by `blur`.
  NoiseModel probe(const ReluNetwork& network, std::function<double(double)> blur = {},
                   std::uint64_t seed = 1) {
    const auto oracle =
        make_host_oracle(network.inputs(), network.outputs(), [&](ConstHostView x, HostView y) {
          HostMatrix points(x.rows, x.cols);
          for (Index i = 0; i < x.rows; ++i) {
            for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
          }
          const HostMatrix values = exact_values(network, points);
          for (Index i = 0; i < y.rows; ++i) {
            for (Index o = 0; o < y.cols; ++o) {
              y(i, o) = blur ? blur(values(i, o)) : values(i, o);
            }
          }
        });
    return probe(*oracle, seed);
  }
};
CREASE_ON_EVERY_BACKEND(NoiseTest);

/// sqrt of the sum of squares of everything that a gradient of F may consist of: |F(x)| <= this
/// times rho.
double steepness(const ReluNetwork& network, Index o) {
  double sum = std::abs(network.constant(o, 0));
  for (Index i = 0; i < network.inputs(); ++i) sum += std::abs(network.linear(o, i));
  for (Index j = 0; j < network.neurons(); ++j) {
    double weights = std::abs(network.bias(j, 0));
    for (Index i = 0; i < network.inputs(); ++i) weights += std::abs(network.weights(j, i));
    sum += std::abs(network.output(o, j)) * weights;
  }
  return sum;
}

TEST_P(NoiseTest, SigmaAddsItsTwoPartsInSquares) {
  const NoiseModel noise{{3, 0}, {2, 5}, "float64"};
  EXPECT_EQ(noise.sigma(2, 0), 5);  // hypot(3, 2 * 2)
  EXPECT_EQ(noise.sigma(2, 1), 10);
}

TEST_P(NoiseTest, ExactFloat64AnswersHaveTheNoiseOfTheirRounding) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    const ReluNetwork network = planted_network(6, 20, 3, seed);
    const NoiseModel noise = probe(network, {}, seed);
    EXPECT_EQ(noise.format, "float64");
    for (Index o = 0; o < 3; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      EXPECT_GT(noise.relative[oo], 0.0);
      // One rounding of an answer, and of the sum that compares it: u rho steepness each. A bend of
      // three such answers, over sqrt(1.5) and .6745, is at most (1 + 1) 2 / (1.22 * .67) = 4.9 of
      // that, at places no further out than |x0| + 50 c: the model may say so, relative or
      // absolute, but no more. |x0| < 3 c.
      const double far = 53 * std::sqrt(6.0);
      EXPECT_LE(noise.sigma(far, o), 5 * kRounding * steepness(network, o) * far);
    }
  }
}

TEST_P(NoiseTest, AnOracleThatKnowsLinesCannotHideItsRounding) {
  // Answered as a line, the 40 points would share the rounding of their inner products; the probe
  // asks points.
  RecordingOracle oracle(planted_network(50, 30, 1, 3), RecordingOracle::Manner::structured);
  probe(oracle);
  EXPECT_EQ(oracle.lines, 0);
  EXPECT_EQ(oracle.fans, 0);
}

TEST_P(NoiseTest, GaussianNoiseOfOneSizeIsMeasuredAsAbsolute) {
  // A median of four values |N(0, 1)| / .6745 (two scales, near and far: the largest of four such
  // medians) lies in [.3, 4] except with probability below 1e-4 per seed: four medians all below .3
  // need 8 of 16 values below .2 (2e-3 each side), one above 4 needs two of four above 2.7 (3e-4).
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    const ReluNetwork network = planted_network(5, 10, 1, seed);
    const double sigma = 1e-3;
    const HostMatrix draws = normals(40, 1, 77 + seed);
    Index next = 0;
    const NoiseModel noise = probe(
        network, [&](double y) { return y + sigma * draws(next++, 0); }, seed);
    EXPECT_EQ(noise.format, "float64");
    EXPECT_GE(noise.absolute[0], 0.3 * sigma);
    EXPECT_LE(noise.absolute[0], 4 * sigma);
    EXPECT_LE(noise.relative[0], 5 * kRounding * steepness(network, 0));
  }
}

TEST_P(NoiseTest, NoiseInProportionToTheAnswerIsMeasuredAsRelative) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    const ReluNetwork network = planted_network(5, 10, 1, seed);
    const double sigma = 1e-6;
    const HostMatrix draws = normals(40, 1, 77 + seed);
    Index next = 0;
    const NoiseModel noise = probe(
        network, [&](double y) { return y * (1 + sigma * draws(next++, 0)); }, seed);
    EXPECT_EQ(noise.absolute[0], 0.0);
    EXPECT_GE(noise.relative[0], 1e-3 * sigma);
    EXPECT_LE(noise.relative[0], 4 * sigma * steepness(network, 0));
  }
}

TEST_P(NoiseTest, RoundedDecimalsAreSeenAlthoughTinyStencilsSeeNoNoise) {
  for (const int digits : {1, 3, 6, 8}) {
    const double unit = std::pow(10.0, digits);
    const ReluNetwork network = planted_network(4, 8, 2, 5);
    const NoiseModel noise = probe(network, [&](double y) { return std::round(y * unit) / unit; });
    EXPECT_EQ(noise.format, "decimal") << digits;
    for (const double absolute : noise.absolute) {
      EXPECT_GE(absolute, 0.5 / unit);
      // Three answers off by half a unit: a bend of one unit at most.
      EXPECT_LE(absolute, 1.0 / unit / std::sqrt(1.5) / 0.6745 * (1 + 1e-6 * unit * kRounding));
    }
  }
}

TEST_P(NoiseTest, Float32AnswersAreSeenByTheirFormat) {
  const ReluNetwork network = planted_network(4, 8, 1, 5);
  const NoiseModel noise =
      probe(network, [](double y) { return static_cast<double>(static_cast<float>(y)); });
  EXPECT_EQ(noise.format, "float32");
  EXPECT_EQ(noise.absolute[0], 0.0);
  EXPECT_GE(noise.relative[0], 1e-3 * 0x1p-24);
  EXPECT_LE(noise.relative[0], 5 * 0x1p-24 * steepness(network, 0));
}

TEST_P(NoiseTest, AFewDistinctAnswersLookLikeAnythingAndSayNothing) {
  // A constant of one decimal: no half unit of .05.
  ReluNetwork constant(4, 0, 1);
  constant.constant(0, 0) = 0.1;
  NoiseModel noise = probe(constant);
  EXPECT_EQ(noise.format, "float64");
  EXPECT_EQ(noise.absolute[0], 0.0);
  EXPECT_EQ(noise.relative[0], 64 * kRounding);
  // Five distinct values, all of one decimal.
  for (const double scale : {1.0, 0.1}) {
    std::set<double> seen;
    noise = probe(planted_network(4, 8, 1, 5), [&](double y) {
      const double step = scale * std::clamp(std::round(y), -2.0, 2.0);
      seen.insert(step);
      return step;
    });
    EXPECT_LE(seen.size(), 5u);
    EXPECT_EQ(noise.format, "float64");
  }
}

TEST_P(NoiseTest, AFunctionThatIsZeroWhereItIsAskedGetsThePrior) {
  ReluNetwork far_away = planted_network(3, 1, 2, 1);
  far_away.linear = HostMatrix(2, 3);
  far_away.constant = HostMatrix(2, 1);
  far_away.bias(0, 0) = -1e9;
  const NoiseModel noise = probe(far_away);
  EXPECT_EQ(noise.format, "float64");
  for (Index o = 0; o < 2; ++o) {
    EXPECT_EQ(noise.absolute[static_cast<std::size_t>(o)], 0.0);
    EXPECT_EQ(noise.relative[static_cast<std::size_t>(o)], 64 * kRounding);
  }
}

TEST_P(NoiseTest, WhatCancelsToAlmostNothingIsNotItsOwnNoiseFloor) {
  // A bump of height .5e-4 on a slab that the probe's line crosses once: wherever it is asked the
  // three neurons cancel, to zero or to a rounding. One point that hits the slab must not count:
  // the median decides.
  ReluNetwork bump(3, 3, 1);
  const double width = 1e-4;
  for (Index j = 0; j < 3; ++j) {
    bump.weights(j, 0) = 0.6;
    bump.weights(j, 1) = 0.8;
    bump.bias(j, 0) = -0.7 - 0.5 * width * static_cast<double>(j);
    bump.output(0, j) = j == 1 ? -2 : 1;
  }
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const std::unique_ptr<Oracle> oracle = make_network_oracle(bump);
    const NoiseModel noise = probe(*oracle, seed);
    EXPECT_EQ(noise.absolute[0], 0.0);
    EXPECT_EQ(noise.relative[0], 64 * kRounding);
  }
}

TEST_P(NoiseTest, TheUnitOfTheAnswersChangesNothingButTheUnit) {
  // Powers of two change no rounding. Answers of 1e-6 and below are not "decimals of no digits".
  const ReluNetwork network = planted_network(4, 8, 1, 5);
  const NoiseModel plain = probe(network);
  for (const double factor : {0x1p-20, 0x1p-24, 0x1p20}) {
    const NoiseModel scaled = probe(times(network, factor));
    EXPECT_EQ(scaled.format, "float64") << factor;
    EXPECT_EQ(scaled.absolute[0], factor * plain.absolute[0]) << factor;
    EXPECT_EQ(scaled.relative[0], factor * plain.relative[0]) << factor;
  }
}

TEST_P(NoiseTest, EveryOutputHasItsOwnNoise) {
  ReluNetwork network = planted_network(4, 8, 2, 5);
  const std::vector<double> unit = {1, 0x1p30};
  for (Index j = 0; j < 8; ++j) network.output(1, j) = network.output(0, j) * unit[1];
  for (Index i = 0; i < 4; ++i) network.linear(1, i) = network.linear(0, i) * unit[1];
  network.constant(1, 0) = network.constant(0, 0) * unit[1];
  const NoiseModel noise = probe(network);
  EXPECT_EQ(noise.relative[1], unit[1] * noise.relative[0]);
}

/// Answers of a planted network, each changed by `blur(answer, output)`, and what is measured of
/// their noise.
AnswerNoise measured_each(Device& device, const ReluNetwork& network,
                          const std::function<double(double, Index)>& blur,
                          Index expected_queries) {
  const auto oracle =
      make_host_oracle(network.inputs(), network.outputs(), [&](ConstHostView x, HostView y) {
        HostMatrix points(x.rows, x.cols);
        for (Index i = 0; i < x.rows; ++i) {
          for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
        }
        const HostMatrix values = exact_values(network, points);
        for (Index i = 0; i < y.rows; ++i) {
          for (Index o = 0; o < y.cols; ++o) y(i, o) = blur(values(i, o), o);
        }
      });
  const RunControl run;
  Asker asker(device, *oracle, run);
  Random random(Seed{3});
  const NoiseModel probed = probe_noise(asker, random);
  EXPECT_TRUE(probed.coarse || !is_exact(probed));
  AnswerNoise noise = measure_noise(asker, random, probed);
  EXPECT_EQ(asker.asked(), 40 + expected_queries);
  EXPECT_EQ(asker.rounds(), 2);
  EXPECT_FALSE(is_exact(noise.model));
  return noise;
}

AnswerNoise measured(Device& device, const ReluNetwork& network,
                     const std::function<double(double)>& blur, Index expected_queries) {
  return measured_each(
      device, network, [&](double y, Index) { return blur(y); }, expected_queries);
}

constexpr Index kMeasureQueries = kRepeatedPoints * kRepeats + kFormatPoints;

/// The nearest binary number with so many digits.
double rounded(double y, int digits) {
  int exponent = 0;
  const double share = std::frexp(y, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(share, digits)), exponent - digits);
}

TEST_P(NoiseTest, TheSamePointAskedAgainSaysHowLargeTrueNoiseIs) {
  // A variance with 80 degrees of freedom: its root is off by 1 / sqrt(160) = 8 %, four of which
  // are not reached but once in 16,000 runs.
  const double sigma = 1e-4;
  const HostMatrix draws = normals(1000, 1, 5);
  Index next = 0;
  const AnswerNoise noise = measured(
      device(), planted_network(5, 10, 2, 4),
      [&](double y) { return y + sigma * draws(next++, 0); }, kMeasureQueries);
  EXPECT_EQ(noise.model.format, "noise");
  for (std::size_t o = 0; o < 2; ++o) {
    EXPECT_NEAR(noise.sigma[o], sigma, 0.32 * sigma);
    EXPECT_EQ(noise.model.absolute[o], noise.sigma[o]);
  }
}

TEST_P(NoiseTest, DecimalsAreOffByTheirUnitOverTheRootOfTwelve) {
  for (const int digits : {2, 3, 6}) {
    const double unit = std::pow(10.0, digits);
    const AnswerNoise noise = measured(
        device(), planted_network(5, 10, 2, 4),
        [&](double y) { return std::round(y * unit) / unit; }, kMeasureQueries);
    EXPECT_EQ(noise.model.format, "decimal") << digits;
    for (const double sigma : noise.sigma) {
      EXPECT_NEAR(sigma, 1 / unit / std::sqrt(12.0), 4 * kRounding / unit) << digits;
    }
  }
}

TEST_P(NoiseTest, BinaryFormatsAreKnownByTheirDigitsAndTheirErrorsBySpacing) {
  for (const auto& [digits, name] : {std::pair{11, "float16"}, std::pair{24, "float32"}}) {
    const ReluNetwork network = planted_network(5, 10, 2, 4);
    const AnswerNoise noise = measured(
        device(), network, [&](double y) { return rounded(y, digits); }, kMeasureQueries);
    EXPECT_EQ(noise.model.format, name);
    // Errors are uniform over a spacing: at other points their mean square has a relative deviation
    // of sqrt(.8 / 20000) = 1 %; that of the squared spacing over 64 points is at most 4, that of
    // its mean at most .5: two thirds to one and a half within two of them.
    const HostMatrix y = exact_values(network, normals(20000, 5, 8));
    for (Index o = 0; o < 2; ++o) {
      double square = 0;
      for (Index i = 0; i < y.rows(); ++i) {
        const double error = rounded(y(i, o), digits) - y(i, o);
        square += error * error / static_cast<double>(y.rows());
      }
      const double sigma = noise.sigma[static_cast<std::size_t>(o)];
      EXPECT_GE(sigma, std::sqrt(square) / 1.5) << name;
      EXPECT_LE(sigma, std::sqrt(square) * 1.5) << name;
    }
  }
}

TEST_P(NoiseTest, EveryOutputHasAFormatOfItsOwn) {
  const AnswerNoise noise = measured_each(
      device(), planted_network(5, 10, 4, 4),
      [](double y, Index o) {
        if (o == 1) return std::round(y * 1e3) / 1e3;
        if (o == 2) return rounded(y, 24);
        return o == 3 ? 0.1 : y;
      },
      kMeasureQueries);
  EXPECT_EQ(noise.model.format, "decimal");  // the coarsest
  // A constant has too few answers to have a format: that of all of them together.
  const std::vector<std::string> formats = {"float64", "decimal", "float32", "float64"};
  EXPECT_EQ(noise.model.formats, formats);
  EXPECT_TRUE(is_exact(noise.model, 0));
  EXPECT_NEAR(noise.sigma[1], 1e-3 / std::sqrt(12.0), 1e-12);
  EXPECT_FALSE(is_exact(noise.model, 2));
  EXPECT_LE(noise.sigma[2], 0x1p-24 * 2 * noise.model.size[2] * std::sqrt(6.0) * 4);
  EXPECT_TRUE(is_exact(noise.model, 3));
}

TEST_P(NoiseTest, AConstantOutputIsExactBesideANoisyOne) {
  const double sigma = 1e-4;
  const HostMatrix draws = normals(1000, 1, 5);
  Index next = 0;
  const AnswerNoise noise = measured_each(
      device(), planted_network(5, 10, 2, 4),
      [&](double y, Index o) { return o == 0 ? 0.1 : y + sigma * draws(next++, 0); },
      kMeasureQueries);
  EXPECT_EQ(noise.model.formats, (std::vector<std::string>{"float64", "noise"}));
  EXPECT_TRUE(is_exact(noise.model, 0));
  EXPECT_NEAR(noise.sigma[1], sigma, 0.32 * sigma);  // four deviations, as above
}

TEST_P(NoiseTest, ExactAnswersAreExactWhateverTheirUnit) {
  for (const double factor : {1.0, 0x1p-30, 0x1p30}) {
    const NoiseModel noise = probe(times(planted_network(6, 12, 2, 4), factor));
    EXPECT_TRUE(is_exact(noise)) << factor;
    EXPECT_FALSE(noise.coarse) << factor;
  }
  ReluNetwork constant(4, 0, 1);
  constant.constant(0, 0) = 0.1;
  const NoiseModel noise = probe(constant);
  EXPECT_TRUE(is_exact(noise));
  EXPECT_FALSE(noise.coarse);  // one answer everywhere is a constant, not a coarse format
}

}  // namespace
}  // namespace crease
