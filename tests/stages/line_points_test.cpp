// The points of a line search: where they lie, what they cost, and the noise of their answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "src/stages/line_search.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/answering_line.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

TEST(LineSearchTest, AStraightLineCostsItsGrid) {
  AnsweringLine answering{BrokenLine{{}, {}, {0.7, -2}, {0.1, 30}}};
  const LineResult got = search(answering);
  EXPECT_TRUE(got.kinks.empty());
  ASSERT_EQ(got.pieces.size(), 1u);
  EXPECT_EQ(answering.points, 65);
  EXPECT_EQ(got.points, 65);
  EXPECT_EQ(answering.rounds.size(), 1u);
  EXPECT_EQ(got.pieces[0].low, got.low);
  EXPECT_EQ(got.pieces[0].high, got.high);
}

TEST(LineSearchTest, TheGridReachesAsFarAsThePlanSays) {
  AnsweringLine answering{BrokenLine{{}, {}, {1}, {0}}, kRounded, 3.0};
  const LineResult got = search(answering, 16);
  // tan and atan of a point that far out lose reach * eps.
  EXPECT_NEAR(got.high, 3000, 3000 * 1000 * 4 * kRounding);
  EXPECT_NEAR(got.low, -3000, 3000 * 1000 * 4 * kRounding);
  // Uniform in angle, jitter a tenth of a cell: no two neighbours further apart than 1.2 cells.
  const std::vector<double>& t = answering.rounds[0];
  const double cell = 2 * std::atan(1000.0) / 16;
  for (std::size_t i = 0; i + 1 < t.size(); ++i) {
    const double angle = std::atan(t[i + 1] / 3) - std::atan(t[i] / 3);
    EXPECT_GE(angle, 0.8 * cell * (1 - 16 * kRounding));
    EXPECT_LE(angle, 1.2 * cell * (1 + 16 * kRounding));
  }
}

TEST(LineSearchTest, AConstantAndAZeroEndAfterOneRoundEvenWithoutNoise) {
  for (const double value : {0.0, 0.1}) {
    for (const double unit : {0.0, kRounded}) {
      AnsweringLine answering{BrokenLine{{}, {}, {0}, {value}}, unit};
      const LineResult got = search(answering);
      EXPECT_EQ(answering.points, 65) << value << " " << unit;
      EXPECT_TRUE(got.kinks.empty());
      ASSERT_EQ(got.pieces.size(), 1u);
      if (unit == 0) continue;  // then the slope is only known to be straight
      EXPECT_TRUE(
          at_most(std::abs(got.pieces[0].fit.slope[0]), 10 * got.pieces[0].fit.slope_sd[0]));
    }
  }
}

TEST(LineSearchTest, OneOutputTakesAboutSixPointsAKink) {
  // Measured by the specification: 5.9 to 6.1 on 500 kinks, grid included.
  AnsweringLine answering{crowd(500, 1, 3.0, 9), 8 * kRounded, 3.0};
  expect_found(search(answering), answering.f);
  EXPECT_LE(static_cast<double>(answering.points), 6.5 * 500);
}

TEST(LineSearchTest, NoPointIsAskedWhereTwoUnverifiedCellsPredictTheKink) {
  // It would be collinear with both by construction. In the round after the grid: no proposal may
  // lie where the lines through the neighbouring pairs of grid points cross.
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    AnsweringLine answering{crowd(60, 1, 1.0, seed)};
    search(answering, 64, seed);
    std::vector<double> known;
    for (std::size_t round = 0; round + 1 < 4; ++round) {
      known.insert(known.end(), answering.rounds[round].begin(), answering.rounds[round].end());
      std::sort(known.begin(), known.end());
      for (const double asked : answering.rounds[round + 1]) {
        const auto i = static_cast<std::size_t>(
            std::upper_bound(known.begin(), known.end(), asked) - known.begin());
        if (i < 2 || i + 1 >= known.size()) continue;
        const auto value = [&](std::size_t at) { return answering.f.at(known[at], 0); };
        const double left = (value(i - 1) - value(i - 2)) / (known[i - 1] - known[i - 2]);
        const double right = (value(i + 1) - value(i)) / (known[i + 1] - known[i]);
        const double crossing =
            (value(i) - right * known[i] - value(i - 1) + left * known[i - 1]) / (left - right);
        if (!(crossing > known[i - 1] && crossing < known[i])) continue;
        // Flank pairs of verified lines stand 1e-7 of the gap away.
        EXPECT_GT(std::abs(asked - crossing), 1e-9 * (known[i] - known[i - 1]));
      }
    }
  }
}

