// The design of fans: covariances by brute force, and steps that stay in their cells.
#include "src/stages/fan_design.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/hypothesis_of.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

/// (diag(1 / prior^2) + rows^T diag(1 / sigma^2) rows)^-1, column by column.
HostMatrix brute_force(const std::vector<double>& prior, const HostMatrix& rows,
                       const std::vector<double>& sigma) {
  const auto q = static_cast<Index>(prior.size());
  HostMatrix information(q, q);
  for (Index i = 0; i < q; ++i) {
    const double own = prior[static_cast<std::size_t>(i)];
    information(i, i) = 1 / (own * own);
    for (Index j = 0; j < q; ++j) {
      for (Index r = 0; r < rows.rows(); ++r) {
        const double s = sigma[static_cast<std::size_t>(r)];
        information(i, j) += rows(r, i) * rows(r, j) / (s * s);
      }
    }
  }
  HostMatrix out(q, q);
  for (Index j = 0; j < q; ++j) {
    std::vector<double> unit(static_cast<std::size_t>(q), 0.0);
    unit[static_cast<std::size_t>(j)] = 1;
    EXPECT_TRUE(solve_positive(information, unit));
    for (Index i = 0; i < q; ++i) out(i, j) = unit[static_cast<std::size_t>(i)];
  }
  return out;
}

TEST(FanDesignTest, RowsMakeTheCovarianceOfTheirInformation) {
  const std::vector<double> prior = {1, 2, 0.5, 1, 3};
  const HostMatrix rows = normals(12, 5, 1);
  std::vector<double> sigma;
  for (Index i = 0; i < 12; ++i) sigma.push_back(0.5 + 0.1 * static_cast<double>(i));
  FanDesign design(prior, {1, 1, 1, 1, 1});

  design.add(rows, sigma);

  const HostMatrix expected = brute_force(prior, rows, sigma);
  // 12 updates and a solve of condition below 1e3, each off by some 5 roundings an element.
  EXPECT_TRUE(
      at_most(distance(design.covariance(), expected), 12 * 5 * 1e3 * kRounding * norm(expected)));
}

TEST(FanDesignTest, GreedyTakesWhatHelpsMostAndNeverTwice) {
  FanDesign design({1, 1}, {0.1, 0.1});
  const double infinity = std::numeric_limits<double>::infinity();
  Greedy greedy(design, {{1, 0}, {1, 0}, {0, 1}, {0, 1}}, {0.5, 0.01, infinity, 0.2}, 1);

  EXPECT_EQ(greedy.next(0), 1);
  EXPECT_TRUE(design.good(0));
  EXPECT_EQ(greedy.next(0), 3);
  EXPECT_EQ(greedy.next(0), -1);  // 0 is good already, and the other one cannot be asked
  EXPECT_EQ(design.bad_neurons(2), (std::vector<Index>{1}));
}

/// After each choice the candidates' variances are those of the covariance as it is.
TEST(FanDesignTest, GreedyKeepsUpWithTheCovariance) {
  const HostMatrix rows = normals(30, 6, 2);
  const std::vector<double> prior(6, 1.0);
  const std::vector<double> sigma(30, 0.3);
  FanDesign design(prior, std::vector<double>(6, 1e-9));
  Greedy greedy(design, rows, sigma, 3);
  HostMatrix taken(0, 6);
  std::vector<double> of_taken;
  for (int n = 0; n < 5; ++n) {
    // Brute force: every group tried, by the sum over its rows taken singly.
    const HostMatrix c = brute_force(prior, taken, of_taken);
    Index best = -1;
    double best_score = 0;
    for (Index m = 0; m < 10; ++m) {
      double score = 0;
      bool used = false;
      for (Index g = 0; g < 3; ++g) {
        const double* row = rows.row(3 * m + g);
        double gain = 0;
        double variance = sigma[0] * sigma[0];
        for (Index i = 0; i < 6; ++i) {
          const double through = dot(c.row(i), row, 6);
          gain += through * through;
          variance += row[i] * through;
        }
        score += gain / variance;
        for (Index t = 0; t < taken.rows(); ++t) used = used || taken(t, 0) == row[0];
      }
      if (!used && score > best_score) {
        best_score = score;
        best = m;
      }
    }
    EXPECT_EQ(greedy.next(0), best) << n;
    for (Index g = 0; g < 3; ++g) {
      taken.append_row(rows.row(3 * best + g), 6);
      of_taken.push_back(sigma[0]);
    }
  }
}

