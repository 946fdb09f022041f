// Networks behind a softmax, learned modulo their common function.
#include <crease/gaussian.hpp>
#include <crease/query_learner.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/families.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

ReluNetwork gaussian(Index d, Index k, Index p, std::uint64_t seed) {
  FamilyPlan plan;
  plan.family = "gaussian";
  plan.inputs = d;
  plan.neurons = k;
  plan.outputs = p;
  return make_family(plan, {seed});
}

class LogOddsLearnerTest : public EveryBackend {
 protected:
  Learned<ReluNetwork> learn(const ReluNetwork& logits, bool logarithms,
                             Imperfection::Kind kind = Imperfection::Kind::float64,
                             int decimals = 0) {
    Imperfection format;
    format.kind = kind;
    format.decimals = decimals;
    const auto oracle = make_log_odds_oracle(make_imperfect_oracle(
        make_softmax_oracle(make_network_oracle(logits), logarithms), format));
    QueryProblem problem;
    problem.accuracy = 1e-9;
    return learn_from_queries(device(), *oracle, problem);
  }

  double relative_error(const ReluNetwork& logits, const ReluNetwork& learned) {
    const ReluNetwork centred = without_common_function(logits);
    return gaussian_distance(device(), centred, without_common_function(learned)).value /
           gaussian_standard_deviation(centred);
  }

  void expect_learned(const ReluNetwork& logits, const Learned<ReluNetwork>& learned,
                      Index neurons) {
    EXPECT_EQ(learned.report.outcome, Outcome::reached) << learned.report.message;
    EXPECT_EQ(learned.report.modulo, "the common function of the outputs");
    // The certificate's 2048 points may see a little less than there is.
    EXPECT_TRUE(at_most(relative_error(logits, learned.network), 2e-9));
    const NetworkMatch found =
        match(without_common_function(logits), without_common_function(learned.network));
    EXPECT_EQ(found.target, neurons);
    EXPECT_EQ(found.matched, neurons);
    EXPECT_EQ(found.spurious, 0);
    EXPECT_EQ(learned.report.queries.count("noise"), 0u);
  }
};
CREASE_ON_EVERY_BACKEND(LogOddsLearnerTest);

TEST_P(LogOddsLearnerTest, NetworksBehindASoftmaxAreLearned) {
  for (const Index p : {2, 3, 10}) {
    for (const bool logarithms : {false, true}) {
      const ReluNetwork logits = gaussian(8, 12, p, 4);
      const auto learned = learn(logits, logarithms);
      SCOPED_TRACE(testing::Message() << "p=" << p << " logarithms=" << logarithms);
      expect_learned(logits, learned, 12);
      EXPECT_EQ(learned.report.answer_format,
                logarithms ? "log-probabilities float64" : "probabilities float64");
      EXPECT_EQ(learned.report.certificate->silent, 0);
      EXPECT_GT(learned.report.answer_noise, 0);
      // Centred itself: its outputs add up to nothing but the noise of every neuron.
      const HostMatrix y = evaluate(device(), learned.network, normals(50, 8, 5));
      for (Index i = 0; i < 50; ++i) {
        double sum = 0;
        for (Index o = 0; o < p; ++o) sum += y(i, o);
        EXPECT_TRUE(at_most(std::abs(sum), 1e-6));
      }
    }
  }
}

TEST_P(LogOddsLearnerTest, LogitsUpToTheUnderflowAreLearnedOnShorterLines) {
  // Differences of logits at Gaussian points grow to about 700, where float64 ends.
  for (const double factor : {20.0, 60.0}) {
    const ReluNetwork logits = times(gaussian(8, 12, 3, 4), factor);
    const auto learned = learn(logits, false);
    SCOPED_TRACE(factor);
    expect_learned(logits, learned, 12);
  }
}

TEST_P(LogOddsLearnerTest, ANeuronOfTheCommonFunctionIsAbsent) {
  ReluNetwork logits = gaussian(8, 12, 3, 4);
  for (Index o = 0; o < 3; ++o) logits.output(o, 5) = 0.7;
  const auto learned = learn(logits, false);
  expect_learned(logits, learned, 11);
  EXPECT_EQ(learned.report.neurons, 11);
}