TEST(LineSearchTest, FiveOutputsTakeAboutThreePointsAKinkAndTwoMoreToFlankIt) {
  // The specification measured 2.6 to 3.3 without flanks. 500 jumps of random sign add up to slopes
  // of about 25: the rounding of the answers is as much larger.
  for (const bool flank : {false, true}) {
    AnsweringLine answering{crowd(500, 5, 3.0, 9), 8 * kRounded, 3.0};
    QueryPlan plan;
    plan.flank_every_kink = flank;
    LineSearchInput input;
    input.scale = 3.0;
    expect_found(search(answering, input, plan), answering.f);
    EXPECT_LE(static_cast<double>(answering.points), (flank ? 5.3 : 3.3) * 500);
  }
}

TEST(LineSearchTest, RealNoiseIsNoKink) {
  // Uniform noise of at most 3 sigma: ten sigmas are never reached.
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    for (const double unit : {1e-6, 1e-9, 1e-12}) {
      SCOPED_TRACE(unit);
      AnsweringLine answering{crowd(10, 1, 1.0, seed, 0.05), unit};
      answering.blur = 3;
      expect_found(search(answering, 64, seed), answering.f);
      EXPECT_LE(answering.points, 65 + 10 * 20);
    }
  }
}

TEST(LineSearchTest, NoiseThatWasUnderestimatedDoesNotBuyAnEndlessSearch) {
  // The real noise is 1000 sigmas: every cell is bent, and a round can double their number. The
  // noise is raised from round 10 on, and the search ends.
  AnsweringLine answering{crowd(5, 1, 1.0, 3, 0.1), 1e-13};
  answering.blur = 1000;
  const LineResult got = search(answering);
  EXPECT_LE(answering.points, 65 << 10);
  EXPECT_LE(got.kinks.size(), 100u);
}

TEST(LineSearchTest, NeitherPointsNorRoundsExceedThePlan) {
  QueryPlan plan;
  plan.line_points = 200;
  LineSearchInput input;
  AnsweringLine answering{crowd(300, 1, 1.0, 2)};
  search(answering, input, plan);
  EXPECT_LE(answering.points, 200);
  plan = {};
  plan.line_rounds = 3;
  AnsweringLine hurried{crowd(300, 1, 1.0, 2)};
  search(hurried, input, plan);
  EXPECT_LE(hurried.rounds.size(), 1u + 3u);
}

TEST(LineSearchTest, AFunctionThatIsNowhereStraightEndsWithoutItsPiecesLongBeforeThePlan) {
  Index points = 0;
  const AskLine sine = [&](const std::vector<double>& t) {
    LineAnswers answers;
    for (const double where : t) {
      answers.values.push_back(std::sin(where));
      answers.sigmas.push_back(kRounded);
    }
    points += static_cast<Index>(t.size());
    return answers;
  };
  Random random(Seed{1});
  const LineResult got = search_line(sine, 1, {}, {}, random);
  const auto pieces = static_cast<Index>(got.pieces.size());
  EXPECT_LE(points, kPointsWithoutPieces + kPointsPerPiece * pieces);
  EXPECT_LT(points, QueryPlan{}.line_points / 4);
}

TEST(LineSearchTest, ThousandsOfKinksAreFoundWithinTheirPrice) {
  AnsweringLine answering{crowd(4000, 1, 1.0, 4, 1e-5)};
  const LineResult got = search(answering);
  EXPECT_EQ(got.kinks.size(), 4000u);
}

TEST(LineSearchTest, AnswersThatAreEnoughEndTheSearch) {
  AnsweringLine answering{crowd(100, 1, 1.0, 8)};
  const AskLine all = answering.ask();
  std::size_t rounds = 0;
  const AskLine ask = [&](const std::vector<double>& t) {
    LineAnswers answers = all(t);
    answers.enough = ++rounds == 3;
    return answers;
  };
  Random random(Seed{1});
  search_line(ask, 1, {}, {}, random);
  EXPECT_EQ(rounds, 3u);
}

TEST(LineSearchTest, NoPointIsAskedTwiceAndEveryBatchIsSorted) {
  AnsweringLine answering{crowd(100, 1, 1.0, 8)};
  search(answering);
  std::set<double> seen;
  for (const std::vector<double>& round : answering.rounds) {
    EXPECT_TRUE(std::is_sorted(round.begin(), round.end()));
    for (const double t : round) EXPECT_TRUE(seen.insert(t).second) << t;
  }
}

TEST(LineSearchTest, TheSameSeedAsksTheSamePoints) {
  AnsweringLine first{crowd(20, 2, 1.0, 8)};
  AnsweringLine second = first;
  AnsweringLine other = first;
  search(first, 64, 4);
  search(second, 64, 4);
  search(other, 64, 5);
  EXPECT_EQ(first.rounds, second.rounds);
  EXPECT_NE(first.rounds, other.rounds);
}

}  // namespace
}  // namespace crease
