// Planted rank-one matrices are found in the subspace that they span.
#include "src/stages/rank_one_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/numbers.hpp"
#include "src/stages/symmetric_span.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

HostMatrix unit_rows(Index m, Index d, std::uint64_t seed) {
  const HostMatrix drawn = normals(m, d, seed);
  HostMatrix rows(0, d);
  for (Index k = 0; k < m; ++k) {
    rows.append_row(unit_vector({drawn.row(k), drawn.row(k) + d}).data(), d);
  }
  return rows;
}

HostMatrix squares_of(const HostMatrix& directions) {
  const Index d = directions.cols();
  HostMatrix rows(0, d * (d + 1) / 2);
  for (Index k = 0; k < directions.rows(); ++k) {
    rows.append_row(symmetric_square(directions.row(k), d).data(), rows.cols());
  }
  return rows;
}

/// |P_W u u^T|_F^2 of every unit row u.
std::vector<double> scores_of(const HostMatrix& basis, const HostMatrix& directions) {
  const HostMatrix squares = squares_of(directions);
  std::vector<double> scores;
  for (Index i = 0; i < squares.rows(); ++i) {
    double score = 0;
    for (Index k = 0; k < basis.rows(); ++k) {
      score += std::pow(dot(basis.row(k), squares.row(i), basis.cols()), 2);
    }
    scores.push_back(score);
  }
  return scores;
}

/// Gram-Schmidt, twice.
HostMatrix orthonormal(HostMatrix rows) {
  const Index n = rows.cols();
  for (Index k = 0; k < rows.rows(); ++k) {
    for (Index i = 0; i < 2 * k; ++i) {
      const double along = dot(rows.row(k), rows.row(i % k), n);
      for (Index j = 0; j < n; ++j) rows(k, j) -= along * rows(i % k, j);
    }
    const double length = std::sqrt(dot(rows.row(k), rows.row(k), n));
    for (Index j = 0; j < n; ++j) rows(k, j) /= length;
  }
  return rows;
}

/// The largest of the smallest angles (their sines, about) of true directions to found ones.
double worst_angle(const HostMatrix& truth, const HostMatrix& found) {
  double worst = 0;
  for (Index i = 0; i < truth.rows(); ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    for (Index k = 0; k < found.rows(); ++k) {
      for (const double sign : {1.0, -1.0}) {
        double square = 0;
        for (Index j = 0; j < truth.cols(); ++j) {
          square += std::pow(truth(i, j) - sign * found(k, j), 2);
        }
        nearest = std::min(nearest, std::sqrt(square));
      }
    }
    worst = std::max(worst, nearest);
  }
  return worst;
}

/// Unit rows of which the first two are at that angle.
HostMatrix with_a_near_pair(Index m, Index d, double angle, std::uint64_t seed) {
  HostMatrix rows = unit_rows(m, d, seed);
  const double along = dot(rows.row(0), rows.row(1), d);
  for (Index j = 0; j < d; ++j) {
    const double aside = (rows(1, j) - along * rows(0, j)) / std::sqrt(1 - along * along);
    rows(1, j) = std::cos(angle) * rows(0, j) + std::sin(angle) * aside;
  }
  return rows;
}

class RankOneSearchTest : public EveryBackend {
 protected:
  RankOnes search(const HostMatrix& basis, Index wanted, const RankOnePlan& plan = {},
                  std::uint64_t seed = 2) {
    Random random(Seed{seed});
    return rank_one_search(device(), basis, wanted, random, plan);
  }

  void expect_all(const HostMatrix& truth, const RankOnePlan& plan = {}) {
    const Index m = truth.rows();
    const HostMatrix basis = orthonormal(squares_of(truth));
    const RankOnes found = search(basis, m, plan);
    ASSERT_EQ(found.directions.rows(), m);
    ASSERT_EQ(found.scores.size(), static_cast<std::size_t>(m));
    EXPECT_LT(worst_angle(truth, found.directions), 1e-9);
    const std::vector<double> scores = scores_of(basis, found.directions);
    for (std::size_t k = 0; k < scores.size(); ++k) {
      EXPECT_NEAR(scores[k], 1, 1e-12);
      EXPECT_NEAR(found.scores[k], scores[k], 1e-12);
      EXPECT_NEAR(dot(found.directions.row(static_cast<Index>(k)),
                      found.directions.row(static_cast<Index>(k)), truth.cols()),
                  1, 1e-14);
    }
  }
};
CREASE_ON_EVERY_BACKEND(RankOneSearchTest);

