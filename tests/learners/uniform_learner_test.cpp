// The uniform mode from queries to network: accuracy, price, memory, endings.
#include "src/learners/uniform_learner.hpp"

#include <gtest/gtest.h>
#include <crease/gaussian.hpp>

#include <cmath>

#include "src/families.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

QueryPlan uniform_plan() {
  QueryPlan plan;
  plan.mode = QueryPlan::Mode::uniform;
  plan.certificate_points = 512;
  return plan;
}

ReluNetwork family(const char* name, Index d, Index k, Index p, std::uint64_t seed) {
  FamilyPlan plan;
  plan.family = name;
  plan.inputs = d;
  plan.neurons = k;
  plan.outputs = p;
  return make_family(plan, Seed{seed});
}

class UniformLearnerTest : public EveryBackend {
 protected:
  Learned<ReluNetwork> learn(const ReluNetwork& target, const QueryPlan& plan,
                             const RunControl& run = {}) {
    const auto oracle = make_network_oracle(target);
    return learn_from_queries(device(), *oracle, {}, plan, run);
  }

  /// rms(F - F') under N(0, I), over both networks as one: no point is drawn.
  static double rms_error(const ReluNetwork& a, const ReluNetwork& b) {
    ReluNetwork both(a.inputs(), a.neurons() + b.neurons(), a.outputs());
    for (Index j = 0; j < both.neurons(); ++j) {
      const bool first = j < a.neurons();
      const ReluNetwork& from = first ? a : b;
      const Index i = first ? j : j - a.neurons();
      std::copy_n(from.weights.row(i), a.inputs(), both.weights.row(j));
      both.bias(j, 0) = from.bias(i, 0);
      for (Index o = 0; o < a.outputs(); ++o) {
        both.output(o, j) = (first ? 1 : -1) * from.output(o, i);
      }
    }
    double square = 0;
    for (Index o = 0; o < a.outputs(); ++o) {
      both.constant(o, 0) = a.constant(o, 0) - b.constant(o, 0);
      for (Index i = 0; i < a.inputs(); ++i) both.linear(o, i) = a.linear(o, i) - b.linear(o, i);
    }
    const HostMatrix mean = gaussian_mean(both);
    for (Index o = 0; o < a.outputs(); ++o) square += mean(o, 0) * mean(o, 0);
    const double sd = gaussian_standard_deviation(both);
    return std::sqrt(square + sd * sd);
  }
};

/// What finite differences of one interval can give: an answer is off by (d + k) u of the sum of
/// its terms (|u| |w| rho for every neuron, rho = 4 sqrt(d + 1) at the end of a line), a component
/// of the gradient by sqrt(2) / step of that, and each of k neurons moves by sqrt(2 d) components
/// over a distance sqrt(d + 1). No averaging is counted.
double accuracy_bound(const ReluNetwork& target, const UniformGrid& grid) {
  const auto d = static_cast<double>(target.inputs());
  const auto k = static_cast<double>(target.neurons());
  double size = 0;
  for (Index j = 0; j < target.neurons(); ++j) {
    double weight = std::abs(target.bias(j, 0));
    double output = 0;
    for (Index i = 0; i < target.inputs(); ++i) {
      weight = std::hypot(weight, target.weights(j, i));
    }
    for (Index o = 0; o < target.outputs(); ++o) {
      output = std::hypot(output, target.output(o, j));
    }
    size += weight * output;
  }
  const double answer = (d + k) * kRounding * size * 4 * std::sqrt(d + 1);
  return std::sqrt(2.0) * answer / grid.step * std::sqrt(2 * d) * std::sqrt(d + 1) * k;
}

TEST_P(UniformLearnerTest, ASmallNetworkIsLearned) {
  for (const Index p : {1, 3}) {
    const ReluNetwork target = family("gaussian", 6, 5, p, 4);
    const QueryPlan plan = uniform_plan();

    const Learned<ReluNetwork> learned = learn(target, plan);

    EXPECT_EQ(learned.report.outcome, Outcome::reached) << learned.report.message;
    EXPECT_EQ(learned.report.mode, "uniform");
    const double bound = accuracy_bound(target, uniform_grid(plan, 6));
    ASSERT_LT(bound, 1e-8 * gaussian_standard_deviation(target));  // the accuracy asked for
    // The exact integral has a floor of 1e-8 of the parts that cancel: fresh points see below it.
    EXPECT_TRUE(at_most(*learned.report.rms_error, bound));
    const NetworkMatch found = match(target, learned.network);
    EXPECT_EQ(found.matched, 5);
    EXPECT_EQ(found.spurious, 0);
    EXPECT_TRUE(at_most(found.weights, bound));
    EXPECT_TRUE(at_most(found.biases, bound));
  }
}

