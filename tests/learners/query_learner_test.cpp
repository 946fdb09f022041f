// The query learner on planted networks, nasty ones included, held to its own certificates.
#include <crease/gaussian.hpp>
#include <crease/query_learner.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <ostream>

#include "src/families.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

struct Case {
  std::string name;  // of the family, and more where that is not enough
  FamilyPlan family;
  double resolution = 0;
  double accuracy = 1e-8;
};

Case planted(std::string family, Index d, Index k, Index p) {
  Case c;
  c.name = family;
  c.family.family = std::move(family);
  c.family.inputs = d;
  c.family.neurons = k;
  c.family.outputs = p;
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Index p : {1, 3}) {
    for (const char* family : {"gaussian", "bump", "clusters", "cancelling", "parallel", "rare",
                               "dead", "affine", "constant", "mix"}) {
      all.push_back(planted(family, 12, 40, p));
    }
    all.push_back(planted("clusters,bump", 10, 23, p));
    all.push_back(planted("gaussian", 1, 8, p));   // one input
    all.push_back(planted("gaussian", 2, 30, p));  // far more neurons than inputs
    all.push_back(planted("gaussian", 40, 5, p));  // far fewer
    all.push_back(planted("gaussian", 6, 1, p));   // one neuron
    Case hidden = planted("bump", 10, 11, p);
    hidden.name = "hidden bump";
    hidden.family.width = 0.01;
    hidden.resolution = 0.01;
    all.push_back(hidden);
  }
  return all;
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name << " d=" << c.family.inputs << " k=" << c.family.neurons
       << " p=" << c.family.outputs;
}

/// rms(F - F') under N(0, I), from points that the learner has never seen.
double true_rms(Device& device, const ReluNetwork& target, const ReluNetwork& learned) {
  const Index n = 20000;
  const HostMatrix x = normals(n, target.inputs(), 987654321);
  const HostMatrix y = evaluate(device, target, x);
  const HostMatrix z = evaluate(device, learned, x);
  double sum = 0;
  for (Index i = 0; i < y.size(); ++i) {
    sum += (y.data()[i] - z.data()[i]) * (y.data()[i] - z.data()[i]);
  }
  return std::sqrt(sum / static_cast<double>(n));
}

class PlantedNetworks : public testing::TestWithParam<Case> {};

