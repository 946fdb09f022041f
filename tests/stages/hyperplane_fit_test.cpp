#include "src/stages/hyperplane_fit.hpp"

#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr Index kBytes = Index{1} << 26;

/// A planted network, noisy answers at Gaussian points, and hyperplanes that are turned.
class HyperplaneFitTest : public EveryBackend {
 protected:
  void plant(Index d, Index k, Index p, Index n, double sigma, std::uint64_t seed = 3) {
    truth_ = planted_network(d, k, p, seed);
    planes_ = hyperplanes_of(truth_);
    sigma_ = sigma;
    host_x_ = normals(n, d, seed + 100);
    answer();
  }

  void answer() {
    host_y_ = exact_values(truth_, host_x_);
    const HostMatrix noise = normals(host_y_.rows(), host_y_.cols(), 77);
    for (Index i = 0; i < host_y_.size(); ++i) host_y_.data()[i] += sigma_ * noise.data()[i];
    x_ = upload(device(), host_x_);
    y_ = upload(device(), host_y_);
  }

  FitRows rows() { return {x_, y_}; }

  /// Normals turned by `turn` (tan of the angle), offsets moved by as much times normals.
  Hyperplanes turned(double turn, std::uint64_t seed = 9) {
    Hyperplanes start(planes_.inputs(), planes_.outputs());
    const HostMatrix away = normals(planes_.neurons(), planes_.inputs() + 1, seed);
    for (Index i = 0; i < planes_.neurons(); ++i) {
      double length = 0;
      for (Index j = 0; j < planes_.inputs(); ++j) length += away(i, j) * away(i, j);
      length = std::sqrt(length);
      std::vector<double> normal;
      for (Index j = 0; j < planes_.inputs(); ++j) {
        normal.push_back(planes_.planes(i, j) + turn * away(i, j) / length);
      }
      start.add(normal, planes_.planes(i, planes_.inputs()) + turn * away(i, planes_.inputs()));
    }
    return start;
  }

  HyperplaneFitPlan plan(Index dense) const {
    HyperplaneFitPlan plan;
    plan.noise = sigma_;
    plan.dense_unknowns = dense;
    return plan;
  }

  /// Parameters: hyperplanes have d numbers, scales p, the linear part p (d + 1).
  Index parameters() const {
    return planes_.neurons() * (planes_.inputs() + planes_.outputs()) +
           planes_.outputs() * (planes_.inputs() + 1);
  }

  /// Least squares leave a residual of variance sigma^2 (1 - P / N), relative standard deviation of
  /// its root 1 / sqrt(2 (N - P)); 5 of those. Fresh points show sigma^2 (1 + P / (N - P - 1)),
  /// where both the points and the P parameters' errors vary.
  void expect_at_floor(const HyperplaneFit& fit) {
    const auto equations = static_cast<double>(host_y_.size());
    const auto unknowns = static_cast<double>(parameters());
    const double left = std::sqrt(1 - unknowns / equations);
    EXPECT_TRUE(at_most(fit.rms, sigma_ * left * (1 + 5 / std::sqrt(2 * (equations - unknowns)))));
    const HostMatrix fresh = normals(400, host_x_.cols(), 555);
    HostMatrix values = exact_values(truth_, fresh);
    const HostMatrix noise = normals(values.rows(), values.cols(), 556);
    for (Index i = 0; i < values.size(); ++i) values.data()[i] += sigma_ * noise.data()[i];
    const DeviceMatrix x = upload(device(), fresh);
    const DeviceMatrix y = upload(device(), values);
    const double floor = sigma_ * std::sqrt(1 + unknowns / (equations - unknowns - 1));
    const double spread =
        5 * std::sqrt(1 / (2.0 * static_cast<double>(values.size())) + 1 / (2 * unknowns));
    EXPECT_TRUE(at_most(residual_rms(device(), {x, y}, fit.network), floor * (1 + spread)));
  }

