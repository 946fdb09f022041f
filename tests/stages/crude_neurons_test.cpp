// Crude neurons from noisy lines: found, as accurate as they say, and united over lines.
#include "src/stages/crude_neurons.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/families.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class CrudeNeuronsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(CrudeNeuronsTest);

NoiseModel absolute_noise(double sigma, Index p) {
  NoiseModel noise;
  noise.absolute.assign(static_cast<std::size_t>(p), sigma);
  noise.relative.assign(static_cast<std::size_t>(p), 0.0);
  noise.size.assign(static_cast<std::size_t>(p), 1.0);
  noise.format = "noise";
  return noise;
}

std::unique_ptr<Oracle> noisy(const ReluNetwork& network, double sigma) {
  Imperfection format;
  format.kind = Imperfection::Kind::noise;
  format.deviation = sigma;
  return make_imperfect_oracle(make_network_oracle(network), format);
}

/// Angle between the normal of a candidate and that of the nearest neuron; which one that is.
double nearest_angle(const ReluNetwork& network, const CrudeNeurons& found, Index i,
                     Index* which = nullptr) {
  double best = 10;
  for (Index j = 0; j < network.neurons(); ++j) {
    const double* w = network.weights.row(j);
    const double norm = std::sqrt(dot(w, w, network.inputs()));
    const double cosine = dot(w, found.planes.row(i), network.inputs()) / norm;
    const double angle = std::sqrt(std::max(0.0, 2 - 2 * std::abs(cosine)));
    if (angle >= best) continue;
    best = angle;
    if (which != nullptr) *which = j;
  }
  return best;
}

TEST_P(CrudeNeuronsTest, FarOutALineSeesEveryNeuronClearly) {
  for (const Index p : {1, 3}) {
    const double sigma = 1e-4;
    const ReluNetwork network = planted_network(8, 12, p, 3);
    const auto oracle = noisy(network, sigma);
    const RunControl run;
    Asker asker(device(), *oracle, run);
    Random random(Seed{1});
    const CrudeLine line = crude_neurons(asker, random, absolute_noise(sigma, p), {}, 1000, true);
    EXPECT_EQ(line.kinks, 12);
    EXPECT_EQ(line.found.size(), 12);
    EXPECT_EQ(line.cleared, 12);
    std::vector<bool> seen(12, false);
    for (Index i = 0; i < line.found.size(); ++i) {
      Index which = -1;
      EXPECT_LE(nearest_angle(network, line.found, i, &which), kClearError);
      seen[static_cast<std::size_t>(which)] = true;
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 12);
    // The lower quartile over at most six variances of ten degrees of freedom: none is below .05 or
    // above 4 times its mean but with probability 1e-6.
    ASSERT_EQ(line.noise_ratio.size(), static_cast<std::size_t>(p));
    for (const double ratio : line.noise_ratio) {
      EXPECT_GE(ratio, std::sqrt(0.05));
      EXPECT_LE(ratio, 2);
    }
  }
}

TEST_P(CrudeNeuronsTest, InOneInputKinksAreHyperplanesAndSlopesGradients) {
  for (const Index p : {1, 2}) {
    const double sigma = 1e-6;
    const ReluNetwork network = planted_network(1, 8, p, 5);
    const auto oracle = noisy(network, sigma);
    const RunControl run;
    Asker asker(device(), *oracle, run);
    Random random(Seed{1});
    const CrudeLine line = crude_neurons(asker, random, absolute_noise(sigma, p), {}, 1, false);
    EXPECT_EQ(line.kinks, 8);
    ASSERT_EQ(line.found.size(), 8);
    std::vector<bool> seen(8, false);
    for (Index i = 0; i < 8; ++i) {
      const double kink = -line.found.planes(i, 1) / line.found.planes(i, 0);
      EXPECT_EQ(std::abs(line.found.planes(i, 0)), 1);
      Index nearest = 0;
      for (Index j = 1; j < 8; ++j) {
        const auto apart = [&](Index n) {
          return std::abs(network.bias(n, 0) / network.weights(n, 0) + kink);
        };
        if (apart(j) < apart(nearest)) nearest = j;
      }
      seen[static_cast<std::size_t>(nearest)] = true;
      // Runs take in points up to 5 of their standard deviations off (crude_neurons.cpp), on both
      // sides.
      const double off = std::abs(network.bias(nearest, 0) / network.weights(nearest, 0) + kink);
      EXPECT_LE(off, 10 * line.found.offset_error[static_cast<std::size_t>(i)]) << i;
      EXPECT_EQ(line.found.error[static_cast<std::size_t>(i)], 0);
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 8);
  }
}