class ChosenFansTest : public EveryBackend {
 protected:
  std::vector<WantedFan> choose(const Hypothesis& planes, FanDesign& design, Index most) {
    const Index d = planes.inputs;
    HostMatrix basis = normals(d, d, 51);
    DeviceMatrix on_device = upload(device(), basis);
    orthonormal_rows(device(), on_device);
    directions_ = std::make_shared<const HostMatrix>(download(device(), on_device));
    Random random{Seed{9}};
    DesignLimits limits;
    limits.most_fans = most;
    return choose_fans(device(), random, UnitNetwork(planes), planes,
                       relative_noise(kRounding, planes.outputs), directions_, limits, design);
  }

  /// No point of a fan is beyond a hyperplane that its centre is not beyond.
  void expect_inside(const Hypothesis& planes, const WantedFan& fan) {
    const Index d = planes.inputs;
    HostMatrix x(0, d);
    x.append_row(fan.center.data(), d);
    for (Index j = 0; j < d; ++j) {
      std::vector<double> point = fan.center;
      for (Index i = 0; i < d; ++i) {
        point[static_cast<std::size_t>(i)] +=
            fan.steps[static_cast<std::size_t>(j)] * (*fan.directions)(j, i);
      }
      x.append_row(point.data(), d);
    }
    const HostMatrix above = heights(device(), planes, x);
    for (Index j = 1; j < x.rows(); ++j) {
      for (Index i = 0; i < planes.neurons(); ++i) {
        EXPECT_GT(above(0, i) * above(j, i), 0) << "direction " << j << " neuron " << i;
      }
    }
  }

  std::shared_ptr<const HostMatrix> directions_;
};
CREASE_ON_EVERY_BACKEND(ChosenFansTest);

TEST_P(ChosenFansTest, FewBadNeuronsGetPairsOnBothSidesOfTheirHyperplanes) {
  const Index k = 8;
  const Hypothesis planes =
      hypothesis_of(planted_network(10, k, 1, 52), std::vector<double>(10, 0.0), 1e-12, 1e-12);
  std::vector<double> prior(static_cast<std::size_t>(k + 1), 1e-15);
  prior[3] = prior[6] = prior[8] = 1e-9;  // the linear part too, but nobody wants to know it
  std::vector<double> wanted(prior.size(), 1e-13);
  wanted[8] = 1;
  FanDesign design(prior, wanted);

  const std::vector<WantedFan> fans = choose(planes, design, 20);

  ASSERT_EQ(fans.size(), 4U);
  EXPECT_TRUE(design.all_good());
  for (std::size_t pair = 0; pair < 2; ++pair) {
    const WantedFan& one = fans[2 * pair];
    const WantedFan& other = fans[2 * pair + 1];
    EXPECT_TRUE(one.of_pair && other.of_pair);
    std::vector<std::size_t> differ;
    for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) {
      if (one.active[i] != other.active[i]) differ.push_back(i);
    }
    ASSERT_EQ(differ.size(), 1U);
    EXPECT_TRUE(differ[0] == 3 || differ[0] == 6);
  }
  for (const WantedFan& fan : fans) expect_inside(planes, fan);
}

TEST_P(ChosenFansTest, ManyBadNeuronsGetCellsAndNoStepLeavesItsCell) {
  for (const Index p : {1, 2}) {
    const Index k = 8;
    const Hypothesis planes =
        hypothesis_of(planted_network(10, k, p, 53), std::vector<double>(10, 0.0), 1e-12, 1e-12);
    FanDesign design(std::vector<double>(static_cast<std::size_t>(k + p), 1e-9),
                     std::vector<double>(static_cast<std::size_t>(k + p), 1e-13));

    const std::vector<WantedFan> fans = choose(planes, design, 20);

    ASSERT_GE(static_cast<Index>(fans.size()) * p, k + p);
    EXPECT_TRUE(design.all_good());
    for (const WantedFan& fan : fans) {
      EXPECT_FALSE(fan.of_pair);
      expect_inside(planes, fan);
    }
  }
}

TEST_P(ChosenFansTest, NothingIsChosenWhereAllIsGoodOrNothingMayBeAsked) {
  const Hypothesis planes =
      hypothesis_of(planted_network(5, 3, 1, 54), std::vector<double>(5, 0.0), 1e-12, 1e-12);
  FanDesign good(std::vector<double>(4, 1e-14), std::vector<double>(4, 1e-13));
  FanDesign bad(std::vector<double>(4, 1e-9), std::vector<double>(4, 1e-13));

  EXPECT_TRUE(choose(planes, good, 20).empty());
  EXPECT_TRUE(choose(planes, bad, 0).empty());
}

}  // namespace
}  // namespace crease