TEST_P(LogOddsLearnerTest, ProbabilitiesThatUnderflowEverywhereEndHonestly) {
  const auto learned = learn(times(gaussian(8, 12, 3, 4), 1e7), false);
  EXPECT_EQ(learned.report.outcome, Outcome::not_reached);
  ASSERT_TRUE(learned.report.certificate.has_value());
  EXPECT_GT(learned.report.certificate->silent, 2000);
  EXPECT_GT(learned.report.certificate->mass, 0.9);
  EXPECT_FALSE(learned.report.message.empty());
}

TEST_P(LogOddsLearnerTest, AnswersTooCoarseAreNotReached) {
  for (const auto& [kind, decimals] :
       {std::pair{Imperfection::Kind::float32, 0}, std::pair{Imperfection::Kind::decimals, 6}}) {
    const auto learned = learn(gaussian(8, 12, 3, 4), false, kind, decimals);
    EXPECT_EQ(learned.report.outcome, Outcome::not_reached);
    EXPECT_FALSE(learned.report.message.empty());
  }
}

TEST_P(LogOddsLearnerTest, PointsThatSayNothingAreCountedInTheCertificate) {
  // A box that says nothing about a slab of mass .048: what is behind it is nobody's to vouch for.
  const ReluNetwork network = gaussian(6, 8, 2, 4);
  OracleWithSigmas oracle(network, [](const double* x, double* sigma) {
    const bool hidden = x[0] > 1.67;
    sigma[0] = sigma[1] = hidden ? std::numeric_limits<double>::infinity() : 1e-15;
  });
  const auto learned = learn_from_queries(device(), oracle, {});
  EXPECT_EQ(learned.report.outcome, Outcome::reached) << learned.report.message;
  const Certificate& certificate = *learned.report.certificate;
  EXPECT_GT(certificate.silent, 0);
  EXPECT_GE(certificate.mass, 0.0475);  // what is hidden, at the least
  EXPECT_LT(certificate.mass, 0.08);
  EXPECT_EQ(learned.report.answer_format, "told");
  EXPECT_TRUE(learned.report.modulo.empty());
}

TEST_P(LogOddsLearnerTest, AnswersThatAreNoProbabilitiesEndTheRunByName) {
  const ReluNetwork logits = gaussian(4, 6, 2, 4);
  const auto probabilities = make_softmax_oracle(make_network_oracle(logits));
  Index batches = 0;
  Index good = 0;
  const auto box = [&] {
    return make_log_odds_oracle(make_host_oracle(4, 2, [&](ConstHostView x, HostView y) {
      const DeviceMatrix points = upload(device(), x);
      DeviceMatrix answers(device(), x.rows, 2);
      probabilities->answer(device(), points, answers);
      device().copy_out(answers, y);
      if (batches++ >= good) y(x.rows - 1, 1) = -0.25;
    }));
  };
  EXPECT_THROW(learn_from_queries(device(), *box(), {}), OracleError);
  batches = 0;
  good = 3;
  const auto learned = learn_from_queries(device(), *box(), {});
  EXPECT_EQ(learned.report.outcome, Outcome::oracle_failed);
  EXPECT_NE(learned.report.message.find("does not answer probabilities"), std::string::npos);
  EXPECT_NE(learned.report.message.find("-0.25"), std::string::npos);
}

TEST_P(LogOddsLearnerTest, WhatNeedsAnswersOfOneAccuracyIsRefused) {
  const auto oracle =
      make_log_odds_oracle(make_softmax_oracle(make_network_oracle(gaussian(4, 6, 2, 4))));
  QueryPlan uniform;
  uniform.mode = QueryPlan::Mode::uniform;
  EXPECT_THROW(learn_from_queries(device(), *oracle, {}, uniform), BadInput);
  QueryProblem polished;
  polished.polish = 0x1p-40;
  EXPECT_THROW(learn_from_queries(device(), *oracle, polished), BadInput);
}

}  // namespace
}  // namespace crease
