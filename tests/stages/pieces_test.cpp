// Which pieces of a line are measured, where, and with what steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "src/stages/gradients.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr double kUnit = 1e-15;

/// In R^4 through the origin, so c = 2 and rho^2 = 1 + t^2; one output.
SearchedLine scalar_line(std::vector<double> t, const std::vector<double>& jumps) {
  BrokenLine f{std::move(t), {}, {0.3}, {-0.2}};
  for (const double jump : jumps) f.jump.push_back({jump});
  return perfect_line(f, {0, 0, 0, 0}, {0, 1, 0, 0}, kUnit);
}

MeasuredPieces prepare(const SearchedLine& line, const QueryPlan& plan = {}) {
  return prepare_pieces(line, relative_noise(kUnit, static_cast<Index>(line.result.scale.size())),
                        plan);
}

TEST(PiecesTest, PointsAndDistancesAreThoseOfTheLine) {
  SearchedLine line;
  line.origin = {1, 2};
  line.direction = {0.6, 0.8};
  EXPECT_EQ(line.point(5), (std::vector<double>{4, 6}));
  EXPECT_NEAR(line.rho(5), std::sqrt(1.0 + 16 + 36), 8 * kRounding * 8);
}

TEST(PiecesTest, InnerPiecesAreMeasuredInTheirMiddle) {
  const MeasuredPieces pieces = prepare(scalar_line({-1, 0.5, 4}, {1, -1, 2}));
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces.t[1], -0.25);
  EXPECT_EQ(pieces.half_width[1], 0.75);
  EXPECT_EQ(pieces.t[2], 2.25);
  EXPECT_EQ(pieces.half_width[2], 1.75);
  // the value of F there, without a query
  EXPECT_NEAR(pieces.values(1, 0), -0.2 + 0.3 * -0.25 + 1 * (-0.25 + 1), 8 * kRounding);
}

TEST(PiecesTest, OuterPiecesAreMeasuredAsFarOutAsTheirKinkButNoNearerThanC) {
  // min(max(|kink|, c), half of the verified extent) beyond the last kink; c = 2, extent 2000.
  MeasuredPieces pieces = prepare(scalar_line({-1, 0.5}, {1, -1}));
  EXPECT_EQ(pieces.t[0], -1.0 - 2.0);
  EXPECT_EQ(pieces.half_width[0], 2);
  EXPECT_EQ(pieces.t[2], 0.5 + 2.0);
  pieces = prepare(scalar_line({-30, 50}, {1, -1}));
  EXPECT_EQ(pieces.t[0], -60);
  EXPECT_EQ(pieces.half_width[0], 30);
  EXPECT_EQ(pieces.t[2], 100);
  pieces = prepare(scalar_line({-1500, 1900}, {1, -1}));
  EXPECT_EQ(pieces.t[0], -1750);
  EXPECT_EQ(pieces.t[2], 1950);
}

TEST(PiecesTest, ALineWithoutKinksIsMeasuredAtItsOrigin) {
  const MeasuredPieces pieces = prepare(scalar_line({}, {}));
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces.t[0], 0);
  EXPECT_EQ(pieces.half_width[0], 8);  // 4 c
  EXPECT_EQ(typical_jump(pieces, 4), 1);
}

TEST(PiecesTest, AClusterLendsNothingOfItsIntervalToItsNeighbours) {
  SearchedLine line = scalar_line({-1, 1}, {1, -1});
  line.result.kinks[1].exact = false;
  line.result.kinks[1].low = 0.8;
  line.result.kinks[1].high = 1.5;
  const MeasuredPieces pieces = prepare(line);
  EXPECT_EQ(pieces.half_width[1], 0.5 * (0.8 - -1));
  EXPECT_EQ(pieces.t[2], 1.5 + 2);
}

TEST(PiecesTest, TheTypicalJumpIsTheMedianJumpTimesRootD) {
  const MeasuredPieces pieces = prepare(scalar_line({-1, 1, 2}, {1, -5, 0.1}));
  // in units of the noise: scale = unit * c = 2e-15; median 1, root d 2
  EXPECT_NEAR(typical_jump(pieces, 4), 1 / 2e-15 * 2, 1e15 * 4 * kRounding);
}