TEST_P(CrudeNeuronsTest, FarOutParallelHyperplanesAreToldApart) {
  FamilyPlan plan;
  plan.family = "parallel";
  plan.inputs = 8;
  plan.neurons = 5;
  plan.biases = 5;
  const ReluNetwork network = make_family(plan, {2});
  const double sigma = 1e-5;
  const auto oracle = noisy(network, sigma);
  const RunControl run;
  Asker asker(device(), *oracle, run);
  Random random(Seed{1});
  const CrudeLine line = crude_neurons(asker, random, absolute_noise(sigma, 1), {}, 1000, false);
  EXPECT_EQ(line.kinks, 5);
  EXPECT_EQ(line.found.size(), 5);
}

TEST_P(CrudeNeuronsTest, AFunctionThatIsNowhereStraightEndsTheLine) {
  const auto oracle = make_host_oracle(3, 1, [](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) y(i, 0) = std::sin(x(i, 0)) + x(i, 1) * x(i, 2);
  });
  const RunControl run;
  Asker asker(device(), *oracle, run);
  Random random(Seed{1});
  const CrudeLine line = crude_neurons(asker, random, absolute_noise(1e-9, 1), {}, 1, true);
  // The guard of the line, 72 points inside pieces, three fans a piece.
  EXPECT_LE(asker.asked(), 8 * 256 + 4000 + 8 * 3 + 72 + 3 * 3 * (line.kinks + 1));
}

TEST_P(CrudeNeuronsTest, AConstantHasNoNeurons) {
  ReluNetwork constant(4, 0, 2);
  const auto oracle = noisy(constant, 1e-3);
  const RunControl run;
  Asker asker(device(), *oracle, run);
  Random random(Seed{1});
  const CrudeLine line = crude_neurons(asker, random, absolute_noise(1e-3, 2), {}, 1000, true);
  EXPECT_EQ(line.found.size(), 0);
  EXPECT_EQ(line.kinks, 0);
}

TEST(LineScale, GrowsOnlyWhereTheNoiseDoesNot) {
  NoiseModel noise = absolute_noise(1e-3, 2);
  EXPECT_EQ(line_scale(noise, 8), 1000);
  noise.relative[1] = 1e-6;  // a tenth of 1e-3 at 33 times sqrt(9)
  EXPECT_EQ(line_scale(noise, 8), 1e-3 / (3 * 3e-6));
  noise.relative[1] = 1e-4;  // gains less than three times
  EXPECT_EQ(line_scale(noise, 8), 1);
  noise = absolute_noise(1e-3, 2);
  noise.absolute[0] = 0;
  noise.relative[0] = 1e-9;  // all of it grows
  EXPECT_EQ(line_scale(noise, 8), 1);
  noise = absolute_noise(1e-3, 1);
  noise.format = "float16";
  EXPECT_EQ(line_scale(noise, 8), 1);
  EXPECT_EQ(line_scale(absolute_noise(1e-3, 1), 1), 1);  // all kinks are near the origin
}

TEST(LineScale, AnExactOutputBesideANoisyOneHasNoSay) {
  NoiseModel noise = absolute_noise(1e-3, 2);
  noise.absolute[1] = 0;
  noise.relative[1] = kRounding;
  EXPECT_EQ(line_scale(noise, 8), 1000);
  noise.absolute[0] = 0;
  EXPECT_EQ(line_scale(noise, 8), 1);  // nobody's noise is of one size
}

