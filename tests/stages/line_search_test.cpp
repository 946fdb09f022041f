// The line search on piecewise linear functions whose kinks are planted: what it finds.
#include "src/stages/line_search.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/answering_line.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

TEST(LineSearchTest, OneKinkIsFoundWhereverItLies) {
  for (const double t : {-900.0, -40.0, -1.0, 0.0, 1e-3, 0.5, 3.0, 250.0}) {
    for (const double jump : {1.0, -2.0}) {
      AnsweringLine answering{kinks_at({t}, {jump})};
      expect_found(search(answering), answering.f);
    }
  }
}

TEST(LineSearchTest, EveryKinkOfACrowdedLineIsFound) {
  // The points asked where two unverified lines cross, or one check where two verified lines
  // cross, lose several per cent of the kinks of such lines.
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    for (const double c : {1.0, 28.0}) {
      AnsweringLine answering{crowd(100, 1, c, seed), kRounded, c};
      expect_found(search(answering, 64, seed), answering.f);
    }
  }
}

TEST(LineSearchTest, AnOppositePairInsideOneGapIsFoundWhateverItsRatio) {
  // The outer lines of such a pair cross outside it, on the true line of one of them: one check
  // there is fooled, two on either side of the crossing are not. At ratio -1 they never cross.
  for (const double gap : {0.1, 1e-2, 1e-3, 1e-4, 1e-5}) {
    for (const double ratio : {-0.5, -0.9, -0.99, -1.0, -1.01, -2.0, 0.5, 1.0, 2.0}) {
      for (const double at : {0.3, -7.0}) {
        AnsweringLine answering{kinks_at({at, at + gap}, {1, ratio})};
        const LineResult got = search(answering);
        EXPECT_EQ(got.kinks.size(), 2u) << "gap " << gap << " ratio " << ratio << " at " << at;
        // A gap is hit by bisection only; a pair that no point fell into leaves no trace at all
        // where it cancels in slope and nearly in offset, but these offsets are far above noise.
        if (got.kinks.size() == 2) expect_found(got, answering.f);
      }
    }
  }
}

TEST(LineSearchTest, ACancellingPairTooNarrowForTheNoiseIsNeverCalledExact) {
  // Jump 0, offset gap: wherever it cannot be resolved it must stay a cluster, not vanish.
  for (const double gap : {1e-8, 1e-10, 1e-12}) {
    AnsweringLine answering{kinks_at({0.3, 0.3 + gap}, {1, -1})};
    const LineResult got = search(answering);
    if (got.kinks.size() == 2) {
      expect_found(got, answering.f, false);
      continue;
    }
    ASSERT_EQ(got.kinks.size(), 1u) << gap;
    EXPECT_FALSE(got.kinks[0].exact);
    EXPECT_LE(got.kinks[0].low, 0.3);
    EXPECT_GE(got.kinks[0].high, 0.3 + gap);
  }
}

TEST(LineSearchTest, APieceOfABumpThatTheGridMissedIsResolvedFromOneExtraPoint) {
  // F is 0 on the whole grid: the slope range grows with what is uncovered, or the smallest cell
  // would stay so large that the real kinks are taken for a cluster.
  for (const double width : {1e-2, 1e-3, 1e-4}) {
    AnsweringLine answering{kinks_at({0.7, 0.7 + 0.5 * width, 0.7 + width}, {1, -2, 1}),
                            64 * kRounding};
    answering.f.slope = {0};
    answering.f.value = {0};
    LineSearchInput input;
    input.cells = 32;
    const double hit = 0.7 + 0.3 * width;
    input.extra = {hit - 1e-3, hit, hit + 1e-3};
    const LineResult got = search(answering, input);
    EXPECT_EQ(answering.rounds[0].size(), 33u + 3u);
    expect_found(got, answering.f);
    // "bisection closes on the slab in about log2(1/w) rounds, 25 points": three times that.
    EXPECT_LE(answering.points, 36 + 75);
  }
}

TEST(LineSearchTest, WithoutItsExtraPointTheSameBumpIsNotSeen) {
  AnsweringLine answering{kinks_at({0.7, 0.70005, 0.7001}, {1, -2, 1}), 64 * kRounding};
  answering.f.slope = {0};
  answering.f.value = {0};
  EXPECT_TRUE(search(answering, 32).kinks.empty());
}

TEST(LineSearchTest, SeveralOutputsMeetOnlyAtASingleKink) {
  // Without the share that a meeting must keep from the middle points, 73 kinks were reported for
  // 60: three collinear points always "meet" at the middle one.
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    for (const std::size_t p : {2u, 3u, 5u}) {
      AnsweringLine answering{crowd(60, p, 4.0, seed), kRounded, 4.0};
      expect_found(search(answering, 64, seed), answering.f);
    }
  }
}

TEST(LineSearchTest, AKinkOnOneOutputOfManyIsFoundLikeAScalarOne) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    AnsweringLine answering{crowd(30, 4, 2.0, seed), kRounded, 2.0};
    for (std::size_t j = 0; j < 30; ++j) {
      for (std::size_t o = 0; o < 4; ++o) {
        if (o != j % 4) answering.f.jump[j][o] = 0;
      }
    }
    expect_found(search(answering), answering.f);
  }
}

