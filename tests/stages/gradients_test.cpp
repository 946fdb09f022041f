// Measuring gradients: their accuracy, what they cost, and what is done where steps cross planes.
#include "src/stages/gradients.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

// Noise over rho: the networks below are at most 40 steep, and every answer is rounded.
constexpr double kUnit = 40 * kRounding;

/// A line along the first axis through the origin of R^d.
std::vector<double> axis(Index d, Index which = 0) {
  std::vector<double> v(static_cast<std::size_t>(d), 0.0);
  if (which >= 0) v[static_cast<std::size_t>(which)] = 1;
  return v;
}

/// Neurons that cross the first axis at the given places, steeply: <w, e0> = .9. No step of a
/// sixteenth of a half width can reach such a plane.
ReluNetwork steep(Index d, Index p, const std::vector<double>& kinks, std::uint64_t seed = 3) {
  ReluNetwork network = planted_network(d, static_cast<Index>(kinks.size()), p, seed);
  const HostMatrix away = normals(network.neurons(), d, seed + 50);
  for (Index j = 0; j < network.neurons(); ++j) {
    double square = 0;
    for (Index i = 1; i < d; ++i) square += away(j, i) * away(j, i);
    network.weights(j, 0) = 0.9;
    for (Index i = 1; i < d; ++i) {
      network.weights(j, i) = away(j, i) * std::sqrt((1 - 0.81) / square);
    }
    network.bias(j, 0) = -0.9 * kinks[static_cast<std::size_t>(j)];
  }
  return network;
}

/// One call of measure_gradients on a perfectly searched line.
struct Measuring {
  Measuring(Device& on, const ReluNetwork& target, SearchedLine searched, std::uint64_t seed = 1)
      : network(target),
        oracle(network, RecordingOracle::Manner::structured),
        asker(on, oracle, run),
        seed(seed),
        random(Seed{seed}),
        line(std::move(searched)),
        noise(relative_noise(kUnit, network.outputs())),
        hypothesis(network.inputs(), network.outputs()) {}
  Measuring(Device& on, const ReluNetwork& target, std::uint64_t seed = 1)
      : Measuring(on, target,
                  perfect_line(target, axis(target.inputs(), -1), axis(target.inputs()), kUnit),
                  seed) {}

  void measure(GapPolicy policy = {1e-3}) {
    pieces = prepare_pieces(line, noise, plan);
    measure_gradients(asker, line, noise, hypothesis, current.get(), policy, plan, random, pieces);
  }

  Index measured() const {
    return std::count(pieces.measured.begin(), pieces.measured.end(), true);
  }

  /// Every measured gradient is that of `truth`. The d differences are off by at most 10 of their
  /// noise each, sqrt(2) for the centre they share; an orthonormal basis keeps the norm; the slope
  /// along the line is then replaced by that of the fit.
  void expect_gradients_of(const ReluNetwork& truth) const {
    const double root = std::sqrt(static_cast<double>(truth.inputs()));
    for (std::size_t m = 0; m < pieces.size(); ++m) {
      if (!pieces.measured[m]) continue;
      const HostMatrix expected = exact_gradient(truth, line.point(pieces.t[m]));
      for (Index o = 0; o < truth.outputs(); ++o) {
        const auto oo = static_cast<std::size_t>(o);
        double off = 0;
        for (Index i = 0; i < truth.inputs(); ++i) {
          off = std::hypot(off, pieces.gradient(m, oo)[i] - expected(o, i));
        }
        const double noise_of = pieces.gradient_noise(static_cast<Index>(m), o);
        EXPECT_TRUE(at_most(
            off, 10 * (std::sqrt(2.0) * root * noise_of + pieces.pieces[m].fit.slope_sd[oo])))
            << "piece " << m << " at " << pieces.t[m] << ", output " << o;
      }
    }
  }

  ReluNetwork network;
  RunControl run;
  RecordingOracle oracle;
  Asker asker;
  std::uint64_t seed;
  Random random;
  SearchedLine line;
  NoiseModel noise;
  Hypothesis hypothesis;
  std::unique_ptr<DeviceNetwork> current;
  QueryPlan plan;
  MeasuredPieces pieces;
};

class GradientsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(GradientsTest);

TEST_P(GradientsTest, EveryPieceCostsDQueriesInOneRound) {
  for (const Index d : {2, 10}) {
    const std::vector<double> kinks = {-30, -2, -0.5, 0, 0.01, 0.7, 3, 200};
    Measuring run(device(), steep(d, 1, kinks));
    run.measure();
    EXPECT_EQ(run.measured(), 9);
    EXPECT_EQ(run.asker.asked(), 9 * d);
    EXPECT_EQ(run.asker.rounds(), 1);
    EXPECT_EQ(run.oracle.fans, 1);
    run.expect_gradients_of(run.network);
  }
}

TEST_P(GradientsTest, SeveralOutputsShareAGradientAmongPKinks) {
  // 12 kinks on 4 outputs in turn: ceil(12 / 4) + 1 gradients.
  ReluNetwork network = steep(10, 4, {-9, -5, -3, -2, -1, -0.3, 0.1, 0.6, 1.5, 2.5, 4, 8});
  for (Index j = 0; j < 12; ++j) {
    for (Index o = 0; o < 4; ++o) network.output(o, j) *= (j % 4 == o);
  }
  Measuring run(device(), network);
  run.measure();
  EXPECT_EQ(run.measured(), 4);
  EXPECT_EQ(run.asker.asked(), 4 * 10);
  run.expect_gradients_of(network);
}

TEST_P(GradientsTest, AnAffineFunctionIsMeasuredOnce) {
  Measuring run(device(), planted_network(7, 0, 2, 1));
  run.measure();
  EXPECT_EQ(run.asker.asked(), 7);
  EXPECT_EQ(run.measured(), 1);
  run.expect_gradients_of(run.network);
}

TEST_P(GradientsTest, WithOneInputTheSlopeIsTheGradientAndCostsNothing) {
  ReluNetwork network(1, 3, 2);
  network.weights = {{1}, {-2}, {0.5}};
  network.bias = {{0.5}, {1}, {-1}};
  network.output = {{1, 2, -1}, {0.5, 1, 1}};
  network.linear = {{0.3}, {-0.1}};
  Measuring run(device(), network);
  run.measure();
  EXPECT_EQ(run.asker.asked(), 0);
  EXPECT_GE(run.measured(), 3);
  run.expect_gradients_of(network);
}

TEST_P(GradientsTest, RandomNetworksCostLittleMoreThanOneGradientAPiece) {
  // Many kinks of a Gaussian line lie far out and belong to neurons nearly orthogonal to it: with
  // steps shortened by c / rho the specification measured 1.03 to 1.06 of d (k + 1), without 1.28.
  Index asked = 0;
  Index ideal = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const ReluNetwork network = planted_network(24, 40, 1, seed);
    Measuring run(device(), network,
                  perfect_line(network, row_of(normals(1, 24, seed + 7), 0),
                               unit_vector(row_of(normals(1, 24, seed + 8), 0)), kUnit),
                  seed);
    run.measure();
    run.expect_gradients_of(network);
    EXPECT_GE(run.measured(), 40);
    asked += run.asker.asked();
    ideal += 24 * 41;
  }
  EXPECT_LE(static_cast<double>(asked), 1.15 * static_cast<double>(ideal));
}

/// The basis that measure_gradients draws from a seed.
HostMatrix basis_of(Device& device, std::uint64_t seed, Index d) {
  Random random(Seed{seed});
  DeviceMatrix basis = random.gaussian_points(device, Stream::directions, d, d);
  orthonormal_rows(device, basis);
  return download(device, basis);
}

/// Steep neurons, but the one at `grazing` has <w, e0> = slope and <w, e1> = the rest: a step
/// across the line reaches its plane.
ReluNetwork with_grazing(Index d, std::vector<double> kinks, double grazing, double slope) {
  kinks.push_back(grazing);
  ReluNetwork network = steep(d, 1, kinks);
  const Index last = network.neurons() - 1;
  for (Index i = 0; i < d; ++i) network.weights(last, i) = 0;
  network.weights(last, 0) = slope;
  network.weights(last, 1) = std::sqrt(1 - slope * slope);
  network.bias(last, 0) = -slope * grazing;
  return network;
}

