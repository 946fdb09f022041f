// One hidden layer that saturates, learned from far out: what it costs, and where it ends.
#include <crease/hessian_learner.hpp>

#include <gmock/gmock.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

constexpr Activation kSaturating[] = {Activation::tanh, Activation::sigmoid, Activation::erf};

/// Directions uniform on the sphere, lengths in [.7, 1.5], biases .3 normal, outputs +-[.5, 1.5].
SmoothNetwork planted(Index d, Index m, Activation g, std::uint64_t seed) {
  SmoothNetwork network(d, {m}, 1, {g});
  HostMatrix& weights = network.hidden[0].weights;
  weights = normals(m, d, seed);
  const HostMatrix drawn = normals(m, 3, seed + 100);
  for (Index i = 0; i < m; ++i) {
    const double length = 0.7 + 0.4 * std::erfc(drawn(i, 0));
    const std::vector<double> unit = unit_vector({weights.row(i), weights.row(i) + d});
    for (Index j = 0; j < d; ++j) weights(i, j) = length * unit[static_cast<std::size_t>(j)];
    network.hidden[0].bias(i, 0) = 0.3 * drawn(i, 1);
    network.output(0, i) = std::copysign(0.5 + std::erfc(std::fabs(drawn(i, 2))), drawn(i, 2));
  }
  network.constant(0, 0) = 0.3;
  return network;
}

/// sup |F - F'| over points of the unit ball.
double ball_error(const SmoothNetwork& truth, const SmoothNetwork& learned) {
  HostMatrix x = normals(2000, truth.inputs(), 4711);
  for (Index i = 0; i < x.rows(); ++i) {
    const double length = std::sqrt(dot(x.row(i), x.row(i), x.cols()));
    for (Index j = 0; j < x.cols(); ++j) x(i, j) /= std::max(length, 1.0);
  }
  const HostMatrix a = exact_values(truth, x), b = exact_values(learned, x);
  double largest = 0;
  for (Index i = 0; i < a.rows(); ++i) largest = std::max(largest, std::fabs(a(i, 0) - b(i, 0)));
  return largest;
}

class OneSaturatingLayerTest : public EveryBackend {
 protected:
  Learned<SmoothNetwork> learned(const SmoothNetwork& truth, std::optional<Index> layers = 1,
                                 double sigma = 0) {
    const std::unique_ptr<Oracle> oracle = make_imperfect_oracle(
        make_network_oracle(truth), {Imperfection::Kind::noise, 0, sigma, Seed{5}});
    SmoothProblem problem;
    problem.layers = layers;
    problem.first = problem.second = truth.hidden[0].activation;
    return learn_from_hessians(device(), *oracle, problem);
  }

  void expect_exact(const SmoothNetwork& truth, const Learned<SmoothNetwork>& result,
                    const std::string& what) {
    EXPECT_EQ(result.report.outcome, Outcome::reached) << what << ": " << result.report.message;
    EXPECT_EQ(result.report.method, "far field") << what;
    EXPECT_EQ(result.network.layers(), 1) << what;
    EXPECT_EQ(result.network.neurons(0), truth.neurons(0)) << what;
    EXPECT_LT(ball_error(truth, result.network), 1e-12) << what;
  }
};
CREASE_ON_EVERY_BACKEND(OneSaturatingLayerTest);

// m + 5 Hessians alone, the least that show a rank of m, are 21 (16^2 + 17) = 5733 queries; the far
// field takes m (3 D + 50), corners and profiles less than 30 m, and then everything is in hand.
TEST_P(OneSaturatingLayerTest, ItCostsFarLessThanTheHessians) {
  constexpr Index m = 16;
  for (const std::optional<Index> layers : {std::optional<Index>(1), std::optional<Index>()}) {
    for (const Activation g : kSaturating) {
      const SmoothNetwork truth = planted(m, m, g, 3);
      const Learned<SmoothNetwork> result = learned(truth, layers);
      expect_exact(truth, result, to_string(g));
      const auto& queries = result.report.queries;
      EXPECT_LT(result.report.learning_queries, 0.75 * (m + 5) * (m * m + m + 1)) << to_string(g);
      EXPECT_LT(queries.at("lines"), 1.5 * m * (3 * m + 50)) << to_string(g);
      EXPECT_LT(queries.at("corners") + queries.at("profiles"), 30 * m) << to_string(g);
      EXPECT_EQ(queries.at("hessians"), 80);  // 16 looks at the curvature
    }
  }
}