  ReluNetwork truth_;
  Hyperplanes planes_;
  double sigma_ = 0;
  HostMatrix host_x_, host_y_;
  DeviceMatrix x_, y_;
};

CREASE_ON_EVERY_BACKEND(HyperplaneFitTest);

TEST_P(HyperplaneFitTest, HyperplanesTurnedByATenthComeBackToTheNoise) {
  plant(6, 8, 1, 4 * 63, 1e-6);
  for (const Index dense : {Index{0}, Index{300}}) {
    const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.1), plan(dense));

    EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
    EXPECT_EQ(fit.cg_iterations == 0, dense > 0);
    expect_at_floor(fit);
  }
}

TEST_P(HyperplaneFitTest, HyperplanesTurnedByThreeTenthsComeBackToTheNoise) {
  plant(10, 16, 1, 4 * 187, 1e-6);
  for (const Index dense : {Index{0}, Index{300}}) {
    expect_at_floor(fit_hyperplanes(device(), rows(), turned(.3), plan(dense)));
  }
}

TEST_P(HyperplaneFitTest, SeveralOutputsShareTheirHyperplanes) {
  plant(8, 12, 3, 800, 1e-6);
  for (const Index dense : {Index{0}, Index{300}}) {
    const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.2), plan(dense));

    EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
    expect_at_floor(fit);
  }
}

TEST_P(HyperplaneFitTest, AMissingNeuronIsReplacedByARandomOne) {
  plant(10, 16, 1, 4 * 187, 1e-6);
  Hyperplanes start = turned(.1);
  std::vector<bool> marked(16, false);
  marked[5] = true;
  start = start.without(marked);
  const HyperplaneFit without = fit_hyperplanes(device(), rows(), start, plan(0));
  EXPECT_NE(without.end, HyperplaneFit::End::at_noise);
  const HostMatrix random = normals(2, 10, 31);
  for (Index i = 0; i < 2; ++i) start.add({random.row(i), random.row(i) + 10}, 0.2);

  const HyperplaneFit fit = fit_hyperplanes(device(), rows(), start, plan(0));

  EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
  // One neuron more than there are: its numbers count as fitted ones.
  const NetworkMatch found = match(truth_, relu_network_of(fit.network));
  EXPECT_EQ(found.missing, 0);
}

TEST_P(HyperplaneFitTest, TheSameFunctionAsAReluNetworkAndBack) {
  for (const Index p : {1, 3}) {
    ReluNetwork network = planted_network(5, 7, p, 8);
    for (Index o = 0; o < p; ++o) network.output(o, 4) = 0;  // is left out on the way back
    const HostMatrix x = normals(33, 5, 9);
    const HostMatrix expected = exact_values(network, x);
    const Hyperplanes planes = hyperplanes_of(network);
    EXPECT_EQ(planes.neurons(), 7);
    const DeviceMatrix there = upload(device(), x);
    DeviceMatrix y(device(), 33, p);
    evaluate(device(), planes, there, 7 * 8 * 13, y);  // seven rows a chunk
    const ReluNetwork again = relu_network_of(planes);
    EXPECT_EQ(again.neurons(), 6);
    // Every neuron is split into halves and put together again: some 4 d roundings of terms that
    // are at most these.
    double terms = 0;
    for (Index i = 0; i < 33; ++i) {
      double reach = 1;
      for (Index j = 0; j < 5; ++j) reach += std::abs(x(i, j));
      terms = std::max(terms, reach);
    }
    double size = 0;
    for (const HostMatrix* part :
         {&network.weights, &network.bias, &network.output, &network.linear, &network.constant}) {
      for (Index i = 0; i < part->size(); ++i) size = std::max(size, std::abs(part->data()[i]));
    }
    const double bound = 100 * 0x1p-53 * 8 * size * (size + 1) * terms;
    const HostMatrix got = download(device(), y);
    const HostMatrix back = exact_values(again, x);
    for (Index i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(at_most(std::abs(got.data()[i] - expected.data()[i]), bound));
      EXPECT_TRUE(at_most(std::abs(back.data()[i] - expected.data()[i]), bound));
    }
  }
}

