// Points deep inside cells, points on hyperplanes, patterns, and weighted least squares.
#include "src/stages/cells.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

class CellsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(CellsTest);

/// The network's own hyperplanes, as exact measurements at the origin give them.
Hypothesis known(const ReluNetwork& network) {
  Hypothesis hypothesis(network.inputs(), network.outputs());
  hypothesis.base.assign(static_cast<std::size_t>(network.inputs()), 0.0);
  hypothesis.gradient = exact_gradient(network, hypothesis.base);
  for (Index j = 0; j < network.neurons(); ++j) {
    std::vector<double> scale;
    for (Index o = 0; o < network.outputs(); ++o) scale.push_back(network.output(o, j));
    hypothesis.add(row_of(network.weights, j), network.bias(j, 0), scale, 0, 0);
  }
  return hypothesis;
}

/// Hyperplanes x0 = 1, x0 = 1 + gap and x1 = -2 in the plane.
Hypothesis slab(double gap) {
  Hypothesis planes(2, 1);
  planes.base = {0, 0};
  planes.add({1, 0}, -1, {2}, 0, 0);
  planes.add({1, 0}, -1 - gap, {-3}, 0, 0);
  planes.add({0, -1}, -2, {0.5}, 0, 0);
  return planes;
}

double margin(const CellPoints& cells, Index i) {
  double least = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < cells.above.cols(); ++j) {
    least = std::min(least, std::abs(cells.above(i, j)));
  }
  const double* x = cells.points.row(i);
  return least / std::sqrt(1 + dot(x, x, cells.points.cols()));
}

TEST_P(CellsTest, HeightsAreSignedDistances) {
  const HostMatrix got = heights(device(), slab(0.5), HostMatrix{{3, 4}, {1, -3}});
  EXPECT_TRUE(same_bits(got, HostMatrix{{2, 1.5, -6}, {0, -0.5, 1}}));
}

TEST_P(CellsTest, APatternHoldsTheSignsOfTheActiveNeuronsAndOne) {
  const HostMatrix got = patterns(slab(0.5), HostMatrix{{2, 1.5, -6}, {0, -0.5, 1}});
  EXPECT_TRUE(same_bits(got, HostMatrix{{1, -1, 0, 1}, {0, 0, 1, 1}}));
}

TEST_P(CellsTest, PatternsTimesNeuronsAreTheGradientsOfEveryOutput) {
  const Index d = 5, k = 7, p = 3, n = 9;
  const ReluNetwork network = planted_network(d, k, p, 3);
  const Hypothesis hypothesis = known(network);
  const HostMatrix x = normals(n, d, 8);
  const HostMatrix rows = patterns(hypothesis, heights(device(), hypothesis, x));
  ASSERT_EQ(rows.rows(), n * p);
  ASSERT_EQ(rows.cols(), k + p);
  HostMatrix unknown(0, d);
  for (Index j = 0; j < k; ++j) {
    const double* scale = hypothesis.scales.row(j);
    std::vector<double> w = row_of(hypothesis.normals, j);
    for (double& value : w) value *= std::sqrt(dot(scale, scale, p));
    unknown.append_row(w.data(), d);
  }
  for (Index o = 0; o < p; ++o) unknown.append_row(hypothesis.gradient.row(o), d);
  const Sums got = product(rows, unknown);
  for (Index i = 0; i < n; ++i) {
    const HostMatrix expected = exact_gradient(network, row_of(x, i));
    for (Index o = 0; o < p; ++o) {
      for (Index c = 0; c < d; ++c) {
        // Every term was rounded on its way through a unit normal, a length and a direction: d + p
        // products and their roots.
        EXPECT_TRUE(
            at_most(std::abs(got.value(i * p + o, c) - expected(o, c)),
                    2 * static_cast<double>(d + p + 8) * 2 * kRounding * got.terms(i * p + o, c)));
      }
    }
  }
}

TEST_P(CellsTest, DeepPointsLieDeeperThanTheirStartsInTheSameCells) {
  const Hypothesis planes = known(planted_network(6, 20, 1, 4));
  CellSearch none;
  none.steps = 0;
  Random first({5}), second({5});
  const CellPoints starts = deep_points(device(), first, planes, 200, {}, none);
  const CellPoints deep = deep_points(device(), second, planes, 200, {});
  ASSERT_EQ(deep.points.rows(), 200);
  EXPECT_TRUE(same_bits(deep.above, heights(device(), planes, deep.points)));
  std::vector<double> gain;
  for (Index i = 0; i < 200; ++i) {
    for (Index j = 0; j < 20; ++j) EXPECT_EQ(starts.above(i, j) > 0, deep.above(i, j) > 0);
    // The heights it walked by were rounded a few times a step, and so is this margin.
    EXPECT_GE(margin(deep, i), margin(starts, i) - 150 * 20 * kRounding);
    gain.push_back(margin(deep, i) / margin(starts, i));
  }
  EXPECT_GT(median(gain), 1);  // most of them truly deeper
}

