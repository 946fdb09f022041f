// Polish: planted networks made exact, their error estimates held to the truth, and what it
// refuses.
#include "src/stages/polish.hpp"

#include <crease/oracle.hpp>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/hypothesis_of.hpp"
#include "tests/support/near.hpp"
#include "tests/support/noisy_oracle.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr double kTolerance = 0x1p-40;
constexpr double kStart = 1e-9;  // errors of the network that is polished

/// The largest error of weights and biases of a polished network, by the true ones.
double worst_error(const ReluNetwork& truth, const Hypothesis& polished) {
  const NetworkMatch found = match(truth, polished.network());
  EXPECT_EQ(found.matched, found.target);
  EXPECT_EQ(found.spurious, 0);
  return std::max(found.weights, found.biases);
}

struct PolishRun {
  PolishRun(Device& device, Oracle& oracle, RunControl given = {})
      : control(std::move(given)), asker(device, oracle, control), random(Seed{5}) {
    asker.enter("lines");
  }

  Polished polish(const Hypothesis& hypothesis, const NoiseModel& noise) {
    const Paid nothing(asker.inputs(), asker.outputs(), Index{1} << 20);
    return crease::polish(asker, random, noise, nothing, kTolerance, hypothesis);
  }

  RunControl control;
  Asker asker;
  Random random;
};

Hypothesis roughly(const ReluNetwork& truth) {
  const std::vector<double> base = row_of(normals(1, truth.inputs(), 77), 0);
  return disturbed(hypothesis_of(truth, base, kStart, 3 * kStart), kStart, 78);
}

class PolishTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(PolishTest);

TEST_P(PolishTest, ReachesItsToleranceWithNothingPaidFor) {
  for (const Index p : {1, 3}) {
    for (const Index k : {1, 6}) {
      const ReluNetwork truth = planted_network(12, k, p, 31);
      const auto oracle = make_network_oracle(truth);
      PolishRun run(device(), *oracle);

      const Polished polished = run.polish(roughly(truth), relative_noise(kRounding, p));

      ASSERT_TRUE(polished.accepted) << polished.message;
      EXPECT_TRUE(at_most(worst_error(truth, polished.hypothesis), kTolerance))
          << "k=" << k << " p=" << p;
      EXPECT_EQ(polished.report.unfinished, 0);
      ASSERT_EQ(static_cast<Index>(polished.errors.size()), k);
    }
  }
}

/// With one output k neurons take k + 1 gradients, 13 here. With p, one gradient each holds p rows:
/// (k + p) / p, directions of outputs on top, and log2(k + 1) so that patterns tell neurons apart:
/// 10 at most.
TEST_P(PolishTest, SeveralOutputsDivideItsPrice) {
  const Index d = 24;
  const Index k = 12;
  const Index p = 4;
  const ReluNetwork truth = planted_network(d, k, p, 32);
  const auto oracle = make_network_oracle(truth);
  PolishRun run(device(), *oracle);

  const Polished polished = run.polish(roughly(truth), relative_noise(kRounding, p));

  ASSERT_TRUE(polished.accepted) << polished.message;
  EXPECT_TRUE(at_most(worst_error(truth, polished.hypothesis), kTolerance));
  EXPECT_LE(polished.report.fans, 10);
}

TEST_P(PolishTest, AnAffineFunctionNeedsOneGradient) {
  ReluNetwork truth(5, 0, 2);
  truth.linear = normals(2, 5, 1);
  truth.constant = normals(2, 1, 2);
  const auto oracle = make_network_oracle(truth);
  PolishRun run(device(), *oracle);
  Hypothesis start =
      disturbed(hypothesis_of(truth, std::vector<double>(5, 0.0), kStart, kStart), kStart, 3);
  start.gradient_noise.assign(2, kStart);

  const Polished polished = run.polish(start, relative_noise(kRounding, 2));

  ASSERT_TRUE(polished.accepted) << polished.message;
  EXPECT_EQ(polished.report.fans, 1);
  EXPECT_TRUE(at_most(distance(polished.hypothesis.gradient, truth.linear), kTolerance));
  EXPECT_TRUE(at_most(distance(polished.hypothesis.constant, truth.constant), kTolerance));
}

TEST_P(PolishTest, AMissingNeuronIsNotSpreadOverTheOthers) {
  const ReluNetwork truth = planted_network(10, 6, 1, 33);
  const auto oracle = make_network_oracle(truth);
  PolishRun run(device(), *oracle);
  Hypothesis start = roughly(truth);
  start.remove({2});

  const Polished polished = run.polish(start, relative_noise(kRounding, 1));

  EXPECT_FALSE(polished.accepted);
  EXPECT_NE(polished.message.find("missing"), std::string::npos) << polished.message;
}