// Up to three times as many directions as dimensions, in subspaces of 20 of 55 and 60 of 210
// dimensions. They are known to rounding times the condition of the planted matrices.
TEST_P(RankOneSearchTest, FindsAllOfMoreDirectionsThanDimensions) {
  expect_all(unit_rows(20, 10, 1));
  expect_all(unit_rows(20, 20, 1));
  expect_all(unit_rows(60, 20, 1));
}

TEST_P(RankOneSearchTest, FindsOrthogonalOnesAndOne) {
  expect_all(orthonormal(normals(12, 12, 3)));
  expect_all(unit_rows(1, 6, 3));
  expect_all(HostMatrix{{-1}});
}

// Power alone gains half a percent an iteration here, and is still 3e-3 off after 600.
TEST_P(RankOneSearchTest, FindsBothOfANearlyParallelPair) {
  expect_all(with_a_near_pair(12, 10, 0.1, 5));
}

TEST_P(RankOneSearchTest, AscentFindsTheSame) {
  RankOnePlan plan;
  plan.method = RankOnePlan::Method::ascent;
  expect_all(unit_rows(10, 7, 1), plan);
  expect_all(with_a_near_pair(6, 6, 0.2, 5), plan);
}

// Noise of a subspace moves its maxima by about as much, and lowers their scores by its square.
TEST_P(RankOneSearchTest, ANoisySubspaceGivesTheNearestMaxima) {
  constexpr Index m = 15, d = 12;
  const HostMatrix truth = unit_rows(m, d, 1);
  HostMatrix rows = orthonormal(squares_of(truth));
  const HostMatrix noise = normals(m, rows.cols(), 9);
  for (Index i = 0; i < rows.size(); ++i) rows.data()[i] += 3e-3 * noise.data()[i];
  const HostMatrix basis = orthonormal(rows);
  RankOnePlan plan;
  plan.accept = 0;
  const RankOnes found = search(basis, m, plan);
  ASSERT_EQ(found.directions.rows(), m);
  EXPECT_LT(worst_angle(truth, found.directions), 0.03);
  EXPECT_GT(worst_angle(truth, found.directions), 1e-4);
  EXPECT_TRUE(std::is_sorted(found.scores.rbegin(), found.scores.rend()));
  EXPECT_GT(found.scores.back(), 0.99);
  EXPECT_LT(found.scores.front(), 1 - 1e-6);
}

// A random subspace holds no rank-one matrix; what comes back all the same are local maxima.
TEST_P(RankOneSearchTest, WithoutRankOneMatricesNothingIsAccepted) {
  const HostMatrix basis = orthonormal(normals(5, 36, 3));
  RankOnePlan plan;
  plan.rounds = 2;
  const RankOnes none = search(basis, 5, plan);
  EXPECT_EQ(none.directions.rows(), 0);
  EXPECT_EQ(none.directions.cols(), 8);
  EXPECT_TRUE(none.scores.empty());
  EXPECT_EQ(none.starts, 2 * 8 * 5 + 40 * 5);

  plan.accept = 0;
  plan.starts = 30;
  const RankOnes some = search(basis, 3, plan);
  ASSERT_EQ(some.directions.rows(), 3);
  EXPECT_EQ(some.starts, 60);
  for (Index k = 0; k < 3; ++k) {
    const double score = some.scores[static_cast<std::size_t>(k)];
    EXPECT_GT(score, 0);
    EXPECT_LT(score, 0.99);
    HostMatrix around(0, 8);
    const HostMatrix aside = normals(20, 8, 7);
    for (Index i = 0; i < 20; ++i) {
      std::vector<double> point(some.directions.row(k), some.directions.row(k) + 8);
      for (std::size_t j = 0; j < 8; ++j) point[j] += 1e-4 * aside(i, static_cast<Index>(j));
      around.append_row(unit_vector(point).data(), 8);
    }
    for (const double near : scores_of(basis, around)) EXPECT_LT(near, score);
  }
}