CrudeNeurons one(std::vector<double> plane, double error) {
  CrudeNeurons neurons;
  neurons.add(plane, {1}, error, error);
  return neurons;
}

TEST(Unite, CountsTheSamePlaneOnceAndKeepsTheBetterOfTwo) {
  CrudeNeurons all;
  EXPECT_EQ(unite(all, one({1, 0, 0.5}, 0.01)), 1);
  // The other orientation, nearly the same place, better known.
  EXPECT_EQ(unite(all, one({-1, 0, -0.49}, 0.001)), 0);
  ASSERT_EQ(all.size(), 1);
  EXPECT_EQ(all.votes[0], 2);
  EXPECT_EQ(all.planes(0, 0), 1);
  EXPECT_EQ(all.planes(0, 2), 0.49);
  EXPECT_EQ(all.error[0], 0.001);
  // Parallel, but elsewhere; and another direction.
  EXPECT_EQ(unite(all, one({1, 0, 3}, 0.01)), 1);
  EXPECT_EQ(unite(all, one({0, 1, 0.5}, 0.01)), 1);
  EXPECT_EQ(all.size(), 3);
}

TEST(Unite, KeepsTheBetterNormalAndTheBetterOffset) {
  CrudeNeurons all;
  all.add({1, 0, 0.7}, {2}, 0.001, 0.2);
  CrudeNeurons line;
  line.add({-std::cos(0.04), -std::sin(0.04), -0.5}, {3}, 0.05, 0.05);
  EXPECT_EQ(unite(all, line), 0);
  EXPECT_EQ(all.planes(0, 0), 1);
  EXPECT_EQ(all.planes(0, 2), 0.5);
  EXPECT_EQ(all.scales(0, 0), 2);
  EXPECT_EQ(all.error[0], 0.001);
  EXPECT_EQ(all.offset_error[0], 0.05);
}

TEST(Unite, OfParallelPlanesTheNearestIsTheSame) {
  CrudeNeurons all = one({1, 0, 0}, 0.01);
  all.add({1, 0, 0.3}, {1}, 0.01, 0.01);
  EXPECT_EQ(unite(all, one({1, 0, 0.31}, 0.01)), 0);
  EXPECT_EQ(all.votes, (std::vector<Index>{1, 2}));
}

TEST(Unite, InOneInputOffsetsAloneSayWhatIsTheSame) {
  CrudeNeurons all = one({1, 0.2}, 1e-4);
  EXPECT_EQ(unite(all, one({-1, -0.2001}, 1e-4)), 0);
  EXPECT_EQ(unite(all, one({1, 0.3}, 1e-4)), 1);
}

TEST(Unite, NeverMergesTwoOfOneLine) {
  CrudeNeurons line = one({1, 0, 0.5}, 0.01);
  line.add({1, 0, 0.51}, {1}, 0.01, 0.01);
  CrudeNeurons all;
  EXPECT_EQ(unite(all, line), 2);
  EXPECT_EQ(unite(all, line), 0);
  EXPECT_EQ(all.votes, (std::vector<Index>{2, 2}));
}

TEST(Trusted, IsSeenTwiceOrOnFewLinesOnceAndWell) {
  CrudeNeurons all = one({1, 0, 0}, 0.01);
  all.add({0, 1, 0}, {1}, 0.5, 0.5);
  all.add({0, 1, 2}, {1}, 0.5, 0.5, 2);
  EXPECT_EQ(trusted(all, 1).size(), 2);
  EXPECT_EQ(trusted(all, 2).size(), 2);
  ASSERT_EQ(trusted(all, 3).size(), 1);
  EXPECT_EQ(trusted(all, 3).planes(0, 2), 2);
  EXPECT_EQ(trusted(all, 1, false).size(), 1);
  EXPECT_EQ(trusted(all, 3, false).size(), 2);
}

}  // namespace
}  // namespace crease