TEST_P(UniformLearnerTest, ABumpOfThePromisedWidthIsFound) {
  const ReluNetwork target = family("bump", 5, 6, 1, 2);
  QueryPlan plan = uniform_plan();
  plan.resolution = 0.1;

  const Learned<ReluNetwork> learned = learn(target, plan);

  EXPECT_EQ(learned.report.outcome, Outcome::reached) << learned.report.message;
  const NetworkMatch found = match(target, learned.network);
  EXPECT_EQ(found.matched, 6);
  EXPECT_EQ(found.spurious, 0);
}

TEST_P(UniformLearnerTest, ANarrowBumpNeedsItsResolution) {
  FamilyPlan narrow;
  narrow.family = "bump";
  narrow.inputs = 4;
  narrow.neurons = 3;
  narrow.width = 0.01;
  const ReluNetwork target = make_family(narrow, Seed{1});
  QueryPlan coarse = uniform_plan();
  coarse.uniform_lines = 2;
  coarse.uniform_intervals = 32;
  QueryPlan fine = uniform_plan();
  fine.resolution = 0.01;

  EXPECT_EQ(match(target, learn(target, coarse).network).matched, 0);
  EXPECT_EQ(match(target, learn(target, fine).network).matched, 3);
}

TEST_P(UniformLearnerTest, AffineAndConstantFunctionsHaveNoNeurons) {
  for (const char* name : {"affine", "constant"}) {
    const ReluNetwork target = family(name, 6, 0, 2, 3);

    const Learned<ReluNetwork> learned = learn(target, uniform_plan());

    EXPECT_EQ(learned.report.outcome, Outcome::reached) << name << learned.report.message;
    EXPECT_EQ(learned.network.neurons(), 0) << name;
    // Householder least squares on n rows, 10 n eps backward; the condition of Gaussian columns and
    // a constant is below 2 for n = 250 d.
    const double bound = 2 * 2 * 10 * 2100 * 2 * kRounding * 3;
    EXPECT_TRUE(at_most(distance(learned.network.linear, target.linear), bound)) << name;
    EXPECT_TRUE(at_most(distance(learned.network.constant, target.constant), bound)) << name;
    EXPECT_EQ(learned.report.relative_error.has_value(), std::string(name) == "affine");
  }
}

TEST_P(UniformLearnerTest, ThePriceIsKnownBeforeTheFirstQuery) {
  for (const Index d : {1, 5}) {
    for (const double resolution : {0.0, 0.5}) {
      QueryPlan plan = uniform_plan();
      plan.uniform_lines = 3;
      plan.uniform_intervals = 40;
      plan.uniform_samples = 100;
      plan.resolution = resolution;
      RunControl run;
      run.budget.queries = queries_needed(plan, d);

      const Learned<ReluNetwork> learned = learn(family("gaussian", d, 3, 2, 8), plan, run);

      EXPECT_EQ(learned.report.learning_queries + learned.report.certificate_queries,
                queries_needed(plan, d));
      EXPECT_EQ(learned.report.certificate_queries, 512);
    }
  }
  QueryPlan plan = uniform_plan();
  EXPECT_EQ(queries_needed(plan, 10), 40 + 20 * 256 * 13 + 2048 + 44 + 512);
}

TEST_P(UniformLearnerTest, ABudgetBelowThePriceIsRefusedBeforeTheFirstQuery) {
  Index asked = 0;
  const auto oracle = make_host_oracle(3, 1, [&](ConstHostView x, HostView y) {
    asked += x.rows;
    for (Index i = 0; i < y.rows; ++i) y(i, 0) = 0;
  });
  const QueryPlan plan = uniform_plan();
  RunControl run;
  run.budget.queries = queries_needed(plan, 3) - 1;
  EXPECT_THROW(learn_from_queries(device(), *oracle, {}, plan, run), BadInput);
  run.budget.queries.reset();
  run.budget.device_bytes = 64;
  EXPECT_THROW(learn_from_queries(device(), *oracle, {}, plan, run), BadInput);
  EXPECT_EQ(asked, 0);
}