TEST(PiecesTest, StepsShrinkByCOverRhoFarOut) {
  // Far kinks belong to neurons nearly orthogonal to the line, whose planes a step across the line
  // reaches sooner. Without the factor c / sqrt(c^2 + t^2) nearly all far pieces fail.
  const MeasuredPieces pieces =
      prepare(scalar_line({-500, -200, -20, -3, 0, 1, 5, 60, 300}, {1, -1, 1, 2, 1, -1, 1, 1, 2}));
  bool shortened = false;
  for (std::size_t m = 0; m < pieces.size(); ++m) {
    const double full = pieces.half_width[m] / 16 * 2 / std::hypot(2.0, pieces.t[m]);
    EXPECT_TRUE(at_most(pieces.step[m], full * (1 + 8 * kRounding)));
    // Pieces measured better than most may take shorter steps still, down to a quarter.
    EXPECT_TRUE(at_most(full / 4, pieces.step[m] * (1 + 8 * kRounding)));
    shortened = shortened || pieces.step[m] < 0.5 * full;
  }
  // The outermost right piece: t = 600, half width 300, 300 / 16 * 2 / 600 = 1/16.
  EXPECT_LE(pieces.step.back(), 0.0626);
  EXPECT_TRUE(shortened);
}

TEST(PiecesTest, QualityIsTheExpectedErrorOfAGradientOverTheTypicalJump) {
  const MeasuredPieces pieces = prepare(scalar_line({-1, 0.5, 0.50001, 4}, {1, -1, 1, 2}));
  const double typical = typical_jump(pieces, 4);
  for (std::size_t m = 0; m < pieces.size(); ++m) {
    const double t = pieces.t[m];
    const double full = pieces.half_width[m] / 16 * 2 / std::hypot(2.0, t);
    const double sigma = std::hypot(kUnit * std::sqrt(1 + t * t),
                                    kRounding * pieces.values(static_cast<Index>(m), 0));
    EXPECT_NEAR(pieces.noise[m], sigma / (kUnit * 2), 1e-12 * pieces.noise[m]);
    const double expected = pieces.noise[m] / full * std::max(1.0, std::abs(t) / 2) * 2 / typical;
    EXPECT_NEAR(pieces.quality[m], expected, 1e-12 * expected);
    EXPECT_FALSE(pieces.measured[m]);
  }
  EXPECT_GT(pieces.quality[2], 1000 * pieces.quality[1]) << "the narrow piece is the poor one";
}

// Smallest gap that a gradient resolves: 2 H >= sqrt(2 / alpha * sigma c / Jtyp), here with sigma
// and Jtyp in the same unit: sqrt(32 * noise[m] * c / typical).
double smallest_gap(const MeasuredPieces& pieces, double at) {
  const double noise = std::hypot(kUnit * std::sqrt(1 + at * at), kRounding) / (kUnit * 2);
  return std::sqrt(32 * noise * 2 / typical_jump(pieces, 4));
}

TEST(PiecesTest, TwoKinksOfOneSignInAMicroGapBecomeOne) {
  const std::vector<double> jumps = {1, 1, 0.5, 2, -1};
  const double reference = smallest_gap(prepare(scalar_line({-2, 0.7, 1.7, 3, 5}, jumps)), 0.7);
  EXPECT_GT(reference, 1e-8);
  EXPECT_LT(reference, 1e-6) << "the page: about 1e-7 c";
  for (const double share : {0.01, 0.5, 2.0, 100.0}) {
    const double gap = share * reference;
    const SearchedLine line = scalar_line({-2, 0.7, 0.7 + gap, 3, 5}, jumps);
    const MeasuredPieces pieces = prepare(line);
    if (share > 1) {
      EXPECT_EQ(pieces.size(), 6u) << share;
      continue;
    }
    ASSERT_EQ(pieces.size(), 5u) << share;
    ASSERT_EQ(pieces.kinks.size(), 4u);
    const Kink& joined = pieces.kinks[1];
    EXPECT_FALSE(joined.exact);
    EXPECT_NEAR(joined.jump[0], 1.5, 8 * kRounding);
    // The outer lines cross where the jumps balance: a third of the gap behind the larger one.
    // Their values come from fits far away, each rounded: |f| u / jump.
    EXPECT_NEAR(joined.t, 0.7 + gap / 3, 1e3 * kRounding);
    EXPECT_EQ(joined.high, line.result.kinks[2].high);
  }
}