/// Errors of the d components of one weight vector are independent and Gaussian: with z in their
/// estimated standard deviations, sum z^2 / d exceeds 4 with probability below 1e-9 for d = 24
/// (chi-squared), and so does the average over all neurons fall below 1/4. A factor 1.2 on the
/// noise (mirrored points) and its own spread (16 points: at most 1.7 either way at 1e-3) are
/// within that.
TEST_P(PolishTest, ErrorEstimatesAreThoseOfTheTruth) {
  const Index d = 24;
  for (const Index p : {1, 3}) {
    const ReluNetwork truth = planted_network(d, 5, p, 34);
    const double sigma = 1e-10;  // far above rounding: errors are the estimate's own
    const auto oracle = noisy_oracle(truth, sigma);
    PolishRun run(device(), *oracle);
    NoiseModel noise = relative_noise(0, p);
    noise.absolute.assign(static_cast<std::size_t>(p), sigma);
    const std::vector<double> base = row_of(normals(1, d, 77), 0);
    const Hypothesis exact = hypothesis_of(truth, base, 0, 0);

    const Polished polished =
        run.polish(disturbed(hypothesis_of(truth, base, 1e-6, 3e-6), 1e-6, 5), noise);

    ASSERT_TRUE(polished.accepted) << polished.message;
    double all = 0;
    for (Index j = 0; j < 5; ++j) {
      const auto size = [&](const Hypothesis& h) {
        return std::sqrt(dot(h.scales.row(j), h.scales.row(j), p));
      };
      const NeuronError& error = polished.errors[static_cast<std::size_t>(j)];
      double squares = 0;
      for (Index i = 0; i < d; ++i) {
        const double off = polished.hypothesis.normals(j, i) * size(polished.hypothesis) -
                           exact.normals(j, i) * size(exact);
        squares += off * off / (error.weights * error.weights);
      }
      EXPECT_LE(squares / static_cast<double>(d), 4.0) << "neuron " << j << " p=" << p;
      all += squares / static_cast<double>(d * 5);
      const auto jj = static_cast<std::size_t>(j);
      const double bias =
          polished.hypothesis.bias[jj] * size(polished.hypothesis) - exact.bias[jj] * size(exact);
      EXPECT_LE(std::abs(bias), 6 * error.bias) << "neuron " << j << " p=" << p;
    }
    EXPECT_GE(all, 0.25) << "p=" << p;
  }
}

/// At a relative distance eps the cell between two hyperplanes is eps |x| wide, and their
/// difference across it is not better than the noise of a value over that width.
TEST_P(PolishTest, NearDuplicatesComeAsNearAsTheirEstimatesSay) {
  ReluNetwork truth = planted_network(10, 5, 1, 35);
  const HostMatrix turn = normals(1, 10, 36);
  for (Index i = 0; i < 10; ++i) truth.weights(1, i) = truth.weights(0, i) + 1e-3 * turn(0, i);
  truth.bias(1, 0) = truth.bias(0, 0) + 1e-3;
  const auto oracle = make_network_oracle(truth);
  PolishRun run(device(), *oracle);
  const Hypothesis start = roughly(truth);
  const std::vector<double> base = start.base;
  const Hypothesis exact = hypothesis_of(truth, base, 0, 0);

  const Polished polished = run.polish(start, relative_noise(kRounding, 1));

  ASSERT_TRUE(polished.accepted) << polished.message;
  for (Index j = 0; j < 5; ++j) {
    for (Index i = 0; i < 10; ++i) {
      const double off = polished.hypothesis.normals(j, i) * polished.hypothesis.scales(j, 0) -
                         exact.normals(j, i) * exact.scales(j, 0);
      EXPECT_LE(std::abs(off), 8 * polished.errors[static_cast<std::size_t>(j)].weights)
          << "neuron " << j << " input " << i;
    }
  }
}

TEST_P(PolishTest, StopsWhereItsQueriesEnd) {
  const ReluNetwork truth = planted_network(12, 6, 1, 31);
  for (const Index budget : {1, 40, 64, 70, 100, 130}) {
    const auto oracle = make_network_oracle(truth);
    RunControl control;
    control.budget.queries = budget;
    PolishRun run(device(), *oracle, control);

    const Polished polished = run.polish(roughly(truth), relative_noise(kRounding, 1));

    EXPECT_LE(run.asker.asked(), budget);
    if (!polished.accepted) continue;
    EXPECT_GT(polished.report.unfinished, 0) << budget;
    EXPECT_FALSE(polished.message.empty()) << budget;
  }
}

TEST_P(PolishTest, AnOracleThatFailsLeavesTheNetworkAsItWas) {
  RecordingOracle oracle(planted_network(12, 6, 1, 31), RecordingOracle::Manner::structured);
  const Hypothesis start = roughly(planted_network(12, 6, 1, 31));
  for (const std::size_t fails_at : {1, 2, 3, 4}) {
    oracle.batches.clear();
    oracle.after = [&](Device&, DeviceView) {
      if (oracle.batches.size() >= fails_at) throw std::runtime_error("the cable is out");
    };
    PolishRun run(device(), oracle);
    const Hypothesis before = start;

    EXPECT_THROW(run.polish(start, relative_noise(kRounding, 1)), std::exception) << fails_at;

    EXPECT_TRUE(same_bits(start.normals, before.normals));
  }
}

TEST_P(PolishTest, TheSameSeedGivesTheSameBits) {
  const ReluNetwork truth = planted_network(9, 5, 2, 37);
  HostMatrix weights[2];
  for (HostMatrix& result : weights) {
    const auto oracle = make_network_oracle(truth);
    PolishRun run(device(), *oracle);
    result = run.polish(roughly(truth), relative_noise(kRounding, 2)).hypothesis.normals;
  }

  EXPECT_TRUE(same_bits(weights[0], weights[1]));
}

}  // namespace
}  // namespace crease