TEST(LineSearchTest, OutputsThatAreMultiplesOfOneAnotherAreOneOutput) {
  // Two logits that are each other's negative, or one output twice: all jumps are parallel, so any
  // two lines meet, and a meeting proves nothing.
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    for (const double multiple : {-1.0, 0.3}) {
      BrokenLine f = crowd(60, 1, 4.0, seed);
      f.slope.push_back(multiple * f.slope[0]);
      f.value.push_back(multiple * f.value[0]);
      for (std::vector<double>& jump : f.jump) jump.push_back(multiple * jump[0]);
      AnsweringLine answering{f, kRounded, 4.0};
      expect_found(search(answering, 64, seed), answering.f);
    }
  }
}

TEST(LineSearchTest, TwoFunctionsSideBySideAreFoundEachByItself) {
  // Outputs f, -f and g: the jumps of f are parallel, those of g are in one output only.
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    BrokenLine f = crowd(60, 3, 4.0, seed);
    for (std::size_t j = 0; j < f.t.size(); ++j) {
      std::vector<double>& jump = f.jump[j];
      jump = j % 2 == 0 ? std::vector<double>{jump[0], -jump[0], 0}
                        : std::vector<double>{0, 0, jump[2]};
    }
    AnsweringLine answering{f, kRounded, 4.0};
    expect_found(search(answering, 64, seed), answering.f);
  }
}

TEST(LineSearchTest, OutputsOfAnyScaleAreComparedInTheirOwnNoise) {
  AnsweringLine answering{crowd(40, 3, 2.0, 4), kRounded, 2.0};
  answering.output_unit = {1e-6, 1, 1e6};
  for (std::size_t o = 0; o < 3; ++o) {
    answering.f.slope[o] *= answering.output_unit[o];
    answering.f.value[o] *= answering.output_unit[o];
    for (std::vector<double>& jump : answering.f.jump) jump[o] *= answering.output_unit[o];
  }
  // One kink on the smallest output only.
  answering.f.jump[7][1] = answering.f.jump[7][2] = 0;
  const LineResult got = search(answering);
  expect_found(got, answering.f);
}

TEST(LineSearchTest, KnownHyperplanesThatLeaveAStepAndABendAreNotChased) {
  // A residual: one missing neuron, and what the errors of two known hyperplanes leave.
  const auto residual = [] {
    AnsweringLine answering(kinks_at({-3.0, 0.5, 0.5 + 1e-9, 4.0}, {1.0, 1.0, -1.0, 1e-9}),
                            64 * kRounding);
    answering.f.slope = {0};
    answering.f.value = {0};
    return answering;
  };
  KnownCrossings known;
  known.t = {0.5, 4.0};
  known.step = {1e-9, 1e-9};
  known.bend = {1e-9, 1e-9};
  LineSearchInput input;
  input.cells = 32;
  input.known = &known;
  AnsweringLine answering = residual();
  const LineResult got = search(answering, input);
  ASSERT_EQ(got.kinks.size(), 1u);
  EXPECT_TRUE(got.kinks[0].exact);
  EXPECT_TRUE(at_most(std::abs(got.kinks[0].t - -3.0), 10 * 2e-9));  // 10 left-overs over jump 1
  EXPECT_LE(answering.points, 33 + 7) << "six points for the kink that is missing";

  input.known = nullptr;
  AnsweringLine naive = residual();
  EXPECT_GT(search(naive, input).kinks.size(), 1u);
}

TEST(LineSearchTest, AKinkBesideAKnownHyperplaneIsStillFound) {
  KnownCrossings known;
  known.t = {0.5};
  known.step = {1e-10};
  known.bend = {1e-10};
  LineSearchInput input;
  input.cells = 32;
  input.known = &known;
  AnsweringLine answering{kinks_at({0.5, 0.52}, {1e-10, 1}), 64 * kRounding};
  answering.f.slope = {0};
  answering.f.value = {0};
  const LineResult got = search(answering, input);
  ASSERT_EQ(got.kinks.size(), 1u);
  EXPECT_TRUE(at_most(std::abs(got.kinks[0].t - 0.52), 10 * 4e-10));  // 4 left-overs, slope 1
}

TEST(LineSearchTest, PiecesAreBetweenTheirKinks) {
  AnsweringLine answering{crowd(50, 1, 1.0, 3)};
  const LineResult got = search(answering);
  ASSERT_EQ(got.pieces.size(), got.kinks.size() + 1);
  for (std::size_t m = 0; m < got.pieces.size(); ++m) {
    EXPECT_LE(got.pieces[m].low, got.pieces[m].high);
    const double before = m == 0 ? got.low : got.kinks[m - 1].t;
    const double after = m == got.kinks.size() ? got.high : got.kinks[m].t;
    EXPECT_LT(before, got.pieces[m].fit.center);
    EXPECT_LT(got.pieces[m].fit.center, after);
  }
}

}  // namespace
}  // namespace crease