TEST(PiecesTest, KinksOfOppositeSignAreNeverJoined) {
  for (const double ratio : {-0.5, -1.0, -2.0}) {
    EXPECT_EQ(prepare(scalar_line({-2, 0.7, 0.7 + 1e-10, 3}, {1, 1, ratio, 2})).size(), 5u);
  }
}

TEST(PiecesTest, WithSeveralOutputsOnlyParallelJumpsAreJoined) {
  const auto count = [](const std::vector<double>& second) {
    BrokenLine f{{-2, 0.7, 0.7 + 1e-10, 3}, {{1, 2}, {1, 2}, second, {2, -1}}, {1, 0}, {0, 1}};
    return prepare(perfect_line(f, {0, 0, 0, 0}, {0, 1, 0, 0}, kUnit)).size();
  };
  EXPECT_EQ(count({2, 4}), 4u);
  EXPECT_EQ(count({2, 4.01}), 4u);  // cosine 1 - 1e-6
  EXPECT_EQ(count({2, 3}), 5u);
  EXPECT_EQ(count({-2, -4}), 5u);
}

TEST(PiecesTest, ThreeKinksInAMicroGapBecomeOneToo) {
  const MeasuredPieces pieces =
      prepare(scalar_line({-2, 0.7, 0.7 + 1e-10, 0.7 + 3e-10, 3}, {1, 1, 1, 2, -1}));
  ASSERT_EQ(pieces.kinks.size(), 3u);
  EXPECT_NEAR(pieces.kinks[1].jump[0], 4, 16 * kRounding);
}

// ---------------------------------------------------------------------------------------------

/// Pieces with given qualities, in units of a good one, and jumps in units of scale; everything
/// else is not looked at.
MeasuredPieces chain_of(std::vector<double> quality, std::vector<std::vector<double>> jumps,
                        std::size_t p) {
  MeasuredPieces pieces;
  for (double& value : quality) value *= 0x1p-50;
  pieces.quality = std::move(quality);
  pieces.pieces.resize(pieces.quality.size());
  pieces.measured.assign(pieces.quality.size(), false);
  pieces.scale.assign(p, 1.0);
  for (std::vector<double>& jump : jumps) {
    Kink kink;
    kink.jump = std::move(jump);
    kink.exact = true;
    pieces.kinks.push_back(std::move(kink));
  }
  return pieces;
}

std::vector<std::size_t> plan_all(const MeasuredPieces& pieces) {
  return plan_chain(pieces, std::vector<bool>(pieces.size(), false), {});
}

/// The cost of a chain: 1 + .033 log2(quality / best) for every piece that is still to be measured,
/// and .2 for every bit that its quality is beyond 2^-32; .033 log2(1 / s_min) for a gap of up to p
/// kinks that are told apart (s_min >= .05 or one kink), 3 for every kink that is not.
double chain_cost(const MeasuredPieces& pieces, const std::vector<std::size_t>& chain) {
  if (chain.empty()) return 3.0 * static_cast<double>(pieces.size() - 1);
  const double best = *std::min_element(pieces.quality.begin(), pieces.quality.end());
  double cost = 3.0 * static_cast<double>(chain.front() + pieces.size() - 1 - chain.back());
  for (std::size_t i = 0; i < chain.size(); ++i) {
    cost += (pieces.measured[chain[i]] ? 0.0 : 1.0) +
            0.033 * std::log2(pieces.quality[chain[i]] / best) +
            0.2 * std::max(0.0, 32 + std::log2(pieces.quality[chain[i]]));
    if (i == 0) continue;
    const std::size_t a = chain[i - 1];
    const std::size_t b = chain[i];
    const double conditioning = jump_conditioning(pieces, a, b);
    double gap = 3.0 * static_cast<double>(b - a);
    if (b - a == 1 || (b - a <= pieces.scale.size() && conditioning >= 0.05)) {
      gap = std::min(gap, -0.033 * std::log2(conditioning));
    }
    cost += gap;
  }
  return cost;
}

