// Kinks of a residual line among hundreds of known hyperplanes, looked at from nearby.
#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/gradients.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr double kUnit = 1e-15;

/// In R^2 along the first axis: hyperplanes x0 = t, F a sum of hinges there with slope changes
/// `jump`. Those of `known` are known, the others are what the residual is made of.
struct Plane {
  double t;
  double jump;
  bool known = false;
};

class CrowdedTest : public testing::Test {
 protected:
  CrowdedTest() : known(2, 1) { known.base = {-1000, 0}; }

  void add(const Plane& plane, double error = 0) {
    if (plane.known) {
      known.add({1, 0}, -plane.t, {plane.jump}, error, error);
      return;
    }
    residual.t.push_back(plane.t);
    residual.jump.push_back({plane.jump});
  }

  MeasuredPieces prepare() {
    residual.slope = {0};
    residual.value = {0};
    line = perfect_line(residual, {0, 0}, {1, 0}, kUnit);
    line.of_residual = true;
    return prepare_pieces(line, relative_noise(kUnit, 1), plan, &known);
  }

  /// The residual as it really is: `real` where that is given.
  MeasuredPieces localized(double tolerance, const BrokenLine* real = nullptr) {
    MeasuredPieces pieces = prepare();
    const BrokenLine truth = real != nullptr ? *real : residual;
    const AskLine ask = [this, truth](const std::vector<double>& t) {
      LineAnswers answers;
      for (const double at : t) {
        answers.values.push_back(truth.at(at, 0));
        answers.sigmas.push_back(kUnit * line.rho(at));
      }
      asked += t.size();
      return answers;
    };
    localize_crowded_kinks(ask, line, relative_noise(kUnit, 1), known, {tolerance}, plan, pieces);
    return pieces;
  }

  Hypothesis known;
  BrokenLine residual;
  SearchedLine line;
  QueryPlan plan;
  std::size_t asked = 0;
};

TEST_F(CrowdedTest, ExactNeighboursAreNoCrowd) {
  for (double t = -5; t < 5; t += 0.1) add({t + 0.05, 1, true});
  add({-1, 1});
  add({2, 1});
  const MeasuredPieces pieces = localized(1e-8);
  EXPECT_EQ(pieces.size(), 3u);
  EXPECT_TRUE(pieces.seam.empty());
  EXPECT_EQ(asked, 0u);
}

TEST_F(CrowdedTest, ACrowdedKinkGetsTwoPiecesBetweenItsNeighbours) {
  for (int i = -50; i < 50; ++i) add({0.1 * i + 0.05, 1, true}, 1e-6);
  add({-1, 1});
  add({2, 3});
  const MeasuredPieces pieces = localized(1e-8);
  EXPECT_EQ(asked, 12u) << "six a kink";
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces.seam, (std::vector<bool>{false, true, false}));
  EXPECT_EQ(pieces.local, std::vector<bool>(4, true));
  // t to within the noise of both lines over the jump: the lines start 0.05 / 2 away from the kink
  // and their slopes come from points 0.45 * 0.05 apart, so each is off by less than 3 sigma there;
  // ten of those, over a jump of 1 or 3. sigma < 1e-15 * 3.
  const double noise = 10 * 2 * 3 * 3e-15;
  EXPECT_NEAR(pieces.kinks[0].t, -1, noise);
  EXPECT_NEAR(pieces.kinks[2].t, 2, noise);
  EXPECT_NEAR(pieces.kinks[0].jump[0], 1, noise / 0.0225);
  EXPECT_NEAR(pieces.kinks[2].jump[0], 3, noise / 0.0225);
  for (std::size_t m = 0; m < 4; ++m) {
    // from the kink to the next known hyperplane, less ten of its standard deviations
    const double kink = m < 2 ? -1 : 2;
    EXPECT_GE(pieces.pieces[m].low, kink - 0.05);
    EXPECT_LE(pieces.pieces[m].high, kink + 0.05);
    EXPECT_GT(pieces.half_width[m], 0.02);
    EXPECT_LT(pieces.half_width[m], 0.026);
  }
}

TEST_F(CrowdedTest, TwoKinksThatLookedLikeOneAreLeftOut) {
  for (int i = -50; i < 50; ++i) add({0.1 * i + 0.05, 1, true}, 1e-6);
  add({-1, 2});
  add({2, 3});
  // Really two kinks 1e-7 apart stand for the first: far within the known hyperplanes' errors, far
  // beyond the noise.
  BrokenLine real{{-1 - 5e-8, -1 + 5e-8, 2}, {{1}, {1}, {3}}, {0}, {0}};
  const MeasuredPieces pieces = localized(1e-8, &real);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces.kinks.size(), 1u);
  EXPECT_NEAR(pieces.kinks[0].t, 2, 1e-12);
}

TEST_F(CrowdedTest, AKnownNeuronThatIsWrongIsNoObstacleToTakingItBack) {
  for (int i = -50; i < 50; ++i) add({0.1 * i + 0.05, 1, true}, 1e-6);
  add({0.0, 2, true}, 1e-6);  // F has nothing there, so the residual has -2
  add({0.0, -2});
  const MeasuredPieces pieces = localized(1e-8);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_NEAR(pieces.kinks[0].jump[0], -2, 1e-10);
  EXPECT_GT(pieces.half_width[0], 0.02);
}

TEST_F(CrowdedTest, TheLastTryTakesWhatThereIs) {
  for (int i = -50; i < 50; ++i) add({0.1 * i + 0.05, 1, true}, 1e-6);
  add({-1, 1});
  EXPECT_EQ(localized(1).size(), 2u);
  EXPECT_EQ(asked, 0u);
}

}  // namespace
}  // namespace crease
