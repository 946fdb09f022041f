// Neurons from jumps of gradients that are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/gradients.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr double kUnit = 1e-14;           // noise of the answers over rho
constexpr double kGradientNoise = 1e-11;  // one standard deviation of a component

/// A planted network, a random line, and pieces of which every one has its exact gradient.
struct Planted {
  Planted(Index d, Index k, Index p, std::uint64_t seed)
      : Planted(planted_network(d, k, p, seed), seed) {}
  Planted(ReluNetwork planted, std::uint64_t seed)
      : network(std::move(planted)),
        line(perfect_line(network, row_of(normals(1, network.inputs(), seed + 10), 0),
                          unit_vector(row_of(normals(1, network.inputs(), seed + 11), 0)), kUnit,
                          &order)),
        noise(relative_noise(kUnit, network.outputs())),
        pieces(prepare_pieces(line, noise, plan)),
        found(network.inputs(), network.outputs()) {
    found.base = line.point(pieces.t[0]);
    for (std::size_t m = 0; m < pieces.size(); ++m) measure(m);
  }

  void measure(std::size_t m) {
    const HostMatrix gradient = exact_gradient(network, line.point(pieces.t[m]));
    for (std::size_t o = 0; o < pieces.scale.size(); ++o) {
      std::copy_n(gradient.row(static_cast<Index>(o)), network.inputs(), pieces.gradient(m, o));
      pieces.gradient_noise(static_cast<Index>(m), static_cast<Index>(o)) = kGradientNoise;
    }
    pieces.measured[m] = true;
  }
  void forget(std::size_t m) { pieces.measured[m] = false; }

  Index add(GapPolicy policy = {1e-4}, double known_error = 0) {
    const std::vector<double> known(pieces.scale.size(), known_error);
    return add_neurons(pieces, line, noise, policy, plan, known, found);
  }

  /// Neuron i of what was found stands for planted neuron j: unit normal up to sign, plane, and
  /// scale = u |w|, within ten of the errors that were reported for it.
  void expect_is(Index i, Index j) const {
    const Index d = network.inputs();
    const double length = std::sqrt(dot(network.weights.row(j), network.weights.row(j), d));
    const double side =
        dot(found.normals.row(i), network.weights.row(j), d) > 0 ? 1 / length : -1 / length;
    const auto ii = static_cast<std::size_t>(i);
    const double root = std::sqrt(static_cast<double>(d));
    double off = 0;
    for (Index a = 0; a < d; ++a) {
      off = std::hypot(off, found.normals(i, a) - side * network.weights(j, a));
    }
    EXPECT_TRUE(at_most(off, 10 * root * found.normal_error[ii])) << "neuron " << j;
    EXPECT_TRUE(
        at_most(std::abs(found.bias[ii] - side * network.bias(j, 0)), 10 * found.offset_error[ii]))
        << "neuron " << j;
    for (Index o = 0; o < network.outputs(); ++o) {
      // The size of the jump is known as well as the gradients, or the slopes, are.
      const double scale = network.output(o, j) * length;
      EXPECT_TRUE(at_most(std::abs(found.scales(i, o) - scale), 1e-8 * (1 + std::abs(scale))))
          << "neuron " << j;
    }
    EXPECT_LE(dot(found.normals.row(i), found.base.data(), d) + found.bias[ii], 0)
        << "inactive at the base";
  }

  ReluNetwork network;
  std::vector<Index> order;
  QueryPlan plan;
  SearchedLine line;
  NoiseModel noise;
  MeasuredPieces pieces;
  Hypothesis found;
};

TEST(NeuronsTest, EveryKinkBetweenMeasuredNeighboursIsItsNeuron) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    for (const Index p : {1, 3}) {
      Planted planted(7, 12, p, seed);
      EXPECT_EQ(planted.add(), 12);
      ASSERT_EQ(planted.found.neurons(), 12);
      for (Index i = 0; i < 12; ++i) {
        planted.expect_is(i, planted.order[static_cast<std::size_t>(i)]);
      }
    }
  }
}