TEST_P(HyperplaneFitTest, ImportanceIsWhatDroppingTheNeuronCosts) {
  for (const Index p : {1, 2}) {
    plant(4, 6, p, 150, 0.1);
    const auto all = solve_scales(device(), rows(), planes_);
    ASSERT_TRUE(all.has_value());
    ASSERT_EQ(all->importance.size(), 6U);
    for (std::size_t i = 0; i < 6; ++i) {
      std::vector<bool> marked(6, false);
      marked[i] = true;
      const auto rest = solve_scales(device(), rows(), planes_.without(marked));
      ASSERT_TRUE(rest.has_value());
      // A refinement that would gain a millionth of the mean square is left out, in both.
      const double squares = rest->rms * rest->rms;
      EXPECT_TRUE(
          at_most(std::abs(squares - all->rms * all->rms - all->importance[i] * all->importance[i]),
                  2e-6 * squares));
      EXPECT_GT(all->importance[i], 0);
    }
    EXPECT_TRUE(at_most(std::abs(residual_rms(device(), rows(), all->network) - all->rms),
                        1e-12 * all->rms * static_cast<double>(host_y_.size())));
  }
}

TEST_P(HyperplaneFitTest, StepsThatFailLeaveEverythingAndRaiseTheDamping) {
  plant(6, 8, 1, 200, 1e-3);
  HyperplaneFitPlan hasty = plan(0);
  hasty.noise = 0;
  hasty.damping = 1e-7;
  hasty.stall = 0;
  const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.8), hasty);
  double rms = fit.first_rms;
  double damping = hasty.damping;
  double in_a_row = 8;
  int failed = 0;
  for (const HyperplaneFitStep& step : fit.history) {
    EXPECT_EQ(step.damping, damping);
    EXPECT_EQ(step.accepted, step.rms < rms);
    const double before = rms;
    if (step.accepted) rms = step.rms;
    if (!step.accepted) {
      damping *= in_a_row;
      in_a_row *= 4;
    } else {
      in_a_row = 8;
      const double kept = (before * before - step.rms * step.rms) /
                          (before * before - step.predicted * step.predicted);
      damping = kept > .75 ? std::max(damping / 4, 1e-7) : kept < .4 ? 2 * damping : damping;
    }
    failed += step.accepted ? 0 : 1;
  }
  EXPECT_GT(failed, 0) << "or this test shows nothing";
  EXPECT_EQ(fit.rms, rms);
  EXPECT_TRUE(at_most(std::abs(residual_rms(device(), rows(), fit.network) - rms),
                      1e-12 * static_cast<double>(host_y_.size())));
}

TEST_P(HyperplaneFitTest, RowsOfWeightZeroDoNotCount) {
  for (const Index p : {1, 2}) {
    plant(5, 6, p, 400, 1e-6);
    const DeviceMatrix clean_x = upload(device(), host_x_);
    HostMatrix weights(400, p);
    HostMatrix spoilt = host_y_;
    for (Index i = 0; i < 400; ++i) {
      for (Index o = 0; o < p; ++o) {
        weights(i, o) = (i + o) % 4 == 0 ? 0.0 : 1e6;
        if ((i + o) % 4 == 0) spoilt(i, o) = 1e3;
      }
    }
    const DeviceMatrix y = upload(device(), spoilt);
    const DeviceMatrix w = upload(device(), weights);
    for (const Index dense : {Index{0}, Index{300}}) {
      HyperplaneFitPlan weighted = plan(dense);
      weighted.noise = 1;  // of y times weights
      const HyperplaneFit fit = fit_hyperplanes(device(), {clean_x, y, w}, turned(.1), weighted);
      EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
      // Three quarters of the equations count, the mean is over all: as in expect_at_floor.
      const double equations = 300.0 * static_cast<double>(p);
      const auto unknowns = static_cast<double>(parameters());
      EXPECT_TRUE(at_most(fit.rms, std::sqrt(.75 * (1 - unknowns / equations)) *
                                       (1 + 5 / std::sqrt(2 * (equations - unknowns)))));
    }
  }
}