TEST_P(PlantedNetworks, AreLearnedAndTheReportIsTrue) {
  const auto device = make_cpu_device({1, true});
  for (const std::uint64_t seed : {1, 2}) {
    const ReluNetwork target = make_family(GetParam().family, {seed});
    const auto oracle = make_network_oracle(target);
    QueryProblem problem;
    problem.accuracy = GetParam().accuracy;
    QueryPlan plan;
    plan.resolution = GetParam().resolution;
    RunControl run;
    run.seed = {seed};
    const auto learned = learn_from_queries(*device, *oracle, problem, plan, run);
    const RunReport& report = learned.report;
    SCOPED_TRACE(GetParam().name + " p=" + std::to_string(GetParam().family.outputs) +
                 " seed=" + std::to_string(seed) + ": " + report.message);

    EXPECT_EQ(to_string(report.outcome), "reached");
    // What was asked for, on points of our own; those the certificate does not see may be worse,
    // but a factor of ten would be a false promise.
    const double sd = gaussian_standard_deviation(target);
    EXPECT_LE(true_rms(*device, target, learned.network),
              10 * problem.accuracy * (sd > 0 ? sd : 1.0));

    Index asked = 0;
    for (const auto& [stage, queries] : report.queries) asked += queries;
    EXPECT_EQ(asked, report.learning_queries + report.certificate_queries);
    EXPECT_EQ(report.certificate_queries, plan.certificate_points);
    ASSERT_TRUE(report.certificate.has_value());
    EXPECT_EQ(report.certificate->beyond_limit, 0);
    EXPECT_EQ(report.neurons, learned.network.neurons());
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const FamilyPlan& family = info.param.family;
  std::string name = info.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + "_" + std::to_string(family.inputs) + "_" + std::to_string(family.neurons) + "_" +
         std::to_string(family.outputs);
}

INSTANTIATE_TEST_SUITE_P(Families, PlantedNetworks, testing::ValuesIn(cases()), case_name);

class QueryLearnerTest : public EveryBackend {};

ReluNetwork small_target() {
  return make_family(planted("gaussian", 8, 12, 2).family, {3});
}

TEST_P(QueryLearnerTest, TheSameSeedGivesTheSameBits) {
  const auto first_oracle = make_network_oracle(small_target());
  const auto second_oracle = make_network_oracle(small_target());
  const auto first = learn_from_queries(device(), *first_oracle, {});
  const auto second = learn_from_queries(device(), *second_oracle, {});
  EXPECT_TRUE(same_bits(first.network, second.network));
  EXPECT_EQ(first.report.queries, second.report.queries);
  EXPECT_EQ(first.report.rounds, second.report.rounds);
}

// Runs 322, 970 and 1575 of `./dev trial`: slopes of rounding alone were more than the accuracy of
// their own deviation.
TEST_P(QueryLearnerTest, ConstantTargetsAreReachedHoweverTheirRoundingFalls) {
  for (const auto& [seed, d, k, p] :
       {std::array<Index, 4>{322, 10, 6, 1}, {970, 10, 10, 1}, {1575, 19, 8, 3}}) {
    const ReluNetwork target =
        make_family(planted("constant", d, k, p).family, {static_cast<std::uint64_t>(seed)});
    const auto oracle = make_network_oracle(target);
    RunControl run;
    run.seed = {static_cast<std::uint64_t>(seed)};
    const auto learned = learn_from_queries(device(), *oracle, {}, {}, run);
    EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
    EXPECT_FALSE(learned.report.relative_error.has_value());
    EXPECT_LE(true_rms(device(), target, learned.network), QueryProblem{}.accuracy);
  }
}

// Squares of such errors are beyond float64, and no certificate can be made of them.
TEST_P(QueryLearnerTest, WhatNoStageCanWorkWithEndsTheRunAndKeepsWhatIsPaidFor) {
  const auto oracle = make_imperfect_oracle(make_network_oracle(small_target()),
                                            {Imperfection::Kind::noise, 0, 1e300, {3}});
  const auto learned = learn_from_queries(device(), *oracle, {});
  EXPECT_EQ(to_string(learned.report.outcome), "not_reached");
  EXPECT_EQ(learned.report.message.rfind("the run could not go on: ", 0), 0u)
      << learned.report.message;
  EXPECT_GT(learned.report.learning_queries, 0);
}

TEST_P(QueryLearnerTest, LittleMemoryIsEnough) {
  RunControl run;
  run.budget.device_bytes = 1024;  // a dozen points, a centre at a time
  const auto oracle = make_network_oracle(small_target());
  const auto learned = learn_from_queries(device(), *oracle, {}, {}, run);
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
  EXPECT_EQ(match(small_target(), learned.network).matched, 12);
}

TEST_P(QueryLearnerTest, AnOracleThatKnowsNothingOfLinesIsLearnedToo) {
  const ReluNetwork target = small_target();
  const auto cpu = make_cpu_device({1});
  const auto opaque = make_host_oracle(8, 2, [&](ConstHostView x, HostView y) {
    HostMatrix points(x.rows, x.cols);
    for (Index i = 0; i < x.rows; ++i) {
      for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
    }
    const HostMatrix answers = evaluate(*cpu, target, points);
    for (Index i = 0; i < y.rows; ++i) {
      for (Index o = 0; o < y.cols; ++o) y(i, o) = answers(i, o);
    }
  });
  const auto learned = learn_from_queries(device(), *opaque, {});
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
  EXPECT_EQ(match(target, learned.network).matched, 12);
}

TEST_P(QueryLearnerTest, TheBudgetCoversEverythingAndIsNeverExceeded) {
  for (const Index budget : {1, 4, 39, 41, 100, 400, 2000, 2500}) {
    const auto oracle = make_network_oracle(small_target());
    RunControl run;
    run.budget.queries = budget;
    const auto learned = learn_from_queries(device(), *oracle, {}, {}, run);
    const RunReport& report = learned.report;
    SCOPED_TRACE("budget " + std::to_string(budget));
    EXPECT_LE(report.learning_queries + report.certificate_queries, budget);
    EXPECT_EQ(learned.network.inputs(), 8);
    EXPECT_EQ(learned.network.outputs(), 2);
    // A quarter is kept for the certificate, whatever else happens.
    EXPECT_GE(report.certificate_queries, std::min<Index>(2048, budget / 4));
    if (report.outcome != Outcome::reached) {
      EXPECT_EQ(to_string(report.outcome), "out_of_budget");
      EXPECT_FALSE(report.message.empty());
    }
  }
}

TEST_P(QueryLearnerTest, AnOracleThatFailsLaterLeavesTheBestNetworkSoFar) {
  for (const double lie : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const ReluNetwork target = small_target();
    const auto cpu = make_cpu_device({1});
    Index answered = 0;
    const auto oracle = make_host_oracle(8, 2, [&](ConstHostView x, HostView y) {
      HostMatrix points(x.rows, x.cols);
      for (Index i = 0; i < x.rows; ++i) {
        for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
      }
      const HostMatrix answers = evaluate(*cpu, target, points);
      answered += x.rows;
      for (Index i = 0; i < y.rows; ++i) {
        for (Index o = 0; o < y.cols; ++o) y(i, o) = answered > 300 ? lie : answers(i, o);
      }
    });
    const auto learned = learn_from_queries(device(), *oracle, {});
    EXPECT_EQ(to_string(learned.report.outcome), "oracle_failed");
    EXPECT_NE(learned.report.message.find("NaN or infinity in row 0"), std::string::npos);
    EXPECT_LE(learned.report.learning_queries, 300);
  }
}

TEST_P(QueryLearnerTest, AnOracleThatFailsAtOnceIsAnError) {
  const auto oracle = make_host_oracle(
      3, 1, [](ConstHostView, HostView) { throw std::runtime_error("the line is dead"); });
  try {
    learn_from_queries(device(), *oracle, {});
    FAIL() << "expected OracleError";
  } catch (const OracleError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.substr(0, 9), "batch 1 (") << message;
    EXPECT_NE(message.find("stage noise): the line is dead"), std::string::npos) << message;
  }
}