TEST_P(OneSaturatingLayerTest, InputsThatDoNotMatterAndOneNeuron) {
  for (const Index m : {1, 5}) {
    for (const Activation g : kSaturating) {
      SmoothNetwork truth = planted(12, m, g, 7);
      for (Index i = 0; i < m; ++i) {
        for (Index j = 0; j < 4; ++j) truth.hidden[0].weights(i, 3 * j) = 0;
      }
      expect_exact(truth, learned(truth), to_string(g) + std::to_string(m));
    }
  }
}

// Lengths from 1/5 to 5, biases up to 2: a sigmoid's mirror image adds to the constant.
TEST_P(OneSaturatingLayerTest, LongAndShortWeightsAndShiftsAtOnce) {
  for (const Activation g : kSaturating) {
    SmoothNetwork truth = planted(6, 6, g, 9);
    for (Index i = 0; i < 6; ++i) {
      const double factor = 0.2 * std::pow(25.0, static_cast<double>(i) / 5);
      for (Index j = 0; j < 6; ++j) truth.hidden[0].weights(i, j) *= factor;
      truth.hidden[0].bias(i, 0) = 0.8 * static_cast<double>(i) - 2;
    }
    expect_exact(truth, learned(truth), to_string(g));
  }
}

// Hessians hide neurons at this noise; sigma of an answer to some four on the ball.
TEST_P(OneSaturatingLayerTest, NoiseThatHidesNeuronsFromHessiansDoesNotHideThem) {
  for (const std::optional<Index> layers : {std::optional<Index>(1), std::optional<Index>()}) {
    const SmoothNetwork truth = planted(12, 12, Activation::tanh, 3);
    const Learned<SmoothNetwork> result = learned(truth, layers, 1e-3);
    EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
    EXPECT_EQ(result.report.method, "far field");
    EXPECT_EQ(result.network.neurons(0), 12);
    EXPECT_LT(ball_error(truth, result.network), 4e-3);
  }
}

// Sigmoids of short weights are straight where the Gaussian is: second differences show nothing of
// them, and steps far out are as high as ever.
TEST_P(OneSaturatingLayerTest, BendsThatNoiseHidesAreSeenFromAfar) {
  SmoothNetwork truth = planted(8, 8, Activation::sigmoid, 3);
  for (Index i = 0; i < 64; ++i) truth.hidden[0].weights.data()[i] *= 0.3;
  const Learned<SmoothNetwork> result = learned(truth, 1, 1e-3);
  EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
  EXPECT_EQ(result.network.neurons(0), 8);
  EXPECT_LT(ball_error(truth, result.network), 4e-3);
}

// The line that tells takes some 25 queries a neuron, m + 5 Hessians D^2 + D + 1.
TEST_P(OneSaturatingLayerTest, MoreNeuronsThanDimensionsAreLeftToHessiansAtOnce) {
  for (const std::optional<Index> layers : {std::optional<Index>(1), std::optional<Index>()}) {
    const SmoothNetwork truth = planted(10, 20, Activation::tanh, 4);
    const Learned<SmoothNetwork> result = learned(truth, layers);
    EXPECT_EQ(result.report.outcome, Outcome::reached) << result.report.message;
    EXPECT_EQ(result.report.method, "one layer");
    EXPECT_EQ(result.network.neurons(0), 20);
    EXPECT_LT(ball_error(truth, result.network), 1e-12);
    EXPECT_LT(result.report.queries.at("lines"), 25 * 20 + 100);
    EXPECT_EQ(result.report.queries.count("corners"), 0U);
    // The line's count is the number of Hessians, and no more are asked than rank and spare.
    EXPECT_LE(result.report.queries.at("hessians"), 80 + (20 + 6) * 111);
  }
}

TEST_P(OneSaturatingLayerTest, WithNoiseTheLineTellsTheCountOfMoreNeuronsThanDimensions) {
  const SmoothNetwork truth = planted(6, 12, Activation::tanh, 4);
  const Learned<SmoothNetwork> result = learned(truth, 1, 1e-4);
  EXPECT_EQ(result.network.neurons(0), 12);
  EXPECT_THAT(result.report.message, HasSubstr("noise floor"));
  EXPECT_LT(ball_error(truth, result.network), 1e-3);
}

// Neurons that do not saturate are left to Hessians; errors hide some at first.
TEST_P(OneSaturatingLayerTest, WithNoiseHessiansAreTakenUntilNothingIsHidden) {
  for (const Activation g : {Activation::softplus, Activation::gelu, Activation::sin}) {
    const SmoothNetwork truth = planted(7, 6, g, 2);
    const Learned<SmoothNetwork> result = learned(truth, 1, 1e-4);
    EXPECT_EQ(result.report.method, "one layer");
    EXPECT_EQ(result.network.neurons(0), 6) << to_string(g);
    EXPECT_THAT(result.report.message, HasSubstr("noise floor")) << to_string(g);
  }
}

}  // namespace
}  // namespace crease