TEST_P(GradientsTest, DirectionsThatLandOnAKnownNeighbourAreTurnedRound) {
  // The piece [0, .05] is narrow and takes its full step; the wide ones beside it take a quarter,
  // which reaches no grazing plane. Directions of the narrow piece that cross the plane at .05 end
  // on the measured piece behind it: the opposite directions are asked, one query each.
  const Index d = 6;
  const double slope = 1.0 / 60;
  const ReluNetwork network = with_grazing(d, {-2, -1, 0, 1, 2}, 0.05, slope);
  Index turned = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Measuring run(device(), network, seed);
    run.plan.retries = 0;
    run.measure();
    EXPECT_EQ(run.measured(), 7) << seed;
    const std::size_t narrow = 3;
    EXPECT_NEAR(run.pieces.half_width[narrow], 0.025, 1e-15);
    const HostMatrix basis = basis_of(device(), seed, d);
    Index landed = 0;
    for (Index j = 0; j < d; ++j) {
      const double rise = slope * basis(j, 0) + std::sqrt(1 - slope * slope) * basis(j, 1);
      landed += run.pieces.step[narrow] * rise > slope * 0.025 ? 1 : 0;
    }
    EXPECT_EQ(run.asker.asked(), 7 * d + landed) << seed;
    EXPECT_EQ(run.asker.rounds(), landed > 0 ? 2 : 1) << seed;
    run.expect_gradients_of(network);
    turned += landed;
  }
  EXPECT_GE(turned, 8) << "the case was there";
}

TEST_P(GradientsTest, WhatKnownHingesExplainCostsNoQuery) {
  // Another narrow piece [-.01, 0] two kinks away from the grazing plane at .01: where one of its
  // steps crosses that plane nothing but the neuron itself explains it, and that neuron is known
  // once the pieces on its two sides are. In R^2 a direction must rise by more than
  // .015 slope / step to cross from there.
  const double slope = 1.0 / 60;
  const ReluNetwork network = with_grazing(2, {-2, -1, -0.01, 0, 1, 2}, 0.01, slope);
  Index explained = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const HostMatrix basis = basis_of(device(), seed, 2);
    Measuring run(device(), network, seed);
    run.plan.retries = 0;
    const MeasuredPieces pieces = prepare_pieces(run.line, run.noise, run.plan);
    const std::size_t narrow = 4;  // [0, .01]
    const std::size_t other = 3;   // [-.01, 0]
    Index landed = 0;
    Index across = 0;
    for (Index j = 0; j < 2; ++j) {
      const double rise = slope * basis(j, 0) + std::sqrt(1 - slope * slope) * basis(j, 1);
      landed += pieces.step[narrow] * rise > slope * 0.005 ? 1 : 0;
      across += pieces.step[other] * rise > slope * 0.015 ? 1 : 0;
    }
    if (across == 0 || landed == 2) continue;
    explained += across;
    run.measure();
    EXPECT_EQ(run.measured(), 8) << seed;
    EXPECT_EQ(run.asker.asked(), 8 * 2 + landed) << seed;
    run.expect_gradients_of(network);
  }
  EXPECT_GE(explained, 3) << "the case was there";
}

