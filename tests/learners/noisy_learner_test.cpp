// The learner for noisy answers on planted networks, nasty ones included, held to what it says.
#include <crease/gaussian.hpp>
#include <crease/query_learner.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <ostream>

#include "src/families.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/same_network.hpp"

namespace crease {
namespace {

using Kind = Imperfection::Kind;

Imperfection imperfect(Kind kind, double deviation = 0, int decimals = 0) {
  Imperfection format;
  format.kind = kind;
  format.deviation = deviation;
  format.decimals = decimals;
  return format;
}

struct Case {
  std::string name;
  FamilyPlan family;
  Imperfection answers;
  std::string word;  // of the report
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name << " d=" << c.family.inputs << " k=" << c.family.neurons
       << " p=" << c.family.outputs << " " << c.word;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const std::vector<std::pair<Imperfection, std::string>> answers = {
      {imperfect(Kind::noise, 1e-4), "noise"},
      {imperfect(Kind::decimals, 0, 5), "decimal"},
      {imperfect(Kind::float32), "float32"},
      {imperfect(Kind::float16), "float16"}};
  for (const Index p : {1, 3}) {
    for (const char* family :
         {"gaussian", "clusters", "cancelling", "parallel", "dead", "affine", "rare"}) {
      for (const auto& [format, word] : answers) {
        Case c;
        c.name = family;
        c.family.family = family;
        c.family.inputs = 6;
        c.family.neurons = 7;  // 8: four times as long, for two of the cases
        c.family.outputs = p;
        c.answers = format;
        c.word = word;
        all.push_back(c);
      }
    }
    for (const auto& [d, k] : {std::pair<Index, Index>{1, 5}, {2, 12}, {15, 1}}) {
      Case c;
      c.name = "gaussian";
      c.family.family = "gaussian";
      c.family.inputs = d;
      c.family.neurons = k;
      c.family.outputs = p;
      c.answers = answers[1].first;
      c.word = "decimal";
      all.push_back(c);
    }
  }
  return all;
}

/// |F - F'| (Euclidean norm) at points that the learner has never seen.
std::vector<double> errors(Device& device, const ReluNetwork& target, const ReluNetwork& learned) {
  const HostMatrix x = normals(20000, target.inputs(), 987654321);
  const HostMatrix y = evaluate(device, target, x);
  const HostMatrix z = evaluate(device, learned, x);
  std::vector<double> result;
  for (Index i = 0; i < y.rows(); ++i) {
    double square = 0;
    for (Index o = 0; o < y.cols(); ++o) square += (y(i, o) - z(i, o)) * (y(i, o) - z(i, o));
    result.push_back(std::sqrt(square));
  }
  return result;
}

double rms(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

class PlantedAndNoisy : public testing::TestWithParam<Case> {};

TEST_P(PlantedAndNoisy, IsHeldToItsOwnWords) {
  const auto device = make_cpu_device({1, true});
  const ReluNetwork target = make_family(GetParam().family, {1});
  const auto oracle = make_imperfect_oracle(make_network_oracle(target), GetParam().answers);
  const Learned<ReluNetwork> learned = learn_from_queries(*device, *oracle, {});
  const RunReport& report = learned.report;
  EXPECT_EQ(report.method, "noisy");
  EXPECT_EQ(report.answer_format, GetParam().word);
  EXPECT_GT(report.answer_noise, 0);
  // The accuracy of 1e-8 is finer than any of these answers.
  EXPECT_EQ(report.outcome, Outcome::not_reached);
  ASSERT_TRUE(report.certificate);
  const std::vector<double> left = errors(*device, target, learned.network);
  // (A) and (B) at confidence 0.995: 2 errors in 100 certificates are chance, but seeds are fixed.
  // 20000 points know a mass to 3 / 20000 and three roots of mass / 20000.
  double beyond = 0;
  for (const double error : left) beyond += error > report.certificate->largest_error ? 1 : 0;
  const double mass = report.certificate->mass;
  EXPECT_LE(beyond / 20000, mass + 3.0 / 20000 + 3 * std::sqrt(mass / 20000));
  EXPECT_LE(rms(left), report.certificate->rms_bound);
  if (!starts_with(report.message, "at the noise floor")) {
    EXPECT_TRUE(starts_with(report.message, "not the whole function")) << report.message;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PlantedAndNoisy, testing::ValuesIn(cases()));

class NoisyLearnerTest : public EveryBackend {
 protected:
  Learned<ReluNetwork> learn(const ReluNetwork& target, const Imperfection& answers,
                             double accuracy = 1e-8, const RunControl& run = {}) {
    const auto oracle = make_imperfect_oracle(make_network_oracle(target), answers);
    QueryProblem problem;
    problem.accuracy = accuracy;
    return learn_from_queries(device(), *oracle, problem, {}, run);
  }
};
CREASE_ON_EVERY_BACKEND(NoisyLearnerTest);

TEST_P(NoisyLearnerTest, ReachesWhatTheAnswersAllowAndFindsEveryNeuron) {
  for (const Index p : {1, 2}) {
    const ReluNetwork target = planted_network(8, 12, p, 3);
    const double sd = gaussian_standard_deviation(device(), target);
    for (const Imperfection& answers :
         {imperfect(Kind::noise, 1e-5), imperfect(Kind::decimals, 0, 5),
          imperfect(Kind::float32)}) {
      // Noise and fit make at most 1.6 sqrt(2) sigma; 1e-5 is the largest sigma here.
      const double accuracy = 4e-5 * std::sqrt(static_cast<double>(p)) / sd;
      const auto learned = learn(target, answers, accuracy);
      EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
      EXPECT_EQ(learned.report.neurons, 12);
      EXPECT_LE(rms(errors(device(), target, learned.network)), accuracy * sd);
    }
  }
}

TEST_P(NoisyLearnerTest, SaysWhichAccuracyTheAnswersAllowAndThenReachesIt) {
  const ReluNetwork target = planted_network(6, 8, 1, 5);
  const Imperfection answers = imperfect(Kind::noise, 1e-3);
  const auto first = learn(target, answers);
  EXPECT_EQ(to_string(first.report.outcome), "not_reached");
  const std::string words = "allow an accuracy of ";
  const std::size_t at = first.report.message.find(words);
  ASSERT_NE(at, std::string::npos) << first.report.message;
  const double allowed = std::stod(first.report.message.substr(at + words.size()));
  const auto second = learn(target, answers, allowed);
  EXPECT_EQ(to_string(second.report.outcome), "reached") << second.report.message;
}

TEST_P(NoisyLearnerTest, ANeuronThatWasFoundTwiceBecomesOne) {
  FamilyPlan plan;
  plan.family = "gaussian";
  plan.inputs = 20;
  plan.neurons = 64;
  RunControl run;
  run.seed = {0};  // a fit of this run puts two hyperplanes in the place of one
  const auto learned = learn(make_family(plan, {1}), imperfect(Kind::float32), 1e-8, run);
  EXPECT_EQ(learned.report.neurons, 64);
  EXPECT_TRUE(starts_with(learned.report.message, "at the noise floor")) << learned.report.message;
}

TEST_P(NoisyLearnerTest, ASlabInAConstantIsFoundAlthoughTheProbeSawExactAnswers) {
  FamilyPlan plan;
  plan.family = "bump";
  plan.inputs = 8;
  plan.neurons = 3;
  plan.width = 0.09;
  plan.offset = 0.35;
  const ReluNetwork target = make_family(plan, {5});
  const double sd = gaussian_standard_deviation(device(), target);
  for (const Imperfection& answers : {imperfect(Kind::decimals, 0, 5), imperfect(Kind::float16)}) {
    const auto oracle = make_imperfect_oracle(make_network_oracle(target), answers);
    QueryProblem problem;
    problem.accuracy = 0.1;
    QueryPlan query_plan;
    query_plan.resolution = plan.width;
    const auto learned = learn_from_queries(device(), *oracle, problem, query_plan);
    EXPECT_EQ(learned.report.method, "noisy");
    EXPECT_GE(learned.report.neurons, 3);
    // Not always reached: the strips between the hyperplanes may stay beyond their limit.
    EXPECT_LE(rms(errors(device(), target, learned.network)), 0.1 * sd) << learned.report.message;
  }
}

TEST_P(NoisyLearnerTest, HalfPrecisionThatLooksLikeDecimalsIsNotSearchedWithoutEnd) {
  FamilyPlan plan;
  plan.family = "rare";
  plan.inputs = 4;
  plan.neurons = 24;
  plan.distance = 4.4;
  const auto learned = learn(make_family(plan, {836}), imperfect(Kind::float16));
  EXPECT_EQ(learned.report.method, "noisy");
  EXPECT_EQ(learned.report.answer_format, "float16");
  // noisy_lines lines of 6048 + 8 d points, and QueryPlan::noisy_queries a parameter beside 4000.
  EXPECT_LE(learned.report.learning_queries, 4 * (6048 + 8 * 4) + 20 * 24 * 5 + 4000);
}

struct Plain {
  const char* what;
  FamilyPlan family;
  Imperfection answers;
  Seed seed;
};

FamilyPlan family(const char* name, Index inputs, Index neurons, Index outputs = 1) {
  FamilyPlan plan;
  plan.family = name;
  plan.inputs = inputs;
  plan.neurons = neurons;
  plan.outputs = outputs;
  return plan;
}

TEST_P(NoisyLearnerTest, PlainNetworksInFewInputsAndParallelOnesComeToTheNoise) {
  FamilyPlan parallel = family("parallel", 16, 5);
  parallel.biases = 5;
  const Plain all[] = {
      {"far out all kinks of one input are one",
       family("gaussian", 1, 7, 4),
       imperfect(Kind::noise, 2e-7),
       {205}},
      {"no row beyond the farthest kink",
       family("gaussian", 1, 24),
       imperfect(Kind::decimals, 0, 9),
       {1207}},
      {"far out parallel kinks are one", parallel, imperfect(Kind::decimals, 0, 4), {224}},
      {"a fit that is stuck", family("gaussian", 2, 24), imperfect(Kind::noise, 7e-8), {671}},
      {"few rows see two neurons",
       family("gaussian", 3, 24, 6),
       imperfect(Kind::decimals, 0, 9),
       {1106}},
      {"half precision", family("gaussian", 16, 6, 2), imperfect(Kind::float16), {567}},
  };
  for (const Plain& each : all) {
    RunControl run;
    run.seed = each.seed;
    const auto learned = learn(make_family(each.family, each.seed), each.answers, 1e-12, run);
    EXPECT_TRUE(starts_with(learned.report.message, "at the noise floor"))
        << each.what << ": " << learned.report.message;
  }
}

TEST_P(NoisyLearnerTest, ARareNeuronInSinglePrecisionIsNotSearchedWithoutEnd) {
  FamilyPlan plan = family("rare", 14, 1);
  plan.distance = 4.7;
  RunControl run;
  run.seed = {1698};
  const auto learned = learn(make_family(plan, {1698}), imperfect(Kind::float32), 1e-6, run);
  EXPECT_EQ(learned.report.method, "noisy");
  // 1024 points before the answers of a long line are looked at, in batches that at most double;
  // then noisy_lines lines of 6048 + 8 d points, and QueryPlan::noisy_queries a parameter beside
  // 4000.
  EXPECT_LE(learned.report.learning_queries, 3 * 1024 + 4 * (6048 + 8 * 14) + 20 * 15 + 4000);
}

TEST_P(NoisyLearnerTest, AConstantInWhichNoiseMayHideAPromisedSlabIsNotReached) {
  FamilyPlan plan = family("bump", 3, 3, 10);
  plan.width = 0.0033;
  plan.offset = 0.12;
  const ReluNetwork target = make_family(plan, {876});
  const auto oracle =
      make_imperfect_oracle(make_network_oracle(target), imperfect(Kind::noise, 1e-3));
  QueryProblem problem;
  problem.accuracy = 0.1;
  QueryPlan query_plan;
  query_plan.resolution = plan.width;
  const auto learned = learn_from_queries(device(), *oracle, problem, query_plan);
  EXPECT_EQ(learned.report.neurons, 0);
  EXPECT_EQ(to_string(learned.report.outcome), "not_reached");
  EXPECT_EQ(learned.report.hunt_mass, 1);
  EXPECT_TRUE(starts_with(learned.report.message, "constant, as far as these answers tell"))
      << learned.report.message;
}

TEST_P(NoisyLearnerTest, AnAffineFunctionHasNoNeurons) {
  ReluNetwork affine = planted_network(5, 0, 2, 3);
  const auto learned = learn(affine, imperfect(Kind::noise, 1e-3), 1e-2);
  EXPECT_EQ(to_string(learned.report.outcome), "reached") << learned.report.message;
  EXPECT_EQ(learned.report.neurons, 0);
}

TEST_P(NoisyLearnerTest, ASmoothFunctionEndsWithItsResidualInBoundedQueries) {
  const auto oracle = make_host_oracle(2, 1, [](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) {
      y(i, 0) = std::nearbyint(1e5 * (std::sin(2 * x(i, 0)) + x(i, 0) * x(i, 1))) / 1e5;
    }
  });
  QueryPlan plan;
  plan.noisy_rounds = 1;
  plan.noisy_steps = 5;
  const auto learned = learn_from_queries(device(), *oracle, {}, plan);
  EXPECT_EQ(learned.report.method, "noisy");
  EXPECT_EQ(to_string(learned.report.outcome), "not_reached");
  EXPECT_TRUE(starts_with(learned.report.message, "not the whole function"))
      << learned.report.message;
}

TEST_P(NoisyLearnerTest, NoiseLargerThanTheSignalGivesNoNeuronsAndNoClaim) {
  const ReluNetwork target = planted_network(4, 5, 1, 2);
  const double sd = gaussian_standard_deviation(device(), target);
  const auto learned = learn(target, imperfect(Kind::noise, 30 * sd));
  EXPECT_EQ(to_string(learned.report.outcome), "not_reached");
  EXPECT_EQ(learned.report.answer_format, "noise");
  ASSERT_TRUE(learned.report.certificate);
  EXPECT_GE(learned.report.certificate->rms_error, sd);
}

TEST_P(NoisyLearnerTest, AnswersRoundedToNothingAreTheConstantThatTheyAre) {
  const auto learned =
      learn(times(planted_network(4, 5, 2, 2), 1e-9), imperfect(Kind::decimals, 0, 3));
  EXPECT_EQ(learned.report.neurons, 0);
  EXPECT_EQ(learned.report.rms_error, 0.0);
}

TEST_P(NoisyLearnerTest, AConstantOutputBesideOthersIsNoTrouble) {
  ReluNetwork target = planted_network(6, 8, 2, 4);
  for (Index j = 0; j < 8; ++j) target.output(1, j) = 0;
  for (Index i = 0; i < 6; ++i) target.linear(1, i) = 0;
  const auto learned = learn(target, imperfect(Kind::noise, 1e-4));
  EXPECT_TRUE(starts_with(learned.report.message, "at the noise floor")) << learned.report.message;
}

/// Answers of a network, each changed by `blur(answer, output)`.
std::unique_ptr<Oracle> blurred(const ReluNetwork& network,
                                std::function<double(double, Index)> blur) {
  const std::shared_ptr<Device> cpu = make_cpu_device({1});
  return make_host_oracle(network.inputs(), network.outputs(), [=](ConstHostView x, HostView y) {
    HostMatrix points(x.rows, x.cols);
    for (Index i = 0; i < x.rows; ++i) {
      for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
    }
    const HostMatrix values = evaluate(*cpu, network, points);
    for (Index i = 0; i < y.rows; ++i) {
      for (Index o = 0; o < y.cols; ++o) y(i, o) = blur(values(i, o), o);
    }
  });
}

/// rms of the errors of one output.
double rms_of_output(Device& device, const ReluNetwork& target, const ReluNetwork& learned,
                     Index output) {
  const HostMatrix x = normals(20000, target.inputs(), 987654321);
  const HostMatrix y = evaluate(device, target, x);
  const HostMatrix z = evaluate(device, learned, x);
  std::vector<double> left;
  for (Index i = 0; i < y.rows(); ++i) left.push_back(y(i, output) - z(i, output));
  return rms(left);
}

// A fit with twice as many equations as unknowns is off by no more than the answers (sqrt(u / (n -
// u)) times their noise, rms over the seeds), one to the noise floor of a smaller number is not.

TEST_P(NoisyLearnerTest, AConstantOutputDoesNotHideWhatANoisyOneLacks) {
  const double sigma = 1e-3;
  for (const double constant : {0.0, 0.25, 1000.0}) {
    ReluNetwork target = planted_network(8, 12, 2, 4);
    for (Index j = 0; j < 12; ++j) target.output(1, j) = 0;
    for (Index i = 0; i < 8; ++i) target.linear(1, i) = 0;
    target.constant(1, 0) = constant;
    const HostMatrix draws = normals(200000, 1, 5);
    const auto next = std::make_shared<Index>(0);
    const auto oracle = blurred(target, [=](double y, Index o) {
      return o == 1 ? y : y + sigma * draws((*next)++ % draws.rows(), 0);
    });
    const auto learned = learn_from_queries(device(), *oracle, {});
    EXPECT_TRUE(starts_with(learned.report.message, "at the noise floor"))
        << learned.report.message;
    EXPECT_EQ(learned.report.neurons, 12);
    EXPECT_LE(rms_of_output(device(), target, learned.network, 0), sigma) << constant;
    EXPECT_LE(rms_of_output(device(), target, learned.network, 1), 1e-9 * (1 + constant));
  }
}

TEST_P(NoisyLearnerTest, AnExactOutputBesideARoundedOneIsLearnedAsSuch) {
  const ReluNetwork target = planted_network(8, 12, 2, 4);
  for (const Index exact : {0, 1}) {
    const auto oracle = blurred(
        target, [=](double y, Index o) { return o == exact ? y : std::nearbyint(1e3 * y) / 1e3; });
    const auto learned = learn_from_queries(device(), *oracle, {});
    EXPECT_EQ(learned.report.answer_format, "decimal");
    EXPECT_TRUE(starts_with(learned.report.message, "at the noise floor"))
        << learned.report.message;
    EXPECT_EQ(learned.report.neurons, 12);
    EXPECT_LE(rms_of_output(device(), target, learned.network, 1 - exact), 1e-3 / std::sqrt(12.0));
    EXPECT_LE(rms_of_output(device(), target, learned.network, exact), 1e-7);
  }
}

TEST_P(NoisyLearnerTest, ABudgetIsNeverExceededAndWhatIsKnownIsGiven) {
  const ReluNetwork target = planted_network(6, 8, 1, 5);
  for (const Index budget : {1, 30, 100, 250, 500, 900}) {
    RunControl run;
    run.budget.queries = budget;
    const auto learned = learn(target, imperfect(Kind::noise, 1e-4), 1e-8, run);
    const RunReport& report = learned.report;
    EXPECT_LE(report.learning_queries + report.certificate_queries, budget);
    EXPECT_EQ(to_string(report.outcome), "out_of_budget") << budget << " " << report.message;
    EXPECT_EQ(learned.network.inputs(), 6);
    EXPECT_TRUE(report.certificate) << budget;
  }
}

TEST_P(NoisyLearnerTest, StoppingKeepsTheBestSoFar) {
  const ReluNetwork target = planted_network(6, 8, 1, 5);
  for (const int batches : {3, 12, 25}) {
    RunControl run;
    int asked = 0;
    run.stop = [&] { return ++asked > batches; };
    const auto learned = learn(target, imperfect(Kind::noise, 1e-4), 1e-8, run);
    EXPECT_EQ(to_string(learned.report.outcome), "stopped") << batches;
    EXPECT_TRUE(learned.report.certificate);
  }
}

TEST_P(NoisyLearnerTest, AnOracleThatFailsEndsTheRunWithWhatIsKnown) {
  const ReluNetwork target = planted_network(6, 8, 1, 5);
  for (const int good : {1, 4, 15}) {
    int calls = 0;
    const auto cpu = make_cpu_device({1});
    const auto oracle = make_host_oracle(6, 1, [&](ConstHostView x, HostView y) {
      if (++calls > good) throw std::runtime_error("the wire is cut");
      HostMatrix points(x.rows, x.cols);
      for (Index i = 0; i < x.rows; ++i) {
        for (Index j = 0; j < x.cols; ++j) points(i, j) = x(i, j);
      }
      const HostMatrix values = evaluate(*cpu, target, points);
      for (Index i = 0; i < y.rows; ++i) y(i, 0) = std::nearbyint(1e4 * values(i, 0)) / 1e4;
    });
    const auto learned = learn_from_queries(device(), *oracle, {});
    EXPECT_EQ(to_string(learned.report.outcome), "oracle_failed");
    EXPECT_NE(learned.report.message.find("the wire is cut"), std::string::npos);
  }
}

TEST_P(NoisyLearnerTest, TheSameSeedGivesTheSameBits) {
  const ReluNetwork target = planted_network(6, 8, 2, 5);
  const auto first = learn(target, imperfect(Kind::decimals, 0, 4));
  const auto second = learn(target, imperfect(Kind::decimals, 0, 4));
  EXPECT_TRUE(same_bits(first.network, second.network));
  EXPECT_EQ(first.report.learning_queries, second.report.learning_queries);
}

// Half precision at 1000 has steps of .5, as large as the other output. One neuron is so rare there
// that a second attempt wants more rows than the cap leaves: it ended with a network without
// scales.
TEST_P(NoisyLearnerTest, ASecondAttemptWithoutQueriesKeepsWhatTheFirstHasLearned) {
  ReluNetwork target = planted_network(8, 12, 2, 4);
  for (Index j = 0; j < 12; ++j) target.output(1, j) = 0;
  for (Index i = 0; i < 8; ++i) target.linear(1, i) = 0;
  target.constant(1, 0) = 1000;
  const auto learned = learn(target, imperfect(Kind::float16));
  ASSERT_TRUE(learned.report.rms_error.has_value());
  const double rms = gaussian_distance(device(), target, learned.network).value;

  EXPECT_LE(rms_of_output(device(), target, learned.network, 1), 0.25);  // half a unit
  EXPECT_LE(rms, learned.report.certificate->rms_bound);
  EXPECT_LE(*learned.report.rms_error, 0.01 * gaussian_standard_deviation(device(), target))
      << learned.report.message;
}

}  // namespace
}  // namespace crease