TEST_P(RankOneSearchTest, NearerThanMergeIsOne) {
  const HostMatrix truth = with_a_near_pair(6, 8, 0.1, 5);
  const HostMatrix basis = orthonormal(squares_of(truth));
  RankOnePlan plan;
  plan.merge = 0.2;
  plan.rounds = 1;
  EXPECT_EQ(search(basis, 6, plan).directions.rows(), 5);
  plan.merge = 0.05;
  EXPECT_EQ(search(basis, 6, plan).directions.rows(), 6);
  EXPECT_EQ(search(basis, 4, plan).directions.rows(), 4);
}

TEST_P(RankOneSearchTest, EndsWhereThoseWantedAreAccepted) {
  const HostMatrix basis = orthonormal(squares_of(unit_rows(5, 8, 1)));
  EXPECT_EQ(search(basis, 5).starts, 40);
  RankOnePlan best;
  best.accept = 0;  // a second round has nothing new
  EXPECT_EQ(search(basis, 5, best).starts, 80);
}

TEST_P(RankOneSearchTest, StopsBetweenRounds) {
  const HostMatrix basis = orthonormal(normals(5, 36, 3));
  int asked = 0;
  RankOnePlan plan;
  plan.starts = 7;
  plan.stop = [&] { return ++asked > 2; };
  EXPECT_EQ(search(basis, 5, plan).starts, 14);
  EXPECT_EQ(asked, 3);
  plan.stop = [] { return true; };
  const RankOnes none = search(basis, 5, plan);
  EXPECT_EQ(none.starts, 0);
  EXPECT_EQ(none.directions.rows(), 0);
}

TEST_P(RankOneSearchTest, AScoreIsASquaredLengthInTheSubspace) {
  const HostMatrix off_diagonal{{0, 1, 0}};  // of length 1; largest 1 / 2, at (1, +-1) / sqrt(2)
  RankOnePlan plan;
  plan.accept = 0;
  const RankOnes found = search(off_diagonal, 2, plan);
  ASSERT_EQ(found.scores.size(), 2U);
  for (const double score : found.scores) EXPECT_NEAR(score, 0.5, 1e-12);
}

TEST_P(RankOneSearchTest, WhatMakesNoSenseIsRefused) {
  const HostMatrix basis = orthonormal(squares_of(unit_rows(2, 3, 1)));
  EXPECT_THROW(search(HostMatrix(0, 6), 1), BadInput);
  EXPECT_THROW(search(HostMatrix(1, 5, 1.0), 1), BadInput);
  EXPECT_THROW(search(HostMatrix(1, 6, std::numeric_limits<double>::quiet_NaN()), 1), BadInput);
  EXPECT_THROW(search(basis, 0), BadInput);
  const auto with = [&](auto change) {
    RankOnePlan plan;
    change(plan);
    search(basis, 2, plan);
  };
  EXPECT_THROW(with([](RankOnePlan& plan) { plan.starts = -1; }), BadInput);
  EXPECT_THROW(with([](RankOnePlan& plan) { plan.rounds = 0; }), BadInput);
  EXPECT_THROW(with([](RankOnePlan& plan) { plan.iterations = -1; }), BadInput);
  EXPECT_THROW(with([](RankOnePlan& plan) { plan.accept = 1.5; }), BadInput);
  EXPECT_THROW(with([](RankOnePlan& plan) { plan.merge = 0; }), BadInput);
  EXPECT_THROW(with([](RankOnePlan& plan) { plan.gamma = 0; }), BadInput);
}

}  // namespace
}  // namespace crease