TEST_P(GradientsTest, WhatNothingExplainsIsAskedAgainWithAShorterStep) {
  // A plane along the line, .004 beside it, that crosses it at t = 4000 only, beyond all pieces.
  ReluNetwork network = steep(5, 1, {-1, 1});
  const Index last = 2;
  ReluNetwork beside(5, 3, 1);
  for (Index j = 0; j < 2; ++j) {
    for (Index i = 0; i < 5; ++i) beside.weights(j, i) = network.weights(j, i);
    beside.bias(j, 0) = network.bias(j, 0);
    beside.output(0, j) = network.output(0, j);
  }
  beside.linear = network.linear;
  beside.constant = network.constant;
  beside.weights(last, 0) = 1e-6;
  beside.weights(last, 1) = 1;
  beside.bias(last, 0) = -0.004;
  beside.output(0, last) = 1;
  // Its kink lies outside what was searched: the line knows two.
  SearchedLine line = perfect_line(network, axis(5, -1), axis(5), kUnit);
  Measuring run(device(), beside, line);
  run.measure();
  EXPECT_EQ(run.measured(), 3);
  EXPECT_GT(run.asker.asked(), 3 * 5);
  EXPECT_EQ(run.asker.asked() % 5, 0);
  // At most one retry a piece: an eighth of a step of less than 1 / 16 does not reach .004 ... of
  // the middle piece; the outer ones (half width c = 2.2) need two.
  EXPECT_LE(run.asker.asked(), 3 * 5 * 3);
  run.expect_gradients_of(beside);
}

TEST_P(GradientsTest, PiecesTooPoorForThePolicyAreNotAsked) {
  ReluNetwork network = steep(6, 1, {-1, 0, 1e-7, 1});
  network.output(0, 1) = 1;
  network.output(0, 2) = -0.9;
  Measuring strict(device(), network);
  const MeasuredPieces rated = prepare_pieces(strict.line, strict.noise, strict.plan);
  ASSERT_EQ(rated.size(), 5u) << "jumps of opposite sign are not merged";
  GapPolicy policy{rated.quality[2] / 2};
  ASSERT_LT(rated.quality[1], policy.tolerance);
  strict.measure(policy);
  EXPECT_FALSE(strict.pieces.measured[2]);
  EXPECT_EQ(strict.measured(), 4);
  EXPECT_EQ(strict.asker.asked(), 4 * 6);
  strict.expect_gradients_of(network);

  Measuring last(device(), network);
  last.measure({1.0});
  EXPECT_EQ(last.measured(), 5) << "the last try takes whatever can be had";
}

TEST_P(GradientsTest, OnAResidualThePieceAroundTheBaseIsFreeAndCentresAreAsked) {
  // F' lacks the last two of twelve neurons. The line through the base: R = F - F' consists of
  // those two, inactive at the base, and its piece there has gradient 0.
  const Index d = 8;
  ReluNetwork network = planted_network(d, 12, 2, 4);
  const std::vector<double> base = row_of(normals(1, d, 5), 0);
  Hypothesis all(d, 2);
  all.base = base;
  for (Index j = 0; j < 12; ++j) {
    all.add(row_of(network.weights, j), network.bias(j, 0),
            {network.output(0, j), network.output(1, j)}, 1e-13, 1e-14);
  }
  all.gradient = exact_gradient(network, base);
  HostMatrix at_base(0, d);
  at_base.append_row(base.data(), d);
  const HostMatrix value = exact_values(network, at_base);
  for (Index o = 0; o < 2; ++o) {
    all.constant(o, 0) = value(0, o) - dot(all.gradient.row(o), base.data(), d);
  }
  Hypothesis residual(d, 2);
  residual.base = base;
  for (const Index j : {10, 11}) {
    residual.add(row_of(all.normals, j), all.bias[static_cast<std::size_t>(j)],
                 row_of(all.scales, j), 0, 0);
  }
  Hypothesis known = all;
  known.remove({10, 11});

  // A direction in which both missing planes are crossed on one side of the base.
  std::vector<double> direction(static_cast<std::size_t>(d));
  for (Index i = 0; i < d; ++i) {
    direction[static_cast<std::size_t>(i)] = residual.normals(0, i) / -residual.bias[0] +
                                             0.7 * residual.normals(1, i) / -residual.bias[1] +
                                             0.01 * base[static_cast<std::size_t>(i)];
  }
  SearchedLine line = perfect_line(residual.network(), base, unit_vector(direction), kUnit);
  line.of_residual = true;
  line.base = 0;
  std::size_t base_piece = 0;
  while (base_piece < line.result.kinks.size() && line.result.kinks[base_piece].t < 0) ++base_piece;
  Measuring run(device(), network, line);
  run.hypothesis = known;
  run.current = std::make_unique<DeviceNetwork>(device(), known.network());
  run.measure();
  ASSERT_TRUE(run.pieces.measured[base_piece]);
  for (std::size_t o = 0; o < 2; ++o) {
    for (Index i = 0; i < d; ++i) EXPECT_EQ(run.pieces.gradient(base_piece, o)[i], 0.0);
  }
  EXPECT_GE(run.measured(), 2);
  // d directions and the centre of every piece but the base's.
  EXPECT_EQ(run.asker.asked(), (run.measured() - 1) * (d + 1));
  run.expect_gradients_of(residual.network());
}