TEST_P(QueryLearnerTest, AnOracleMayThrowAnything) {
  const auto oracle = make_host_oracle(3, 1, [](ConstHostView, HostView) { throw 42; });
  EXPECT_THROW(learn_from_queries(device(), *oracle, {}), OracleError);
}

TEST_P(QueryLearnerTest, StoppingLeavesANetworkAndItsCertificate) {
  const auto oracle = make_network_oracle(small_target());
  RunControl run;
  Index questions = 0;
  run.stop = [&] { return ++questions > 8; };
  const auto learned = learn_from_queries(device(), *oracle, {}, {}, run);
  EXPECT_EQ(to_string(learned.report.outcome), "stopped");
  ASSERT_TRUE(learned.report.certificate.has_value());
  EXPECT_EQ(learned.report.certificate->points, 2048);
}

TEST_P(QueryLearnerTest, WithoutACertificateNothingIsReached) {
  const auto oracle = make_network_oracle(small_target());
  QueryPlan plan;
  plan.certificate_points = 0;
  const auto learned = learn_from_queries(device(), *oracle, {}, plan);
  EXPECT_EQ(to_string(learned.report.outcome), "not_reached");
  EXPECT_FALSE(learned.report.certificate.has_value());
  EXPECT_EQ(match(small_target(), learned.network).matched, 12);
}

TEST_P(QueryLearnerTest, AFunctionWithoutPiecesIsNeverCalledReached) {
  const auto smooth = make_host_oracle(3, 1, [](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) {
      y(i, 0) = std::tanh(x(i, 0)) + std::sin(x(i, 1) + 0.3 * x(i, 2));
    }
  });
  RunControl run;
  run.budget.queries = 20000;
  const auto learned = learn_from_queries(device(), *smooth, {}, {}, run);
  EXPECT_NE(to_string(learned.report.outcome), "reached");
  EXPECT_FALSE(learned.report.message.empty());
}

TEST_P(QueryLearnerTest, AnOracleThatChangesItsMindIsNeverCalledReached) {
  Index call = 0;
  const auto fickle = make_host_oracle(4, 1, [&](ConstHostView x, HostView y) {
    ++call;
    for (Index i = 0; i < x.rows; ++i) y(i, 0) = std::max(x(i, 0), 0.0) + (call % 2) * x(i, 1);
  });
  RunControl run;
  run.budget.queries = 20000;
  const auto learned = learn_from_queries(device(), *fickle, {}, {}, run);
  EXPECT_NE(to_string(learned.report.outcome), "reached");
}

