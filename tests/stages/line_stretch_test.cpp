// Lines on which answers say something only here and there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/line_search.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnit = 16 * kRounding;

/// Answers a planted line where `speaks` says so.
struct Answering {
  BrokenLine f;
  std::function<bool(double t)> speaks;
  Index points = 0;
  Index rounds = 0;
  std::vector<double> asked = {};

  LineResult search(Index cells = 64, bool meetings_prove = true) {
    const AskLine ask = [this](const std::vector<double>& t) {
      ++rounds;
      LineAnswers answers;
      for (const double at : t) {
        ++points;
        asked.push_back(at);
        for (std::size_t o = 0; o < f.outputs(); ++o) {
          answers.values.push_back(speaks(at) ? f.at(at, o) : 0.0);
          answers.sigmas.push_back(speaks(at) ? kUnit * std::hypot(1, at) : kInfinity);
        }
      }
      return answers;
    };
    LineSearchInput input;
    input.cells = cells;
    input.told = true;
    input.meetings_prove = meetings_prove;
    Random random(Seed{1});
    return search_line(ask, static_cast<Index>(f.outputs()), input, {}, random);
  }
};

/// Kinks of R -> R^2.
BrokenLine kinks_at(std::vector<double> t) {
  BrokenLine f{std::move(t), {}, {0.3, -0.7}, {-0.2, 0.4}};
  for (std::size_t j = 0; j < f.t.size(); ++j) {
    const auto angle = static_cast<double>(j + 1);
    f.jump.push_back({std::cos(angle), std::sin(angle)});
  }
  return f;
}

void expect_kinks(const LineResult& got, const std::vector<double>& t) {
  ASSERT_EQ(got.kinks.size(), t.size());
  for (std::size_t j = 0; j < t.size(); ++j) {
    EXPECT_TRUE(got.kinks[j].exact);
    // Lines of jump 1 that are known to 10 of their deviations, each below 4 kUnit hypot(1, t).
    EXPECT_TRUE(at_most(std::abs(got.kinks[j].t - t[j]), 80 * kUnit * std::hypot(1, t[j])));
  }
}

TEST(LineStretchTest, KinksAreFoundWhereAnswersSaySomething) {
  Answering line{kinks_at({-30, -1.5, -0.4, 0.1, 0.7, 2.2, 40}),
                 [](double t) { return -3 < t && t < 5; }};
  const LineResult got = line.search();
  expect_kinks(got, {-1.5, -0.4, 0.1, 0.7, 2.2});
  // Both ends to a 2^-7 of the cell of the first grid they lie in, pi / 64 wide and 1 / 5 more.
  const double cell = 1.2 * 3.1416 / 64 / 128;
  EXPECT_LE(std::atan(got.low) - std::atan(-3), cell);
  EXPECT_GE(std::atan(got.low), std::atan(-3));
  EXPECT_LE(std::atan(5) - std::atan(got.high), cell);
  EXPECT_LT(got.high, 5);
  for (const Piece& piece : got.pieces) {
    ASSERT_EQ(piece.sigma.size(), 2u);
    EXPECT_GE(piece.sigma[0], kUnit);
    EXPECT_LT(piece.sigma[0], 1e3 * kUnit);
  }
}

TEST(LineStretchTest, AShortStretchIsCutUpAnew) {
  Answering line{kinks_at({-0.02, 0.01, 0.03}), [](double t) { return std::abs(t) < 0.08; }};
  const LineResult got = line.search();
  expect_kinks(got, {-0.02, 0.01, 0.03});
  EXPECT_LE(got.high, 0.08);
  EXPECT_GE(got.low, -0.08);
  const auto inside = [](double t) { return std::abs(t) < 0.08; };
  EXPECT_GE(std::count_if(line.asked.begin(), line.asked.end(), inside), 64);
}

TEST(LineStretchTest, AWholeLineThatSaysSomethingIsSearchedAsEver) {
  Answering told{kinks_at({-1.5, 0.1, 2.2}), [](double) { return true; }};
  const LineResult got = told.search();
  const AskLine plain = [&](const std::vector<double>& t) {
    LineAnswers answers;
    for (const double at : t) {
      for (std::size_t o = 0; o < 2; ++o) {
        answers.values.push_back(told.f.at(at, o));
        answers.sigmas.push_back(kUnit * std::hypot(1, at));
      }
    }
    return answers;
  };
  Random random(Seed{1});
  const LineResult expected = search_line(plain, 2, {}, {}, random);
  EXPECT_EQ(got.points, expected.points);
  ASSERT_EQ(got.kinks.size(), expected.kinks.size());
  for (std::size_t j = 0; j < got.kinks.size(); ++j) {
    EXPECT_EQ(got.kinks[j].t, expected.kinks[j].t);
  }
  EXPECT_TRUE(expected.pieces.front().sigma.empty());
}

TEST(LineStretchTest, AStretchThatLeavesOutTheMiddleIsSearchedToo) {
  Answering line{kinks_at({2, 3}), [](double t) { return 1 < t && t < 8; }};
  const LineResult got = line.search();
  expect_kinks(got, {2, 3});
  EXPECT_GE(got.low, 1);
}

TEST(LineStretchTest, ALineThatSaysNothingGivesNoPiece) {
  Answering nothing{kinks_at({0.5}), [](double) { return false; }};
  const LineResult got = nothing.search();
  EXPECT_TRUE(got.pieces.empty());
  EXPECT_EQ(got.scale.size(), 2u);
  EXPECT_EQ(got.slope_range.size(), 2u);
  EXPECT_EQ(nothing.points, 65);
  // One point alone, which bisection does not widen.
  Answering single{kinks_at({0.5}), {}};
  double only = kInfinity;
  single.speaks = [&](double t) {
    if (only == kInfinity && t > 0.2) only = t;
    return t == only;
  };
  EXPECT_TRUE(single.search().pieces.empty());
  EXPECT_LE(single.points, 65 + 2 * kBisections);
}

TEST(LineStretchTest, AHoleWithinTheStretchSettlesItsCellAndIsNotAskedAgain) {
  // The kink at .1 hides in a hole that the first grid does not meet.
  Answering line{kinks_at({-1.5, 0.1, 2.2}), {}};
  const double low = 0.0999;
  const double high = 0.1001;
  line.speaks = [=](double t) { return t < low || t > high; };
  const LineResult got = line.search();
  ASSERT_EQ(got.kinks.size(), 3u);
  EXPECT_TRUE(got.kinks[0].exact);
  EXPECT_TRUE(got.kinks[2].exact);
  EXPECT_LE(got.kinks[1].low, low);
  EXPECT_GE(got.kinks[1].high, high);
  const auto in_hole = [=](double t) { return low <= t && t <= high; };
  EXPECT_LE(std::count_if(line.asked.begin(), line.asked.end(), in_hole), 4);
}

TEST(LineStretchTest, OutputsThatAddUpToNothingDoNotProveByMeeting) {
  // Two kinks in one cell between straight points: in (z, -z) their lines meet as one kink would.
  Answering line{BrokenLine{{0.2}, {{1, -1}}, {0.3, -0.3}, {-0.2, 0.2}},
                 [](double) { return true; }};
  const LineResult got = line.search(64, false);
  expect_kinks(got, {0.2});
  // Proven by a flank pair: two points within a millionth of the kink.
  const auto near = [](double t) { return std::abs(t - 0.2) < 1e-6; };
  EXPECT_GE(std::count_if(line.asked.begin(), line.asked.end(), near), 2);
}

}  // namespace
}  // namespace crease
