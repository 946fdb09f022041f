// Matching two networks neuron by neuron: planted answers.
#include <gtest/gtest.h>

#include <crease/network.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
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

// Neurons given as rows (w, bias) and columns u.
ReluNetwork network_of(const std::vector<std::vector<double>>& rows,
                       const std::vector<std::vector<double>>& outputs) {
  const auto d = static_cast<Index>(rows[0].size()) - 1;
  const auto p = static_cast<Index>(outputs[0].size());
  ReluNetwork network(d, static_cast<Index>(rows.size()), p);
  for (std::size_t j = 0; j < rows.size(); ++j) {
    const auto neuron = static_cast<Index>(j);
    for (Index i = 0; i < d; ++i) network.weights(neuron, i) = rows[j][static_cast<std::size_t>(i)];
    network.bias(neuron, 0) = rows[j].back();
    for (Index o = 0; o < p; ++o)
      network.output(o, neuron) = outputs[j][static_cast<std::size_t>(o)];
  }
  return network;
}

// The same function: neurons in another order, every other one flipped (relu(z) = z + relu(-z)),
// all rescaled.
ReluNetwork disguised(const ReluNetwork& network, std::uint64_t seed) {
  const Index k = network.neurons();
  std::vector<Index> order(static_cast<std::size_t>(k));
  std::iota(order.begin(), order.end(), Index{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  ReluNetwork other(network.inputs(), k, network.outputs());
  other.linear = network.linear;
  other.constant = network.constant;
  for (Index j = 0; j < k; ++j) {
    const Index from = order[static_cast<std::size_t>(j)];
    const double side = j % 2 == 0 ? 1.0 : -1.0;
    const double size = 0.5 + static_cast<double>(j % 7);
    for (Index i = 0; i < network.inputs(); ++i) {
      other.weights(j, i) = side * size * network.weights(from, i);
    }
    other.bias(j, 0) = side * size * network.bias(from, 0);
    for (Index o = 0; o < network.outputs(); ++o) {
      const double u = network.output(o, from);
      other.output(o, j) = u / size;
      if (side > 0) continue;
      other.constant(o, 0) += u * network.bias(from, 0);
      for (Index i = 0; i < network.inputs(); ++i) {
        other.linear(o, i) += u * network.weights(from, i);
      }
    }
  }
  return other;
}

void expect_counts(const NetworkMatch& match, Index target, Index matched, Index merged,
                   Index missing, Index spurious) {
  EXPECT_EQ(match.target, target);
  EXPECT_EQ(match.matched, matched);
  EXPECT_EQ(match.merged, merged);
  EXPECT_EQ(match.missing, missing);
  EXPECT_EQ(match.spurious, spurious);
}

TEST(MatchTest, ANetworkMatchesItselfWithoutError) {
  const ReluNetwork network = random_network(5, 20, 3, 1);

  const NetworkMatch result = match(network, network);

  expect_counts(result, 20, 20, 0, 0, 0);
  EXPECT_EQ(result.weights, 0.0);
  EXPECT_EQ(result.biases, 0.0);
  EXPECT_EQ(result.hyperplanes, 0.0);
  EXPECT_EQ(result.scales, 0.0);
}

TEST(MatchTest, OrderOrientationAndScaleAreFree) {
  for (const Index p : {1, 4}) {
    const ReluNetwork network = random_network(6, 40, p, 2);

    const NetworkMatch result = match(network, disguised(network, 3));

    expect_counts(result, 40, 40, 0, 0, 0);
    // Norms of 6 terms, a product and a quotient: a dozen roundings of numbers below 200.
    EXPECT_LE(result.weights, 200 * 12 * kEps);
    EXPECT_LE(result.biases, 200 * 12 * kEps);
    EXPECT_LE(result.hyperplanes, 200 * 12 * kEps);
    EXPECT_LE(result.scales, 12 * kEps);
  }
}

TEST(MatchTest, ErrorsMatchValuesWorkedByHand) {
  // u |w| = 10 on the plane (.6, .8 | .5), found as 11 on the plane (-.6, -.8 | -.5 - 2^-12).
  const ReluNetwork target = network_of({{3, 4, 2.5}}, {{2}});
  const ReluNetwork learned = network_of({{-0.6, -0.8, -0.5 - 0x1p-12}}, {{11}});

  const NetworkMatch result = match(target, learned);

  expect_counts(result, 1, 1, 0, 0, 0);
  EXPECT_NEAR(result.weights, 0.8, 16 * 11 * kEps);
  EXPECT_NEAR(result.biases, 0.5 + 11 * 0x1p-12, 16 * 11 * kEps);
  EXPECT_NEAR(result.hyperplanes, 0x1p-12, 4 * kEps);
  EXPECT_NEAR(result.scales, 0.1, 16 * kEps);
}

TEST(MatchTest, TheDirectionOfTheOutputsIsPartOfTheScale) {
  const ReluNetwork target = network_of({{1, 0, 0}}, {{3, 4}});
  const ReluNetwork learned = network_of({{1, 0, 0}}, {{4, 3}});

  const NetworkMatch result = match(target, learned);

  expect_counts(result, 1, 1, 0, 0, 0);
  EXPECT_EQ(result.weights, 0.0);
  EXPECT_NEAR(result.scales, std::sqrt(2.0) / 5.0, 4 * kEps);
}

TEST(MatchTest, ToleranceCountsUpToAndIncludingItsEdge) {
  const ReluNetwork target = network_of({{1, 0, 0.5}}, {{1}});
  const ReluNetwork learned = network_of({{1, 0, 0.5 + 0x1p-10}}, {{1}});

  expect_counts(match(target, learned, 0x1p-10), 1, 1, 0, 0, 0);
  expect_counts(match(target, learned, 0x1p-10 * (1 - kEps)), 1, 0, 0, 1, 1);
  expect_counts(match(target, learned, 0.0), 1, 0, 0, 1, 1);
  expect_counts(match(target, target, 0.0), 1, 1, 0, 0, 0);
}

TEST(MatchTest, MissingAndSpuriousNeuronsAreCounted) {
  ReluNetwork target = random_network(4, 12, 2, 4);
  ReluNetwork learned = target;
  for (const Index neuron : {0, 5}) {  // moved away: two missing, two spurious
    learned.bias(neuron, 0) += 10.0;
  }

  expect_counts(match(target, learned), 12, 10, 0, 2, 2);
  expect_counts(match(target, ReluNetwork(4, 0, 2)), 12, 0, 0, 12, 0);
  expect_counts(match(ReluNetwork(4, 0, 2), learned), 0, 0, 0, 0, 12);
}

TEST(MatchTest, AHyperplaneWithTheWrongSignOrTooSteepIsNotFound) {
  const ReluNetwork target = network_of({{1, 0, 0.5}}, {{1}});
  const auto learned = [](double u) { return network_of({{1, 0, 0.5}}, {{u}}); };

  expect_counts(match(target, learned(-1.0)), 1, 0, 0, 1, 1);
  expect_counts(match(target, learned(2.0)), 1, 0, 0, 1, 1);
  expect_counts(match(target, learned(1.9)), 1, 1, 0, 0, 0);
  expect_counts(match(target, learned(0.5)), 1, 0, 0, 1, 1);
  expect_counts(match(target, learned(0.6)), 1, 1, 0, 0, 0);
}

TEST(MatchTest, DuplicatesInTheTargetAreMergedIfFoundAsTheirSum) {
  // 1 * 5 + 2 * 5 - 4 * 1 = 11 on one hyperplane, one of them flipped.
  const ReluNetwork target =
      network_of({{3, 4, 1}, {3, 4, 1}, {-0.6, -0.8, -0.2}, {0, 1, 0}}, {{1}, {2}, {-4}, {1}});
  const ReluNetwork learned = network_of({{0.6, 0.8, 0.2}, {0, 1, 0}}, {{11}, {1}});

  const NetworkMatch result = match(target, learned);

  expect_counts(result, 4, 1, 3, 0, 0);
  EXPECT_LE(result.scales, 12 * kEps);
  EXPECT_LE(result.hyperplanes, 12 * kEps);

  const ReluNetwork half = network_of({{0.6, 0.8, 0.2}, {0, 1, 0}}, {{5}, {1}});
  expect_counts(match(target, half), 4, 1, 0, 3, 1);
}

TEST(MatchTest, SumsAreTakenOutputByOutput) {
  const ReluNetwork target = network_of({{1, 0, 1}, {1, 0, 1}}, {{1, 0}, {0, 1}});

  const NetworkMatch result = match(target, network_of({{1, 0, 1}}, {{1, 1}}));

  expect_counts(result, 2, 0, 2, 0, 0);
  EXPECT_EQ(result.scales, 0.0);
}

TEST(MatchTest, NearDuplicatesAreMatchedOneByOneWhereBothAreFound) {
  const double gap = 1e-6;
  const ReluNetwork target = network_of({{1, 0, 0}, {1, 0, gap}}, {{1}, {0.3}});

  // The second is off by 10 gaps, and nearest to nobody.
  const ReluNetwork both = network_of({{1, 0, 1e-9}, {1, 0, 10 * gap}}, {{1}, {0.3}});
  expect_counts(match(target, both), 2, 2, 0, 0, 0);
}

TEST(MatchTest, NearDuplicatesAreMergedWhereOneStandsForTheirSum) {
  for (const double second : {0.3, 1.0, 1.7}) {
    const ReluNetwork target = network_of({{1, 0, 0}, {1, 0, 1e-6}}, {{1}, {second}});
    const ReluNetwork sum = network_of({{1, 0, 5e-7}}, {{1 + second}});

    const NetworkMatch result = match(target, sum);

    expect_counts(result, 2, 0, 2, 0, 0);
    EXPECT_EQ(result.scales, 0.0);  // nothing was found one to one
  }
  // Only the first of the two was found.
  const ReluNetwork target = network_of({{1, 0, 0}, {1, 0, 1e-6}}, {{1}, {0.3}});
  expect_counts(match(target, network_of({{1, 0, 0}}, {{1}})), 2, 1, 0, 1, 0);
}

TEST(MatchTest, ACancellingPairApartIsLiveAndMissed) {
  const ReluNetwork target = network_of({{1, 0, 0}, {1, 0, 1e-6}}, {{1}, {-1}});

  expect_counts(match(target, ReluNetwork(2, 0, 1)), 2, 0, 0, 2, 0);
  expect_counts(match(target, target), 2, 2, 0, 0, 0);
}

TEST(MatchTest, DeadNeuronsAndThoseThatCancelToAnAffineFunctionDoNotCount) {
  const ReluNetwork target = network_of(
      {{1, 2, 0.5}, {-3, -6, -1.5}, {0, 0, 1}, {1, 1, 0}, {0, 1, 0}}, {{3}, {-1}, {1}, {0}, {1}});
  const ReluNetwork learned = network_of({{0, 2, 0}, {1, 0, 3}, {-1, 0, -3}}, {{0.5}, {1}, {-1}});

  expect_counts(match(target, learned), 1, 1, 0, 0, 0);
}

TEST(MatchTest, WhatCancelsOnlyToRoundingDoesNotCountEither) {
  ReluNetwork target = random_network(7, 40, 2, 9);
  for (Index j = 1; j < 40; j += 2) {  // every other neuron takes back the one before, rescaled
    for (Index i = 0; i < 7; ++i) target.weights(j, i) = -0.7 * target.weights(j - 1, i);
    target.bias(j, 0) = -0.7 * target.bias(j - 1, 0);
    for (Index o = 0; o < 2; ++o) target.output(o, j) = -target.output(o, j - 1) / 0.7;
  }

  expect_counts(match(target, ReluNetwork(7, 0, 2)), 0, 0, 0, 0, 0);
  expect_counts(match(ReluNetwork(7, 0, 2), target), 0, 0, 0, 0, 0);
}

TEST(MatchTest, LiveNeuronsMayBeTiny) {
  const ReluNetwork target = network_of({{1e-200, 0, 1e-200}, {0, 1e200, 0}}, {{1e-100}, {1e-300}});

  expect_counts(match(target, target), 2, 2, 0, 0, 0);
}

TEST(MatchTest, TwoThousandNeuronsThroughTheOriginAreAllMatched) {
  ReluNetwork network = random_network(64, 2000, 1, 7);
  for (Index j = 0; j < 2000; ++j) network.bias(j, 0) = 0.0;  // no offset tells them apart
  const ReluNetwork other = disguised(network, 8);

  expect_counts(match(network, other), 2000, 2000, 0, 0, 0);
}

ReluNetwork without_affine_parts(ReluNetwork network, double power) {
  network.bias = HostMatrix(network.neurons(), 1);
  network.linear = HostMatrix(network.outputs(), network.inputs());
  network.constant = HostMatrix(network.outputs(), 1);
  network.power = power;
  return network;
}

TEST(MatchTest, OtherPowersAreFreeInScaleAndNotInOrientation) {
  const double power = 2.5;
  const ReluNetwork network = without_affine_parts(random_network(6, 20, 2, 3), power);
  ReluNetwork scaled = network;
  double largest = 0;
  for (Index j = 0; j < 20; ++j) {
    const double size = 0.5 + static_cast<double>(j % 7);
    double square = 0;
    for (Index i = 0; i < 6; ++i) {
      scaled.weights(j, i) *= size;
      square += network.weights(j, i) * network.weights(j, i);
    }
    for (Index o = 0; o < 2; ++o) {
      scaled.output(o, j) /= std::pow(size, power);
      largest = std::max(largest, std::abs(network.output(o, j)) * std::pow(square, power / 2));
    }
  }
  // |w| rounds by a few eps, its power by 2.5 times that.
  const NetworkMatch same = match(network, scaled);
  expect_counts(same, 20, 20, 0, 0, 0);
  EXPECT_LE(same.hyperplanes, 16 * kEps);
  EXPECT_LE(same.scales, 64 * kEps);
  EXPECT_LE(same.weights, 64 * kEps * 2 * largest);
  EXPECT_EQ(same.biases, 0.0);

  for (Index i = 0; i < 6; ++i) scaled.weights(4, i) = -scaled.weights(4, i);
  expect_counts(match(network, scaled), 20, 19, 0, 1, 1);
  ReluNetwork relu = network;
  relu.power = 1;
  ReluNetwork mirrored = relu;
  for (Index i = 0; i < 6; ++i) mirrored.weights(4, i) = -mirrored.weights(4, i);
  expect_counts(match(relu, mirrored), 20, 20, 0, 0, 0);
}

TEST(MatchTest, ErrorsOfAnotherPowerMatchValuesWorkedByHand) {
  // J = u |w|^2 = 2 * 25 and 2.04 * 25; w / |w| = (.6, .8) both times.
  const ReluNetwork target = without_affine_parts(network_of({{3, 4, 0}}, {{2}}), 2);
  const ReluNetwork learned = without_affine_parts(network_of({{3, 4, 0}}, {{2.04}}), 2);
  const NetworkMatch found = match(target, learned);
  expect_counts(found, 1, 1, 0, 0, 0);
  EXPECT_NEAR(found.scales, 0.02, 8 * kEps);
  EXPECT_NEAR(found.weights, 0.8, 51 * 8 * kEps);
  EXPECT_EQ(found.hyperplanes, 0.0);
}

TEST(MatchTest, BothSidesOfAHyperplaneAreTwoNeuronsOfAnotherPower) {
  const ReluNetwork both =
      without_affine_parts(network_of({{1, 2, 0}, {-1, -2, 0}}, {{1}, {-1}}), 2);
  expect_counts(match(both, both), 2, 2, 0, 0, 0);
  // On one side they add up, also to nothing.
  const ReluNetwork twice = without_affine_parts(network_of({{1, 2, 0}, {2, 4, 0}}, {{1}, {1}}), 2);
  const ReluNetwork sum = without_affine_parts(network_of({{1, 2, 0}}, {{5}}), 2);
  expect_counts(match(twice, sum), 2, 0, 2, 0, 0);
  const ReluNetwork nothing =
      without_affine_parts(network_of({{1, 2, 0}, {2, 4, 0}}, {{4}, {-1}}), 2);
  expect_counts(match(nothing, sum), 0, 0, 0, 0, 1);
}

TEST(MatchTest, NetworksOfDifferentPowersHaveNoNeuronInCommon) {
  const ReluNetwork two = without_affine_parts(random_network(6, 20, 2, 3), 2);
  ReluNetwork three = two;
  three.power = 3;
  expect_counts(match(two, three), 20, 0, 0, 20, 20);
  expect_counts(match(two, two), 20, 20, 0, 0, 0);
}

TEST(MatchTest, NetworksOfDifferentShapeAndBadTolerancesAreRefused) {
  const ReluNetwork network(3, 1, 2);

  EXPECT_THROW(match(network, ReluNetwork(4, 1, 2)), BadInput);
  EXPECT_THROW(match(network, ReluNetwork(3, 1, 1)), BadInput);
  EXPECT_THROW(match(network, network, -1.0), BadInput);
  EXPECT_THROW(match(network, network, std::nan("")), BadInput);
}

}  // namespace
}  // namespace crease