TEST_P(GradientsTest, ABudgetThatDoesNotCoverTheGradientsEndsTheRunUnasked) {
  const ReluNetwork network = steep(6, 1, {-1, 0, 1});
  Measuring run(device(), network);
  run.asker.limit(4 * 6 - 1);
  EXPECT_THROW(run.measure(), EndOfRun);
  EXPECT_EQ(run.oracle.points(), 0);
}

/// One call of measure_gradients on a perfectly searched line along the first axis, of an oracle
/// that says nothing further than `reach` from the line.
struct Reaching {
  Reaching(Device& on, const ReluNetwork& target, double reach)
      : network(target),
        oracle(target,
               [reach, d = target.inputs(), p = target.outputs()](const double* x, double* sigma) {
                 double away = 0;
                 for (Index i = 1; i < d; ++i) away = std::hypot(away, x[i]);
                 std::fill_n(sigma, p, away > reach ? std::numeric_limits<double>::infinity() : 0);
               }),
        asker(on, oracle, run),
        line(perfect_line(target, axis(target.inputs(), -1), axis(target.inputs()), kUnit)) {
    const NoiseModel noise = relative_noise(kUnit, target.outputs());
    pieces = prepare_pieces(line, noise, plan);
    const Hypothesis none(target.inputs(), target.outputs());
    measure_gradients(asker, line, noise, none, nullptr, {1e-3}, plan, random, pieces);
  }

  ReluNetwork network;
  RunControl run;
  OracleWithSigmas oracle;
  Asker asker;
  Random random{Seed{1}};
  SearchedLine line;
  QueryPlan plan;
  MeasuredPieces pieces;
};

TEST_P(GradientsTest, AFanThatSaysNothingIsAskedAgainWithShorterSteps) {
  const ReluNetwork network = steep(4, 2, {-1, 1});
  // Full steps are 1/64 of a half width and more, and go sideways almost all the way.
  const Reaching got(device(), network, 2e-3);
  EXPECT_GT(got.oracle.silent, 0);
  const double root = 2;  // sqrt(d)
  Index measured = 0;
  for (std::size_t m = 0; m < got.pieces.size(); ++m) {
    if (!got.pieces.measured[m]) continue;
    ++measured;
    const HostMatrix expected = exact_gradient(network, got.line.point(got.pieces.t[m]));
    for (std::size_t o = 0; o < 2; ++o) {
      double off = 0;
      for (Index i = 0; i < 4; ++i) {
        off = std::hypot(off, got.pieces.gradient(m, o)[i] - expected(static_cast<Index>(o), i));
      }
      const double noise = got.pieces.gradient_noise(static_cast<Index>(m), static_cast<Index>(o));
      const double slope = got.pieces.pieces[m].fit.slope_sd[o];
      EXPECT_TRUE(at_most(off, 10 * (std::sqrt(2.0) * root * noise + slope))) << m;
    }
  }
  EXPECT_GE(measured, 2);  // one gradient serves two kinks
}

TEST_P(GradientsTest, PiecesWhoseFansNeverSayAnythingAreGivenUp) {
  const Reaching got(device(), steep(4, 2, {-1, 1}), 1e-12);
  EXPECT_TRUE(std::none_of(got.pieces.measured.begin(), got.pieces.measured.end(),
                           [](bool measured) { return measured; }));
  // Three pieces at most, each asked 1 + retries times.
  EXPECT_LE(got.asker.asked(), 3 * 4 * (1 + got.plan.retries));
  EXPECT_GT(got.asker.asked(), 0);
}

}  // namespace
}  // namespace crease