TEST(NeuronsTest, ErrorsAreThoseOfTheTwoGradients) {
  // J = G2 - G1 has sqrt(2) of the noise of one, and the unit normal that over |J|.
  Planted planted(7, 12, 1, 5);
  planted.add();
  for (Index i = 0; i < planted.found.neurons(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double jump = std::abs(planted.found.scales(i, 0));
    const double component = std::sqrt(2.0) * kGradientNoise / jump;
    EXPECT_NEAR(planted.found.normal_error[ii], component, 1e-6 * component);
    // Far kinks have bad biases: component * sqrt(d + |x*|^2), and the noise of the kink.
    const std::vector<double> crossing = planted.line.point(planted.pieces.kinks[ii].t);
    const double offset = std::hypot(component * std::sqrt(7 + dot(crossing, crossing)),
                                     kUnit * planted.line.rho(planted.pieces.kinks[ii].t) / jump);
    EXPECT_NEAR(planted.found.offset_error[ii], offset, 1e-6 * offset);
  }
}

TEST(NeuronsTest, OneGradientServesUpToPKinks) {
  // 9 kinks, 3 outputs: pieces 0, 3, 6, 9 are enough.
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Planted planted(6, 9, 3, seed);
    planted.plan.group_conditioning = 1e-3;  // whatever these jumps happen to be
    for (std::size_t m = 0; m < 10; ++m) {
      if (m % 3 != 0) planted.forget(m);
    }
    EXPECT_EQ(planted.add(), 9);
    ASSERT_EQ(planted.found.neurons(), 9);
    for (Index i = 0; i < 9; ++i) {
      planted.expect_is(i, planted.order[static_cast<std::size_t>(i)]);
    }
  }
}

TEST(NeuronsTest, AGroupLargerThanPIsLeftToALaterLine) {
  Planted planted(6, 9, 2, 1);
  for (std::size_t m = 1; m < 9; ++m) planted.forget(m);
  EXPECT_EQ(planted.add(), 0);
}

TEST(NeuronsTest, AGroupOfParallelJumpsIsLeftToALaterLine) {
  ReluNetwork network = planted_network(6, 2, 2, 3);
  for (Index o = 0; o < 2; ++o) network.output(o, 1) = -2 * network.output(o, 0);
  Planted planted(network, 3);
  planted.forget(1);
  EXPECT_EQ(planted.add(), 0);
}

TEST(NeuronsTest, AnOverdeterminedGroupThatDoesNotAddUpIsRefused) {
  // Two kinks on the line, but a third jump is hidden in the gradients (its plane lies between the
  // measured points without crossing the line): rank three, so two normals leave a residual.
  Planted planted(6, 2, 4, 2);
  planted.plan.group_conditioning = 1e-6;
  planted.forget(1);
  EXPECT_EQ(planted.add(), 2);
  planted.found = Hypothesis(6, 4);
  planted.found.base = planted.line.point(planted.pieces.t[0]);
  const std::vector<double> hidden = {1, -1, 0.5, 2};
  for (std::size_t o = 0; o < 4; ++o) {
    for (Index i = 0; i < 6; ++i) planted.pieces.gradient(2, o)[i] += 1e-6 * hidden[o] * (i == 2);
  }
  EXPECT_EQ(planted.add(), 0);
}

TEST(NeuronsTest, AnUnmeasuredPieceCostsItsTwoNeuronsAndNoOther) {
  Planted planted(7, 12, 1, 2);
  planted.forget(5);  // between kinks 4 and 5
  EXPECT_EQ(planted.add(), 10);
  std::size_t kink = 0;
  for (Index i = 0; i < 10; ++i, ++kink) {
    if (kink == 4) kink = 6;
    planted.expect_is(i, planted.order[kink]);
  }
}

TEST(NeuronsTest, OnTheLastTryTheOuterLinesOfAnUnmeasuredPieceMakeOneNeuron) {
  // Two planes with the same normal 1e-4 apart, the piece between them was not measured. Their sum
  // is one neuron at the crossing of the outer lines.
  ReluNetwork network = planted_network(5, 3, 1, 4);
  for (Index i = 0; i < 5; ++i) network.weights(1, i) = network.weights(0, i);
  network.bias(1, 0) = network.bias(0, 0) - 1e-4;
  network.output = {{1, 2, 1}};
  Planted planted(network, 4);
  std::size_t narrow = 0;
  for (std::size_t m = 1; m + 1 < planted.pieces.size(); ++m) {
    if (planted.pieces.half_width[m] < 1e-2) narrow = m;
  }
  ASSERT_GT(narrow, 0u);
  planted.forget(narrow);
  EXPECT_EQ(planted.add({1e-4}), 1) << "not before the last try";
  planted.found = Hypothesis(5, 1);
  planted.found.base = planted.line.point(planted.pieces.t[0]);
  EXPECT_EQ(planted.add({0.5}), 2);
  // At a third of the gap before the larger one, twice over: bias - 2/3 1e-4.
  bool seen = false;
  for (Index i = 0; i < 2; ++i) {
    const double side = dot(planted.found.normals.row(i), network.weights.row(0), 5) > 0 ? 1 : -1;
    const double length = std::sqrt(dot(network.weights.row(0), network.weights.row(0), 5));
    if (std::abs(planted.found.scales(i, 0) - 3 * length) > 1e-6) continue;
    seen = true;
    EXPECT_NEAR(side * planted.found.bias[static_cast<std::size_t>(i)] * length,
                network.bias(0, 0) - 2e-4 / 3,
                10 * planted.found.offset_error[static_cast<std::size_t>(i)]);
  }
  EXPECT_TRUE(seen);
}