TEST_P(UniformLearnerTest, MemoryStaysBelowTheBudget) {
  const ReluNetwork target = family("gaussian", 6, 4, 1, 4);
  RunControl run;
  run.budget.device_bytes = Index{1} << 19;
  QueryPlan plan = uniform_plan();
  plan.uniform_intervals = 2048;

  // Points of one block, one by one, are a multiple of that: the oracle gets no structure here.
  const auto oracle = make_host_oracle(6, 1, [&](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) {
      y(i, 0) = target.constant(0, 0);
      for (Index j = 0; j < 4; ++j) {
        const double z = dot(target.weights.row(j), x.data + i * x.ld, 6) + target.bias(j, 0);
        y(i, 0) += target.output(0, j) * std::max(z, 0.0);
      }
    }
  });
  const Learned<ReluNetwork> learned = learn_from_queries(device(), *oracle, {}, plan, run);

  EXPECT_EQ(learned.report.outcome, Outcome::reached) << learned.report.message;
  // Half for a block, as much again for the oracle's points as a chunk may take.
  EXPECT_LE(learned.report.peak_device_bytes, run.budget.device_bytes * 3 / 2);
  EXPECT_GT(2048 * 6 * 6 * 8, run.budget.device_bytes);  // one line at once would not have fitted
}

TEST_P(UniformLearnerTest, TheSameSeedGivesTheSameBits) {
  const ReluNetwork target = family("gaussian", 5, 4, 2, 6);
  QueryPlan plan = uniform_plan();
  plan.uniform_intervals = 64;
  RunControl run;
  run.seed = Seed{12};

  const Learned<ReluNetwork> a = learn(target, plan, run);
  const Learned<ReluNetwork> b = learn(target, plan, run);
  run.seed = Seed{13};
  const Learned<ReluNetwork> c = learn(target, plan, run);

  EXPECT_TRUE(same_bits(a.network, b.network));
  EXPECT_FALSE(same_bits(a.network.constant, c.network.constant));
}

TEST_P(UniformLearnerTest, AStoppedRunKeepsWhatItFoundAndItsCertificate) {
  const ReluNetwork target = family("gaussian", 5, 3, 1, 6);
  const QueryPlan plan = uniform_plan();
  RunControl run;
  Index asked = 0;
  run.stop = [&] { return asked > queries_needed(plan, 5) / 2; };
  run.log = [&](const Event& event) { asked = event.queries; };

  const Learned<ReluNetwork> learned = learn(target, plan, run);

  EXPECT_EQ(learned.report.outcome, Outcome::stopped);
  EXPECT_LT(learned.report.learning_queries, queries_needed(plan, 5) * 3 / 4);
  ASSERT_TRUE(learned.report.certificate.has_value());
  EXPECT_EQ(learned.report.certificate->points, 512);
  EXPECT_EQ(match(target, learned.network).matched, 3);  // ten lines were enough
}

TEST_P(UniformLearnerTest, AnOracleThatFailsMidwayLeavesTheNetworkFoundSoFar) {
  Index asked = 0;
  const auto oracle = make_host_oracle(2, 1, [&](ConstHostView x, HostView y) {
    asked += x.rows;
    for (Index i = 0; i < x.rows; ++i) {
      y(i, 0) = asked > 20000 ? std::nan("") : std::max(0.0, x(i, 0) + x(i, 1) - 0.5);
    }
  });
  const Learned<ReluNetwork> learned = learn_from_queries(device(), *oracle, {}, uniform_plan());

  EXPECT_EQ(learned.report.outcome, Outcome::oracle_failed);
  EXPECT_NE(learned.report.message.find("NaN"), std::string::npos);
  EXPECT_EQ(learned.network.neurons(), 1);
  EXPECT_FALSE(learned.report.certificate.has_value());
}

CREASE_ON_EVERY_BACKEND(UniformLearnerTest);

}  // namespace
}  // namespace crease