TEST(PlanChainTest, NoOtherChainIsCheaper) {
  std::mt19937_64 engine(3);
  const auto uniform = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t p = 1 + static_cast<std::size_t>(trial % 4);
    const std::size_t n = 2 + engine() % 8;
    std::vector<double> quality;
    for (std::size_t m = 0; m < n; ++m) quality.push_back(std::exp2(5 + 25 * uniform()));
    std::vector<std::vector<double>> jumps(n - 1);
    for (std::vector<double>& jump : jumps) {
      for (std::size_t o = 0; o < p; ++o) jump.push_back(uniform() < 0.3 ? 0 : 2 * uniform() - 1);
      if (p == 1) jump[0] = 1;
      jump[engine() % p] += 1;  // never all zero
    }
    MeasuredPieces pieces = chain_of(quality, jumps, p);
    std::vector<bool> excluded(n, false);
    for (std::size_t m = 0; m < n; ++m) {
      pieces.measured[m] = uniform() < 0.2;
      excluded[m] = uniform() < 0.2;
    }
    const std::vector<std::size_t> got = plan_chain(pieces, excluded, {});
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
    double cheapest = std::numeric_limits<double>::infinity();
    for (unsigned subset = 0; subset < (1u << n); ++subset) {
      std::vector<std::size_t> chain;
      bool allowed = true;
      for (std::size_t m = 0; m < n; ++m) {
        if (!(subset >> m & 1)) continue;
        chain.push_back(m);
        allowed = allowed && (!excluded[m] || pieces.measured[m]);
      }
      if (allowed) cheapest = std::min(cheapest, chain_cost(pieces, chain));
    }
    for (const std::size_t m : got) EXPECT_TRUE(!excluded[m] || pieces.measured[m]);
    EXPECT_NEAR(chain_cost(pieces, got), cheapest, 1e3 * kRounding * (1 + cheapest))
        << "trial " << trial;
  }
}