TEST_P(CellsTest, PointsBesideAPlaneFindTheThinCellsThatOthersMiss) {
  const Hypothesis planes = slab(1e-6);
  const auto inside = [](const CellPoints& cells) {
    Index count = 0;
    for (Index i = 0; i < cells.above.rows(); ++i) {
      if (cells.above(i, 0) > 0 && cells.above(i, 1) < 0) ++count;
    }
    return count;
  };
  Random first({6}), second({6});
  EXPECT_EQ(inside(deep_points(device(), first, planes, 60, {})), 0);
  const CellPoints beside = deep_points(device(), second, planes, 60, {0, 1, 2});
  EXPECT_GT(inside(beside), 0);
  for (Index i = 0; i < 60; ++i) EXPECT_GT(margin(beside, i), 0);
}

TEST_P(CellsTest, PointsOnAPlaneLieOnItAndFarFromAllOthers) {
  const Hypothesis planes = known(planted_network(8, 12, 1, 9));
  for (const Index j : {0, 7, 11}) {
    Random random({11});
    const CellPoints on = points_on_plane(device(), random, planes, j, 64, 4);
    ASSERT_EQ(on.points.rows(), 4);
    double before = std::numeric_limits<double>::infinity();
    for (Index i = 0; i < 4; ++i) {
      double least = std::numeric_limits<double>::infinity();
      double terms = std::abs(planes.bias[static_cast<std::size_t>(j)]);
      for (Index c = 0; c < 8; ++c) {
        terms += std::abs(planes.normals(j, c)) * std::abs(on.points(i, c));
      }
      for (Index r = 0; r < 12; ++r) {
        if (r != j) least = std::min(least, std::abs(on.above(i, r)));
      }
      // Some 300 moves, each rounded twice, and the heights of the end.
      EXPECT_TRUE(
          at_most(std::abs(on.above(i, j)), 2 * (300 + 8 + 12) * 2 * kRounding * terms * 5));
      const double* x = on.points.row(i);
      const double depth = least / std::sqrt(1 + dot(x, x, 8));
      EXPECT_LE(depth, before + 1e3 * kRounding);
      before = depth;
      if (i == 0) {
        EXPECT_GT(depth, 0.02);
      }
    }
  }
}

TEST_P(CellsTest, OneNeuronAndNone) {
  Random random({1});
  Hypothesis planes(3, 1);
  planes.base = {0, 0, 0};
  const CellPoints nothing = deep_points(device(), random, planes, 5, {});
  EXPECT_EQ(nothing.points.rows(), 5);
  EXPECT_EQ(nothing.above.cols(), 0);
  EXPECT_TRUE(same_bits(patterns(planes, nothing.above), HostMatrix(5, 1, 1.0)));
  planes.add({0, 0, 2}, -1, {1}, 0, 0);
  const CellPoints one = deep_points(device(), random, planes, 6, {0});
  EXPECT_EQ(one.above.rows(), 6);
  const CellPoints on = points_on_plane(device(), random, planes, 0, 3, 2);
  ASSERT_EQ(on.points.rows(), 2);
  EXPECT_NEAR(on.points(0, 2), 0.5, 4 * kRounding);
  EXPECT_THROW(points_on_plane(device(), random, planes, 1, 3, 2), BadInput);
}

TEST_P(CellsTest, AWeightedFitWeighsItsRows) {
  // u = 1 with sigma 1, u = 4 with sigma 1/2: (1 + 4 * 4) / 5, variance 1 / 5.
  const WeightedFit fit(device(), HostMatrix{{1}, {1}}, {1, 0.5}, {1});
  const HostMatrix got = fit.solve(HostMatrix{{1}, {4}});
  EXPECT_NEAR(got(0, 0), 3.4, 20 * kRounding);
  EXPECT_NEAR(fit.covariance()(0, 0), 0.2, 4 * kRounding);
  EXPECT_NEAR(fit.conditioning(), 1, 4 * kRounding);
}

TEST_P(CellsTest, AWeightedFitOfSeveralRightHandSidesSolvesEach) {
  const HostMatrix a = normals(9, 4, 1);
  const HostMatrix u = normals(4, 3, 2);
  const Sums right = product(a, u);
  const WeightedFit fit(device(), a, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 10, 0.1, 3});
  EXPECT_GT(fit.conditioning(), 0);
  const HostMatrix got = fit.solve(right.value);
  // Backward error of a decomposition of 9 x 4 numbers, times the condition.
  EXPECT_TRUE(at_most(distance(got, u), 100 * 9 * 4 * kRounding / fit.conditioning() * norm(u)));
}

TEST_P(CellsTest, WhatTheRowsDoNotDetermineHasTheLeastNorm) {
  const WeightedFit fit(device(), HostMatrix{{1, 1}, {2, 2}}, {1, 1}, {1, 1});
  const HostMatrix got = fit.solve(HostMatrix{{2}, {4}});
  EXPECT_NEAR(got(0, 0), 1, 30 * kRounding);
  EXPECT_NEAR(got(1, 0), 1, 30 * kRounding);
  EXPECT_TRUE(at_most(fit.conditioning(), 1e-13));
  const WeightedFit few(device(), HostMatrix{{1, 0, 0}}, {1}, {1, 1, 1});
  EXPECT_EQ(few.conditioning(), 0);
  EXPECT_TRUE(same_bits(few.solve(HostMatrix{{3}}), HostMatrix{{3}, {0}, {0}}));
}

}  // namespace
}  // namespace crease