TEST_P(HyperplaneFitTest, OtherInputsAreWhitenedFirst) {
  plant(6, 8, 1, 400, 1e-6);
  // x <- A x + m of a known A; the planted network is asked there.
  HostMatrix mix = normals(6, 6, 41);
  HostMatrix points(400, 6);
  for (Index i = 0; i < 400; ++i) {
    for (Index j = 0; j < 6; ++j) {
      points(i, j) = 0.5 * static_cast<double>(j);
      for (Index l = 0; l < 6; ++l) points(i, j) += 0.3 * mix(j, l) * host_x_(i, l);
      points(i, j) += host_x_(i, j);
    }
  }
  host_x_ = points;
  answer();
  HyperplaneFitPlan whitened = plan(0);
  whitened.whiten = true;
  const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.05), whitened);
  EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
  const auto equations = static_cast<double>(host_y_.size());
  const auto unknowns = static_cast<double>(parameters());
  const double floor = sigma_ * std::sqrt(1 - unknowns / equations) *
                       (1 + 5 / std::sqrt(2 * (equations - unknowns)));
  EXPECT_TRUE(at_most(fit.rms, floor));
  // The network is that of x, not of the whitened points: the same residual to rounding.
  EXPECT_TRUE(at_most(residual_rms(device(), rows(), fit.network), floor));
}

TEST_P(HyperplaneFitTest, TheSameInputsGiveTheSameBits) {
  plant(6, 8, 2, 300, 1e-6);
  const HyperplaneFit one = fit_hyperplanes(device(), rows(), turned(.2), plan(0));
  const HyperplaneFit two = fit_hyperplanes(device(), rows(), turned(.2), plan(0));
  EXPECT_TRUE(same_bits(one.network.planes, two.network.planes));
  EXPECT_TRUE(same_bits(one.network.scales, two.network.scales));
  EXPECT_EQ(one.rms, two.rms);
}

TEST_P(HyperplaneFitTest, ItEndsWhereItIsToldToAndKeepsWhatItHas) {
  plant(6, 8, 1, 300, 1e-6);
  HyperplaneFitPlan short_plan = plan(0);
  int asked = 0;
  short_plan.stop = [&] { return ++asked > 2; };
  const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.3), short_plan);
  EXPECT_EQ(fit.end, HyperplaneFit::End::stopped);
  EXPECT_EQ(fit.history.size(), 2U);
  EXPECT_LT(fit.rms, fit.first_rms);
  short_plan.stop = nullptr;
  short_plan.most_steps = 1;
  EXPECT_EQ(fit_hyperplanes(device(), rows(), turned(.3), short_plan).end,
            HyperplaneFit::End::most_steps);
}

TEST_P(HyperplaneFitTest, ASlowFitEndsAndAPatientOneDoesNot) {
  plant(6, 8, 1, 4 * 63, 1e-6);
  HyperplaneFitPlan slow = plan(0);
  slow.slow_gain = 1;  // every step gains less
  slow.slow_steps = 2;
  const HyperplaneFit ended = fit_hyperplanes(device(), rows(), turned(.1), slow);
  EXPECT_EQ(ended.end, HyperplaneFit::End::slow);
  Index accepted = 0;
  for (const HyperplaneFitStep& step : ended.history) accepted += step.accepted ? 1 : 0;
  EXPECT_EQ(accepted, 2);

  slow.slow_above = 2 * ended.first_rms;
  EXPECT_NE(fit_hyperplanes(device(), rows(), turned(.1), slow).end, HyperplaneFit::End::slow);
}

TEST_P(HyperplaneFitTest, ChunksOfAFewRowsFindTheSame) {
  plant(6, 8, 2, 300, 1e-6);
  HyperplaneFitPlan narrow = plan(0);
  narrow.most_bytes = 3 * 15 * 8;  // three rows of features
  const HyperplaneFit fit = fit_hyperplanes(device(), rows(), turned(.1), narrow);
  EXPECT_EQ(fit.end, HyperplaneFit::End::at_noise);
  expect_at_floor(fit);
}