TEST_P(QueryLearnerTest, BadProblemsAreRefusedBeforeTheFirstQuestion) {
  Index asked = 0;
  const auto oracle = make_host_oracle(2, 1, [&](ConstHostView x, HostView) { asked += x.rows; });
  for (const double accuracy : {0.0, -1.0, std::nan("")}) {
    QueryProblem problem;
    problem.accuracy = accuracy;
    EXPECT_THROW(learn_from_queries(device(), *oracle, problem), BadInput);
  }
  for (const double failure : {0.0, 1.0, std::nan("")}) {
    QueryProblem problem;
    problem.failure = failure;
    EXPECT_THROW(learn_from_queries(device(), *oracle, problem), BadInput);
  }
  RunControl broke;
  broke.budget.queries = 0;
  EXPECT_THROW(learn_from_queries(device(), *oracle, {}, {}, broke), BadInput);
  EXPECT_EQ(asked, 0);
}

// The rule without flank pairs: fewer points, and right wherever no two parallel jumps hide in one
// gap.
TEST_P(QueryLearnerTest, LinesThatMeetProveAKinkWithFewerPoints) {
  const ReluNetwork target = make_family(planted("gaussian", 12, 30, 5).family, {9});
  Index points[2] = {0, 0};
  for (const bool flank : {false, true}) {
    const auto oracle = make_network_oracle(target);
    QueryPlan plan;
    plan.flank_every_kink = flank;
    const auto learned = learn_from_queries(device(), *oracle, {}, plan);
    EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
    EXPECT_EQ(match(target, learned.network).matched, 30);
    points[flank ? 1 : 0] = learned.report.queries.at("lines");
  }
  EXPECT_LT(points[0], points[1]);
}

TEST_P(QueryLearnerTest, TheReportSaysHowExactTheAnswersAre) {
  const ReluNetwork target = small_target();
  const auto exact = make_network_oracle(target);
  EXPECT_LT(learn_from_queries(device(), *exact, {}).report.answer_noise, 1e-13);

  const double sigma = 1e-3;
  const auto cpu = make_cpu_device({1});
  std::uint64_t call = 0;
  const auto noisy = make_host_oracle(8, 2, [&](ConstHostView x, HostView y) {
    HostMatrix points(x.rows, x.cols);
    for (Index i = 0; i < x.rows; ++i) {
      for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
    }
    const HostMatrix answers = evaluate(*cpu, target, points);
    const HostMatrix noise = normals(y.rows, y.cols, ++call);
    for (Index i = 0; i < y.rows; ++i) {
      for (Index o = 0; o < y.cols; ++o) y(i, o) = answers(i, o) + sigma * noise(i, o);
    }
  });
  RunControl run;
  run.budget.queries = 3000;
  const RunReport report = learn_from_queries(device(), *noisy, {}, {}, run).report;
  EXPECT_NE(to_string(report.outcome), "reached");
  // A robust estimate from eight places: its scale, not its digits.
  EXPECT_GT(report.answer_noise, sigma / 4);
  EXPECT_LT(report.answer_noise, sigma * 4);
}

// Gradients cost d queries a group of up to p kinks: the counting bound of the method is k (d + 1)
// / p + k, and the chain is measured within 1.5 times of it where nothing goes wrong.
TEST_P(QueryLearnerTest, SeveralOutputsDivideTheQueriesForGradients) {
  for (const Index p : {1, 2, 5, 10}) {
    const ReluNetwork target = make_family(planted("gaussian", 40, 40, p).family, {5});
    const auto oracle = make_network_oracle(target);
    const auto learned = learn_from_queries(device(), *oracle, {});
    EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
    const double bound = 40.0 * (40.0 / static_cast<double>(p) + 1);
    EXPECT_LE(static_cast<double>(learned.report.queries.at("gradients")), 1.5 * bound)
        << "p=" << p;
  }
}

TEST_P(QueryLearnerTest, FewNeuronsAreTurnedBackAndLeaveNoLinearPart) {
  const ReluNetwork target = make_family(planted("gaussian", 20, 12, 1).family, {7});
  const auto oracle = make_network_oracle(target);
  const auto learned = learn_from_queries(device(), *oracle, {});
  for (Index i = 0; i < 20; ++i) EXPECT_EQ(learned.network.linear(0, i), 0);
  EXPECT_EQ(match(target, learned.network).matched, 12);
}

CREASE_ON_EVERY_BACKEND(QueryLearnerTest);

}  // namespace
}  // namespace crease
