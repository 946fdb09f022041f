// Fits from far away, and neurons that others can replace.
#include "src/stages/counted_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/smooth_fit.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class CountedFitTest : public EveryBackend {
 protected:
  /// `network` with neuron l of its last layer once more, scaled so that both halves add up to it.
  static SmoothNetwork doubled(const SmoothNetwork& network, Index l) {
    SmoothNetwork wider = network;
    SmoothNetwork::Layer& layer = wider.hidden.back();
    const SmoothNetwork::Layer& old = network.hidden.back();
    layer.weights.append_row(old.weights.row(l), old.weights.cols());
    layer.bias.append_row(old.bias.row(l), 1);
    wider.output = HostMatrix(1, layer.weights.rows());
    for (Index i = 0; i < network.output.cols(); ++i) wider.output(0, i) = network.output(0, i);
    wider.output(0, l) *= 0.25;
    wider.output(0, layer.weights.rows() - 1) = 0.75 * network.output(0, l);
    return wider;
  }
  CountFit thinned_on(const SmoothNetwork& truth, const SmoothNetwork& wide, Index least) {
    const HostMatrix x = normals(400, truth.inputs(), 5);
    const DeviceMatrix points = upload(device(), x);
    const DeviceMatrix values = upload(device(), exact_values(truth, x));
    return thinned(device(), {points, values, 1, 1e-9, {}}, {wide, 1e-15}, least);
  }
};
CREASE_ON_EVERY_BACKEND(CountedFitTest);

TEST_P(CountedFitTest, NeuronsThatDoNothingOrAgreeGo) {
  for (const std::vector<Index>& neurons : {std::vector<Index>{3}, {4, 3}}) {
    const SmoothNetwork truth =
        planted_smooth(4, neurons, 1, std::vector<Activation>(neurons.size(), Activation::tanh), 2);
    SmoothNetwork wide = doubled(doubled(truth, 1), 2);
    wide = doubled(wide, 0);
    wide.output(0, 0) = truth.output(0, 0);
    wide.output(0, 5) = 0;
    const CountFit thin = thinned_on(truth, wide, 1);
    EXPECT_EQ(thin.network.neurons(thin.network.layers() - 1), 3);
    EXPECT_LT(thin.rms, 1e-12);
    EXPECT_EQ(thinned_on(truth, wide, 5).network.hidden.back().weights.rows(), 5);
  }
}

TEST_P(CountedFitTest, NeuronsThatMatterStay) {
  const SmoothNetwork truth = planted_smooth(4, {3}, 1, {Activation::sigmoid}, 2);
  const CountFit thin = thinned_on(truth, truth, 1);
  EXPECT_EQ(thin.network.neurons(0), 3);
  EXPECT_TRUE(same_bits(thin.network.output, truth.output));
}

TEST_P(CountedFitTest, StartsAreOfUnitWeightsAndBothSigns) {
  Random random(Seed{1});
  const SmoothNetwork start = random_neurons(random, 6, Activation::gelu, 5, 2);
  for (Index l = 0; l < 5; ++l) {
    double square = 0;
    for (Index i = 0; i < 6; ++i) square += std::pow(start.hidden[0].weights(l, i), 2);
    EXPECT_NEAR(square, 1, 1e-14);
    EXPECT_EQ(start.output(0, l), l < 3 ? 1 : -1);
  }
}

// One hidden layer of Gaussian points, its count not known, outputs of both signs.
TEST_P(CountedFitTest, CountsOfEverySecondActivationAreFound) {
  for (const Activation h : kActivations) {
    const SmoothNetwork truth = planted_smooth(6, {3}, 1, {h}, 7);
    Random random(Seed{1});
    std::uint64_t seed = 0;
    CountProblem problem;
    problem.last = h;
    problem.ask = [&](Index n) {
      HostMatrix x = normals(n, 6, ++seed);
      HostMatrix y = exact_values(truth, x);
      return CountProblem::Rows{std::move(x), std::move(y)};
    };
    problem.start = [&](Index neurons, Index negative) {
      return random_neurons(random, 6, h, neurons, negative);
    };
    CountPlan plan;
    plan.most_neurons = 10;
    const Counted counted = fit_counted(device(), problem, plan);
    EXPECT_TRUE(counted.settled) << to_string(h);
    EXPECT_EQ(counted.network.neurons(0), 3) << to_string(h);
    plan.least_neurons = 0;
    EXPECT_THROW(fit_counted(device(), problem, plan), BadInput);
    plan.neurons = 0;
    EXPECT_THROW(fit_counted(device(), problem, plan), BadInput);
  }
}

TEST_P(CountedFitTest, AConstantIsSettledAtOnce) {
  CountProblem problem;
  problem.ask = [](Index n) { return CountProblem::Rows{normals(n, 3, 1), HostMatrix(n, 1, 2.5)}; };
  problem.start = [](Index neurons, Index) {
    return SmoothNetwork(3, {neurons}, 1, {Activation::tanh});
  };
  CountPlan plan;
  plan.tried = [](Index, double) { ADD_FAILURE() << "a fit"; };
  const Counted counted = fit_counted(device(), problem, plan);
  EXPECT_TRUE(counted.settled);
  EXPECT_NEAR(counted.network.constant(0, 0), 2.5, 1e-13);  // a mean
}

}  // namespace
}  // namespace crease
