// Slice and lift on planted networks: where it works it asks little and is exact, where it does not
// the adaptive learner takes over, and every ending keeps what was paid for.
#include "src/learners/slice_learner.hpp"

#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

#include "src/families.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

FamilyPlan family(std::string name, Index d, Index k, Index p) {
  FamilyPlan plan;
  plan.family = std::move(name);
  plan.inputs = d;
  plan.neurons = k;
  plan.outputs = p;
  return plan;
}

/// Slice and lift whatever the number of inputs.
QueryPlan with_slices() {
  QueryPlan plan;
  plan.slice_from = 1;
  return plan;
}

QueryPlan without_slices() {
  QueryPlan plan;
  plan.slice_from = std::numeric_limits<Index>::max();
  return plan;
}

bool fell_back(const RunReport& report) {
  return std::any_of(report.warnings.begin(), report.warnings.end(), [](const std::string& text) {
    return text.starts_with("slice and lift given up");
  });
}

double true_rms(Device& device, const ReluNetwork& target, const ReluNetwork& learned) {
  const Index n = 20000;
  const HostMatrix x = normals(n, target.inputs(), 987654321);
  const HostMatrix y = evaluate(device, target, x);
  const HostMatrix z = evaluate(device, learned, x);
  return distance(y, z) / std::sqrt(static_cast<double>(n));
}

struct Case {
  FamilyPlan family;
  double resolution = 0;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.family.family << " d=" << c.family.inputs << " k=" << c.family.neurons
       << " p=" << c.family.outputs;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Index p : {1, 3}) {
    for (const char* name : {"gaussian", "bump", "clusters", "cancelling", "parallel", "rare",
                             "dead", "affine", "constant"}) {
      all.push_back({family(name, 24, 16, p)});
    }
    all.push_back({family("mix", 24, 32, p)});
    all.push_back({family("gaussian", 1, 8, p)});    // a slice of all inputs
    all.push_back({family("gaussian", 3, 20, p)});   // the same, and far more neurons than inputs
    all.push_back({family("gaussian", 200, 4, p)});  // far fewer
    all.push_back({family("gaussian", 30, 1, p)});
    all.push_back({family("affine", 12, 0, p)});
    all.push_back({family("constant", 12, 0, p)});
    Case hidden{family("bump", 16, 8, p)};
    hidden.family.width = 0.02;
    hidden.resolution = 0.02;
    all.push_back(hidden);
  }
  return all;
}

class SlicedNetworks : public testing::TestWithParam<Case> {};

TEST_P(SlicedNetworks, AreLearnedAndTheReportIsTrue) {
  const auto device = make_cpu_device({1, true});
  for (const std::uint64_t seed : {1, 2}) {
    const ReluNetwork target = make_family(GetParam().family, {seed});
    const auto oracle = make_network_oracle(target);
    QueryPlan plan = with_slices();
    plan.resolution = GetParam().resolution;
    RunControl run;
    run.seed = {seed};
    const auto learned = learn_from_queries(*device, *oracle, {}, plan, run);
    const RunReport& report = learned.report;
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + report.message);
    EXPECT_EQ(to_string(report.outcome), "reached");
    const double sd = gaussian_standard_deviation(target);
    EXPECT_LE(true_rms(*device, target, learned.network), 10 * 1e-8 * (sd > 0 ? sd : 1.0));
    Index asked = 0;
    for (const auto& [stage, queries] : report.queries) asked += queries;
    EXPECT_EQ(asked, report.learning_queries + report.certificate_queries);
    ASSERT_TRUE(report.certificate.has_value());
    EXPECT_EQ(report.certificate->beyond_limit, 0);
    if (GetParam().resolution > 0) {
      EXPECT_GT(report.queries.at("hunt"), 0);
    }
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const FamilyPlan& plan = info.param.family;
  return plan.family + (info.param.resolution > 0 ? "_hunted_" : "_") +
         std::to_string(plan.inputs) + "_" + std::to_string(plan.neurons) + "_" +
         std::to_string(plan.outputs);
}

INSTANTIATE_TEST_SUITE_P(Families, SlicedNetworks, testing::ValuesIn(cases()), case_name);

class SliceLearnerTest : public EveryBackend {
 protected:
  Learned<ReluNetwork> learn(const ReluNetwork& target, const QueryPlan& plan,
                             const RunControl& run = {}) {
    const auto oracle = make_network_oracle(target);
    return learn_from_queries(device(), *oracle, {}, plan, run);
  }
};
CREASE_ON_EVERY_BACKEND(SliceLearnerTest);

TEST_P(SliceLearnerTest, BeginsWhereItIsPredictedToAskForLess) {
  EXPECT_FALSE(takes_slice({}, 199));
  EXPECT_TRUE(takes_slice({}, 200));
  const ReluNetwork target = make_family(family("gaussian", 40, 6, 1), {1});
  const RunReport report = learn(target, {}).report;
  EXPECT_EQ(report.queries.count("lift"), 0u);
  EXPECT_EQ(report.method, "exact");
}

TEST_P(SliceLearnerTest, ALiftIsOneGradientANeuronAndOne) {
  const ReluNetwork target = make_family(family("gaussian", 200, 10, 1), {4});
  const auto learned = learn(target, {});
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
  EXPECT_FALSE(fell_back(learned.report));
  EXPECT_EQ(learned.report.method, "slice");
  EXPECT_EQ(learned.report.neurons, 10);
  // Eleven cells with their centres, sixteen mirrored points; no fan had to be asked again.
  EXPECT_EQ(learned.report.queries.at("lift"), 11 * 201 + 16);
  EXPECT_EQ(learned.report.least_squares.solver, "");
  EXPECT_NE(learned.report.least_squares.reason, "");
}