TEST(NeuronsTest, AnOppositePairThatWasNotMeasuredIsNoNeuronEvenOnTheLastTry) {
  // The outer lines cross far outside the pair: jump 1 - .9, offset of the gap.
  ReluNetwork network = planted_network(5, 2, 1, 6);
  for (Index i = 0; i < 5; ++i) network.weights(1, i) = network.weights(0, i);
  network.bias(1, 0) = network.bias(0, 0) - 1e-7;
  network.output = {{1, -0.9}};
  Planted planted(network, 6);
  planted.forget(1);
  EXPECT_EQ(planted.add({0.5}), 0);
}

TEST(NeuronsTest, AJumpWithinItsNoiseIsNoNeuron) {
  Planted planted(6, 4, 1, 1);
  // |J| = |scale| >= 10 sqrt(d) sqrt(2) sigma is asked for, and 5 % accuracy: sigma at 1 is
  // neither.
  for (Index m = 0; m < 5; ++m) planted.pieces.gradient_noise(m, 0) = 1;
  EXPECT_EQ(planted.add(), 0);
  EXPECT_EQ(planted.add({0.5}), 0);
}

TEST(NeuronsTest, InaccurateNeuronsAreForTheLastTryOnly) {
  // sqrt(2) sigma sqrt(d) / |J| at 7 %: more than neuron_accuracy 5 %, less than a tenth.
  ReluNetwork network = planted_network(6, 1, 1, 1);
  const double jump = std::abs(network.output(0, 0)) *
                      std::sqrt(dot(network.weights.row(0), network.weights.row(0), 6));
  Planted planted(network, 1);
  for (Index m = 0; m < 2; ++m) {
    planted.pieces.gradient_noise(m, 0) = 0.07 * jump / std::sqrt(2.0 * 6);
  }
  EXPECT_EQ(planted.add({1e-4}), 0);
  EXPECT_EQ(planted.add({0.5}), 1);
}

TEST(NeuronsTest, WhatTheErrorsOfKnownHyperplanesCouldFeignIsNoNeuron) {
  Planted planted(6, 4, 1, 1);
  double largest = 0;
  double smallest = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < 4; ++j) {
    const double jump =
        std::abs(planted.network.output(0, j)) *
        std::sqrt(dot(planted.network.weights.row(j), planted.network.weights.row(j), 6));
    largest = std::max(largest, jump);
    smallest = std::min(smallest, jump);
  }
  EXPECT_EQ(planted.add({1e-4}, largest / 9.99), 0);
  EXPECT_EQ(planted.add({1e-4}, smallest / 10.01), 4);
}

TEST(NeuronsTest, KnownHyperplanesBetweenAddTheirErrors) {
  Planted with(6, 4, 1, 1);
  Planted without = with;
  // One known hyperplane crosses the piece before the third kink.
  with.line.known.t = {with.pieces.t[2]};
  with.line.known.step = {1e-6};
  with.line.known.bend = {1e-7};
  EXPECT_EQ(with.add(), 4);
  EXPECT_EQ(without.add(), 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const double jump = std::abs(with.found.scales(static_cast<Index>(i), 0));
    if (i == 1 || i == 2) {  // the kinks on either side of piece 2
      EXPECT_NEAR(with.found.normal_error[i],
                  std::hypot(without.found.normal_error[i], 1e-7 / jump), 1e-9 * 1e-7);
      EXPECT_GE(with.found.offset_error[i], 1e-6 / jump);
    } else {
      EXPECT_EQ(with.found.normal_error[i], without.found.normal_error[i]);
      EXPECT_EQ(with.found.offset_error[i], without.found.offset_error[i]);
    }
  }
}

TEST(NeuronsTest, NothingMeasuredNothingFound) {
  Planted planted(6, 4, 1, 1);
  for (std::size_t m = 0; m < 5; ++m) planted.forget(m);
  EXPECT_EQ(planted.add({0.5}), 0);
  planted.measure(2);
  EXPECT_EQ(planted.add({0.5}), 0);
}

}  // namespace
}  // namespace crease