TEST_P(HyperplaneFitTest, NoNeuronsLeaveAnAffineFunction) {
  plant(3, 2, 1, 60, 1e-6);
  const HyperplaneFit fit = fit_hyperplanes(device(), rows(), Hyperplanes(3, 1), plan(0));
  EXPECT_EQ(fit.network.neurons(), 0);
  EXPECT_TRUE(at_most(fit.rms, fit.first_rms));
}

TEST_P(HyperplaneFitTest, WithoutOffsetsNoneIsFittedAndDenseStepsAndIterationsAgree) {
  truth_ = planted_network(6, 4, 1, 3);
  truth_.bias = HostMatrix(4, 1);
  truth_.constant = HostMatrix(1, 1);
  planes_ = hyperplanes_of(truth_);
  sigma_ = 1e-3;
  host_x_ = normals(800, 6, 103);
  answer();
  Hyperplanes start = turned(0.1);
  for (Index i = 0; i < 4; ++i) start.planes(i, 6) = 0;
  FitRows all = rows();
  all.offsets = false;
  std::vector<double> rms;
  for (const Index dense : {0, 1000}) {
    const HyperplaneFit fit = fit_hyperplanes(device(), all, start, plan(dense));
    for (Index i = 0; i < 4; ++i) EXPECT_EQ(fit.network.planes(i, 6), 0);
    EXPECT_EQ(fit.network.linear(0, 6), 0);
    EXPECT_EQ(fit.cg_iterations > 0, dense == 0);
    expect_at_floor(fit);
    rms.push_back(fit.rms);
  }
  EXPECT_NEAR(rms[0], rms[1], 1e-3 * rms[1]);  // both at the optimum, where rms is flat
  EXPECT_THROW(fit_hyperplanes(device(), all, turned(0.1), {}), BadInput);
}

TEST_P(HyperplaneFitTest, WhatCannotBeFittedIsRefused) {
  plant(3, 2, 1, 60, 1e-6);
  const auto refused = [&](const HostMatrix& x, const HostMatrix& y, const HostMatrix& w) {
    const DeviceMatrix x_there = upload(device(), x);
    const DeviceMatrix y_there = upload(device(), y);
    const DeviceMatrix w_there = upload(device(), w);
    EXPECT_THROW(fit_hyperplanes(device(), {x_there, y_there, w_there}, turned(.1), plan(0)),
                 BadInput);
  };
  HostMatrix bad = host_x_;
  bad(3, 1) = std::nan("");
  refused(bad, host_y_, {});
  bad = host_y_;
  bad(3, 0) = std::nan("");
  refused(host_x_, bad, {});
  refused(host_x_, host_y_, HostMatrix(60, 1));  // all weights 0
  refused(host_x_, host_y_, HostMatrix(59, 1, 1.0));
  refused(host_x_, host_y_, HostMatrix(60, 2, 1.0));
  refused(normals(59, 3, 1), host_y_, {});
  bad = host_x_;
  for (Index i = 0; i < bad.size(); ++i) bad.data()[i] *= 1e200;
  refused(bad, host_y_, {});  // squares that are not finite: no Cholesky factor
  HyperplaneFitPlan wrong = plan(0);
  wrong.damping = std::nan("");
  EXPECT_THROW(fit_hyperplanes(device(), rows(), turned(.1), wrong), BadInput);
  EXPECT_THROW(fit_hyperplanes(device(), rows(), Hyperplanes(4, 1), plan(0)), BadInput);
  EXPECT_THROW(Hyperplanes(3, 1).add({0, 0, 0}, 1), BadInput);
  EXPECT_THROW(Hyperplanes(3, 1).add({1, 0}, 1), BadInput);
}

}  // namespace
}  // namespace crease