TEST_P(SliceLearnerTest, ALiftIsMoreExactThanLines) {
  for (const Index p : {1, 4}) {
    const ReluNetwork target = make_family(family("gaussian", 120, 12, p), {5});
    const auto lifted = match(target, learn(target, with_slices()).network);
    const auto lines = match(target, learn(target, without_slices()).network);
    ASSERT_EQ(lifted.matched, 12);
    ASSERT_EQ(lines.matched, 12);
    EXPECT_LT(lifted.weights, lines.weights);
    EXPECT_LT(lifted.biases, lines.biases);
    EXPECT_LT(lifted.hyperplanes, lines.hyperplanes);
    EXPECT_LT(lifted.scales, lines.scales);
  }
}

TEST_P(SliceLearnerTest, LinesAndFansAreAskedAsSuch) {
  const ReluNetwork target = make_family(family("gaussian", 60, 8, 2), {6});
  RecordingOracle structured(target, RecordingOracle::Manner::structured);
  const auto first = learn_from_queries(device(), structured, {}, with_slices());
  EXPECT_GT(structured.lines, 0);
  EXPECT_GT(structured.fans, 0);
  EXPECT_EQ(structured.points(), first.report.learning_queries + first.report.certificate_queries);
  RecordingOracle opaque(target, RecordingOracle::Manner::opaque);
  const auto second = learn_from_queries(device(), opaque, {}, with_slices());
  EXPECT_EQ(to_string(second.report.outcome), "reached") << second.report.message;
  EXPECT_EQ(match(target, second.network).matched, 8);
}

TEST_P(SliceLearnerTest, TheSameSeedGivesTheSameBits) {
  const ReluNetwork target = make_family(family("gaussian", 50, 8, 2), {7});
  const auto first = learn(target, with_slices());
  const auto second = learn(target, with_slices());
  EXPECT_TRUE(same_bits(first.network, second.network));
  EXPECT_EQ(first.report.queries, second.report.queries);
}

TEST_P(SliceLearnerTest, NeuronsTooCloseForALiftFallBackAndAreFound) {
  FamilyPlan plan = family("clusters", 20, 8, 1);
  plan.gap = 1e-5;
  const ReluNetwork target = make_family(plan, {2});
  const auto learned = learn(target, with_slices());
  EXPECT_TRUE(fell_back(learned.report));
  EXPECT_EQ(learned.report.method, "exact");
  EXPECT_GT(learned.report.queries.at("gradients"), 20);
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
}

TEST_P(SliceLearnerTest, TheSameHyperplaneTwiceIsOneNeuron) {
  ReluNetwork target = make_family(family("gaussian", 40, 6, 1), {8});
  for (Index i = 0; i < 40; ++i) target.weights(1, i) = 2 * target.weights(0, i);
  target.bias(1, 0) = 2 * target.bias(0, 0);
  const auto learned = learn(target, with_slices());
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
  EXPECT_EQ(learned.report.neurons, 5);
}

TEST_P(SliceLearnerTest, TheBudgetIsNeverExceeded) {
  const ReluNetwork target = make_family(family("gaussian", 40, 8, 2), {9});
  for (const Index budget : {1, 39, 41, 100, 300, 500, 800, 2700}) {
    RunControl run;
    run.budget.queries = budget;
    const RunReport report = learn(target, with_slices(), run).report;
    SCOPED_TRACE("budget " + std::to_string(budget));
    EXPECT_LE(report.learning_queries + report.certificate_queries, budget);
    EXPECT_GE(report.certificate_queries, std::min<Index>(2048, budget / 4));
    if (report.outcome != Outcome::reached) {
      EXPECT_EQ(to_string(report.outcome), "out_of_budget");
    }
  }
}

TEST_P(SliceLearnerTest, LittleMemoryIsEnough) {
  RunControl run;
  run.budget.device_bytes = 4096;
  const ReluNetwork target = make_family(family("gaussian", 30, 6, 2), {3});
  const auto learned = learn(target, with_slices(), run);
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
  EXPECT_FALSE(fell_back(learned.report));
  EXPECT_EQ(match(target, learned.network).matched, 6);
}

TEST_P(SliceLearnerTest, StoppingAnywhereLeavesANetworkAndItsCertificate) {
  const ReluNetwork target = make_family(family("gaussian", 40, 6, 1), {10});
  for (const Index last : {1, 3, 8, 12, 14}) {
    RunControl run;
    Index questions = 0;
    run.stop = [&] { return ++questions > last; };
    const auto learned = learn(target, with_slices(), run);
    EXPECT_EQ(to_string(learned.report.outcome), "stopped") << last;
    ASSERT_TRUE(learned.report.certificate.has_value());
    EXPECT_EQ(learned.network.inputs(), 40);
  }
}

TEST_P(SliceLearnerTest, AnOracleThatFailsInTheLiftEndsTheRun) {
  const ReluNetwork target = make_family(family("gaussian", 40, 6, 1), {11});
  RecordingOracle oracle(target, RecordingOracle::Manner::structured);
  oracle.after = [&](Device&, DeviceView y) {
    if (y.rows >= 7 * 40) throw std::runtime_error("enough");  // the fans
  };
  QueryPlan plan = with_slices();
  plan.look_points = 64;
  const auto learned = learn_from_queries(device(), oracle, {}, plan);
  EXPECT_EQ(to_string(learned.report.outcome), "oracle_failed");
  EXPECT_NE(learned.report.message.find("enough"), std::string::npos) << learned.report.message;
}

}  // namespace
}  // namespace crease