TEST(PlanChainTest, OneOutputMeasuresEveryPiece) {
  const MeasuredPieces pieces = chain_of({1, 2, 3, 1000, 1}, {{1}, {-1}, {1}, {2}}, 1);
  EXPECT_EQ(plan_all(pieces), (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(PlanChainTest, AsManyOutputsAsKinksMeasureOnlyTheTwoEnds) {
  // "If p >= k only two gradients are needed."
  const HostMatrix jumps = normals(6, 8, 1);
  std::vector<std::vector<double>> rows;
  for (Index j = 0; j < 6; ++j) rows.push_back({jumps.row(j), jumps.row(j) + 8});
  const MeasuredPieces pieces = chain_of({1, 1, 1, 1, 1, 1, 1}, rows, 8);
  EXPECT_EQ(plan_all(pieces), (std::vector<std::size_t>{0, 6}));
}

TEST(PlanChainTest, AGroupHasAtMostPKinks) {
  // 9 kinks, p = 3: ceil(9 / 3) + 1 gradients, both outermost pieces among them.
  const HostMatrix jumps = normals(9, 3, 2);
  std::vector<std::vector<double>> rows;
  for (Index j = 0; j < 9; ++j) {
    std::vector<double> row(3, 0.0);
    row[static_cast<std::size_t>(j % 3)] = 1 + jumps(j, 0) * jumps(j, 0);
    rows.push_back(row);
  }
  const std::vector<std::size_t> chain = plan_all(chain_of(std::vector<double>(10, 1.0), rows, 3));
  EXPECT_EQ(chain, (std::vector<std::size_t>{0, 3, 6, 9}));
}

TEST(PlanChainTest, ParallelJumpsDoNotShareAGradient) {
  const MeasuredPieces pieces =
      chain_of({1, 1, 1, 1}, {{1, 0}, {1, 0.01}, {0, 1}}, 2);  // angle .01 < .05
  const std::vector<std::size_t> chain = plan_all(pieces);
  EXPECT_NE(std::find(chain.begin(), chain.end(), 1u), chain.end());
}

TEST(PlanChainTest, NarrowPiecesAreLeftOutWhereThatCostsNothing) {
  // Two outputs, two kinks at a time: of the chains with three pieces the one around the poor
  // middle piece is as long, and better.
  const MeasuredPieces pieces = chain_of({1, 1, 1e6, 1}, {{1, 0}, {0, 1}, {1, 1}}, 2);
  EXPECT_EQ(plan_all(pieces), (std::vector<std::size_t>{0, 1, 3}));
}

TEST(PlanChainTest, WhatIsMeasuredIsUsedAndWhatIsDeadIsNot) {
  MeasuredPieces pieces = chain_of({1, 1, 1, 1}, {{1, 0}, {0, 1}, {1, 1}}, 2);
  pieces.measured[2] = true;
  EXPECT_EQ(plan_all(pieces), (std::vector<std::size_t>{0, 2, 3}));
  EXPECT_EQ(plan_chain(pieces, {false, true, true, false}, {}), (std::vector<std::size_t>{0, 2, 3}))
      << "a piece that was measured before it was excluded is still there";
  pieces.measured[2] = false;
  EXPECT_EQ(plan_chain(pieces, {true, false, true, false}, {}), (std::vector<std::size_t>{1, 3}));
  EXPECT_TRUE(plan_chain(pieces, {true, true, true, true}, {}).empty());
}

TEST(PlanChainTest, ALoneKinkThatIsTooPoorToMeasureIsGivenUp) {
  MeasuredPieces pieces = chain_of({1, 1, 1}, {{1}, {1}}, 1);
  EXPECT_EQ(plan_chain(pieces, {false, false, true}, {}), (std::vector<std::size_t>{0, 1}));
}

TEST(JumpConditioningTest, IsTheLeastSingularValueOfUnitColumns) {
  const MeasuredPieces pieces = chain_of({1, 1, 1, 1, 1}, {{3, 0}, {0, 5}, {1, 1}, {0, 0}}, 2);
  EXPECT_EQ(jump_conditioning(pieces, 0, 1), 1.0);
  EXPECT_NEAR(jump_conditioning(pieces, 0, 2), 1.0, 16 * kRounding);  // orthogonal
  // Two unit vectors at 45 degrees: singular values sqrt(1 +- cos 45).
  EXPECT_NEAR(jump_conditioning(pieces, 1, 3), std::sqrt(1 - std::sqrt(0.5)), 16 * kRounding);
  EXPECT_EQ(jump_conditioning(pieces, 0, 3), 0.0) << "three kinks in two outputs";
  EXPECT_EQ(jump_conditioning(pieces, 2, 4), 0.0) << "a jump that vanishes";
}

TEST(JumpConditioningTest, OutputsCountInUnitsOfTheirNoise) {
  MeasuredPieces pieces = chain_of({1, 1, 1}, {{1, 1e6}, {1, -1e6}}, 2);
  pieces.scale = {1, 1e6};
  EXPECT_NEAR(jump_conditioning(pieces, 0, 2), 1.0, 16 * kRounding);
}

TEST(PlanChainTest, NothingIsMeasuredAcrossASeamAndASeamCostsNothing) {
  // Kinks 0 and 2, and a seam between them; equal qualities. Two gradients a kink.
  MeasuredPieces pieces;
  pieces.scale = {1, 1};
  pieces.pieces.resize(4);
  pieces.measured.assign(4, false);
  pieces.quality.assign(4, 0x1p-40);
  for (const std::vector<double>& jump : {std::vector<double>{1, 0}, {0, 0}, {0, 1}}) {
    Kink kink;
    kink.jump = jump;
    pieces.kinks.push_back(kink);
  }
  pieces.seam = {false, true, false};
  pieces.local = {true, true, true, true};
  EXPECT_EQ(plan_all(pieces), (std::vector<std::size_t>{0, 1, 2, 3}));
  // Without it the two kinks share one gradient: two outputs tell their jumps apart.
  pieces.seam.clear();
  pieces.local.clear();
  pieces.kinks.erase(pieces.kinks.begin() + 1);
  pieces.pieces.resize(3);
  pieces.measured.resize(3);
  pieces.quality.resize(3);
  EXPECT_EQ(plan_all(pieces), (std::vector<std::size_t>{0, 2}));
}

}  // namespace
}  // namespace crease
