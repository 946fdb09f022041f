// Planted two-layer networks come back from corners, whatever their activations.
#include "src/stages/corners.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class CornersTest : public EveryBackend {
 protected:
  struct Found {
    Corners corners;
    SmoothNetwork network;
    Index asked = 0;          // at corners
    std::vector<double> rms;  // of every fit
  };
  enum class How { corners, both };
  Found found(const SmoothNetwork& truth, const CornersPlan& plan = {}, How how = How::corners) {
    std::unique_ptr<Oracle> oracle = make_network_oracle(truth);
    return found(*oracle, truth, plan, how);
  }
  Found found(Oracle& oracle, const SmoothNetwork& truth, CornersPlan plan,
              How how = How::corners) {
    RunControl control;
    Asker asker(device(), oracle, control);
    asker.enter("corners");
    Random random(Seed{1});
    const SaturatedLayer first =
        saturated_layer(truth.hidden[0].weights, truth.hidden[0].activation);
    Found result;
    plan.tried = [&](Index, double rms) { result.rms.push_back(rms); };
    const Activation h = truth.hidden[1].activation;
    result.corners = how == How::both ? learn_both_layers(asker, random, first, h, plan)
                                      : learn_corners(asker, random, first, h, plan);
    result.asked = asker.asked();
    result.network = how == How::both
                         ? result.corners.second
                         : with_first_layer(asker, random, first, result.corners.second);
    return result;
  }
  /// The largest error at Gaussian points.
  double error(const SmoothNetwork& network, const SmoothNetwork& truth) {
    const HostMatrix x = normals(300, truth.inputs(), 77);
    const HostMatrix y = evaluate(device(), network, x);
    const HostMatrix exact = exact_values(truth, x);
    double largest = 0;
    for (Index i = 0; i < y.rows(); ++i) {
      largest = std::max(largest, std::abs(y(i, 0) - exact(i, 0)));
    }
    return largest;
  }
};
CREASE_ON_EVERY_BACKEND(CornersTest);

// Corner fits end at rounding; the duals stretch it by 1 / the least singular value of the
// directions, here up to a hundred.
TEST_P(CornersTest, NetworksOfAllSaturatingFirstLayersComeBackAsFunctions) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::erf}) {
    for (const Activation h : {Activation::tanh, Activation::sigmoid, Activation::softplus}) {
      const SmoothNetwork truth = planted_layers(9, 8, 3, g, h, 1);
      const Found got = found(truth);
      const std::string what = to_string(g) + " " + to_string(h);
      EXPECT_TRUE(got.corners.settled) << what;
      EXPECT_TRUE(got.corners.determined) << what;
      EXPECT_EQ(got.corners.second.neurons(0), 3) << what;
      EXPECT_LT(got.corners.rms, 1e-13) << what;
      EXPECT_LT(error(got.network, truth), 1e-9) << what;
    }
  }
}

TEST_P(CornersTest, CountsAreFoundUpwardsOnTheSameCorners) {
  const SmoothNetwork truth = planted_layers(10, 10, 5, Activation::tanh, Activation::tanh, 4);
  const Found got = found(truth);
  EXPECT_EQ(got.corners.second.neurons(0), 5);
  ASSERT_GE(got.rms.size(), 5u);
  for (std::size_t t = 0; t < 4; ++t) EXPECT_GT(got.rms[t], 1e-3);
  EXPECT_EQ(got.asked, 4 * (static_cast<Index>(got.rms.size()) * 12 + 1) + 50);
}

TEST_P(CornersTest, AGivenCountIsKept) {
  const SmoothNetwork truth = planted_layers(8, 8, 3, Activation::tanh, Activation::tanh, 2);
  for (const Index given : {3, 4}) {
    CornersPlan plan;
    plan.neurons = given;
    const Found got = found(truth, plan);
    EXPECT_TRUE(got.corners.settled);
    EXPECT_EQ(got.corners.second.neurons(0), given);
    EXPECT_LT(error(got.network, truth), 1e-6);  // one too many: a valley, left at 1e-9
  }
}

TEST_P(CornersTest, NoiseIsFittedToItsLevel) {
  const SmoothNetwork truth = planted_layers(10, 10, 3, Activation::tanh, Activation::sigmoid, 3);
  constexpr double kSigma = 1e-4;
  const std::unique_ptr<Oracle> oracle = make_imperfect_oracle(
      make_network_oracle(truth), {Imperfection::Kind::noise, 0, kSigma, Seed{5}});
  CornersPlan plan;
  plan.sigma = kSigma;
  const Found got = found(*oracle, truth, plan);
  EXPECT_TRUE(got.corners.settled);
  EXPECT_EQ(got.corners.second.neurons(0), 3);
  EXPECT_GT(got.corners.rms, 0.7 * kSigma);
  EXPECT_LT(error(got.network, truth), 50 * kSigma);
}

// The answers' errors are larger than told: no fit settles, and the first good one is kept.
TEST_P(CornersTest, NoiseThatNobodyToldOfEndsTheSearchEarly) {
  const SmoothNetwork truth = planted_layers(8, 8, 2, Activation::tanh, Activation::tanh, 3);
  const std::unique_ptr<Oracle> oracle = make_imperfect_oracle(
      make_network_oracle(truth), {Imperfection::Kind::noise, 0, 1e-6, Seed{5}});
  const Found got = found(*oracle, truth, {});
  EXPECT_FALSE(got.corners.settled);
  EXPECT_LT(got.corners.rms, 1e-5);
  EXPECT_EQ(got.corners.second.neurons(0), 2);
  EXPECT_EQ(got.rms.size(), 2u + 4u);
  EXPECT_LT(error(got.network, truth), 1e-3);
}

TEST_P(CornersTest, FewCornersAndSineNeedBothLayersAtOnce) {
  const SmoothNetwork small[] = {
      planted_layers(4, 3, 2, Activation::tanh, Activation::tanh, 1),
      planted_layers(4, 4, 2, Activation::sigmoid, Activation::softplus, 2),
      planted_layers(5, 5, 2, Activation::erf, Activation::sin, 3)};
  for (const SmoothNetwork& truth : small) {
    EXPECT_FALSE(found(truth).corners.determined);
    const Found got = found(truth, {}, How::both);
    EXPECT_TRUE(got.corners.settled);
    EXPECT_TRUE(got.corners.determined);
    EXPECT_EQ(got.network.neurons(1), 2);
    EXPECT_LT(error(got.network, truth), 1e-10);
  }
}

// Four saturated signs multiplied are no sum of two neurons.
TEST_P(CornersTest, WhatIsNoSecondLayerIsNotSettled) {
  const std::unique_ptr<Oracle> oracle = make_host_oracle(6, 1, [](ConstHostView x, HostView y) {
    for (Index i = 0; i < x.rows; ++i) {
      y(i, 0) = std::tanh(x(i, 0)) * std::tanh(x(i, 1)) * std::tanh(x(i, 2)) * std::tanh(x(i, 3));
    }
  });
  RunControl control;
  Asker asker(device(), *oracle, control);
  Random random(Seed{1});
  CornersPlan plan;
  plan.most_neurons = 2;
  std::vector<Index> tried;
  plan.tried = [&](Index neurons, double) { tried.push_back(neurons); };
  const Corners got = learn_corners(asker, random, saturated_layer(identity(6), Activation::tanh),
                                    Activation::tanh, plan);
  EXPECT_FALSE(got.settled);
  EXPECT_EQ(tried, (std::vector<Index>{1, 2}));
  EXPECT_GT(got.rms, 0.3 * got.deviation);
}

TEST_P(CornersTest, AStopEndsItWithTheBestSoFar) {
  const SmoothNetwork truth = planted_layers(8, 8, 3, Activation::tanh, Activation::tanh, 2);
  CornersPlan plan;
  plan.stop = [] { return true; };
  const Found none = found(truth, plan);
  EXPECT_TRUE(none.rms.empty());
  EXPECT_FALSE(none.corners.settled);
  EXPECT_DOUBLE_EQ(none.corners.rms, none.corners.deviation);
  int asked = 0;
  plan.stop = [&] { return ++asked > 8; };
  const Found some = found(truth, plan);
  EXPECT_EQ(some.rms.size(), 1u);
  EXPECT_FALSE(some.corners.settled);
  EXPECT_LT(some.corners.rms, some.corners.deviation);
}

TEST_P(CornersTest, CountingStartsWhereItIsTold) {
  const SmoothNetwork truth = planted_layers(10, 10, 5, Activation::tanh, Activation::tanh, 4);
  CornersPlan plan;
  plan.least_neurons = 4;
  const Found got = found(truth, plan);
  EXPECT_EQ(got.corners.second.neurons(0), 5);
  ASSERT_GE(got.rms.size(), 4u);  // three of four neurons
  for (std::size_t t = 0; t < 3; ++t) EXPECT_GT(got.rms[t], 1e-3);
  EXPECT_LT(error(got.network, truth), 1e-9);
}

// A told count of 500 would be 20001 unknowns: neither its corners are asked nor its matrices made.
TEST_P(CornersTest, FitsOfMoreUnknownsThanAllowedAreNotMade) {
  const SmoothNetwork truth = planted_layers(8, 8, 3, Activation::tanh, Activation::tanh, 2);
  for (const bool told : {true, false}) {
    CornersPlan plan;
    if (told) plan.neurons = 500;
    plan.most_unknowns = told ? 4000 : 25;  // two neurons: 21 unknowns, three: 31
    const Found got = found(truth, plan);
    EXPECT_TRUE(got.corners.cut);
    EXPECT_FALSE(got.corners.settled);
    EXPECT_EQ(got.rms.size(), told ? 0u : 2u);
    EXPECT_EQ(got.asked, 4 * (told ? 11 : 21) + 50);
  }
}

TEST_P(CornersTest, ABudgetThatIsSpentPasses) {
  const SmoothNetwork truth = planted_layers(8, 8, 3, Activation::tanh, Activation::tanh, 2);
  const std::unique_ptr<Oracle> oracle = make_network_oracle(truth);
  RunControl control;
  control.budget.queries = 20;
  Asker asker(device(), *oracle, control);
  Random random(Seed{1});
  EXPECT_THROW(
      learn_corners(asker, random, saturated_layer(truth.hidden[0].weights, Activation::tanh),
                    Activation::tanh),
      EndOfRun);
}

TEST_P(CornersTest, SmallScalesReachFarther) {
  for (const double scale : {1.0, 0.25}) {
    SmoothNetwork truth = planted_layers(7, 7, 2, Activation::tanh, Activation::tanh, 6);
    SaturatedLayer first = saturated_layer(truth.hidden[0].weights, Activation::tanh);
    HostMatrix& weights = truth.hidden[0].weights;
    for (Index i = 0; i < weights.size(); ++i) weights.data()[i] *= scale;
    const std::unique_ptr<Oracle> oracle = make_network_oracle(truth);
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{1});
    first.reach = saturating_reach(asker, random, first);
    EXPECT_GE(scale * first.reach, 12);
    EXPECT_LE(scale * first.reach, 20);
    const Corners corners = learn_corners(asker, random, first, Activation::tanh);
    EXPECT_TRUE(corners.settled);
    EXPECT_LT(error(with_first_layer(asker, random, first, corners.second), truth), 1e-7);
  }
}

TEST_P(CornersTest, DualsAreDualToDirections) {
  const HostMatrix directions = normals(4, 6, 3);
  const SaturatedLayer layer = saturated_layer(directions, Activation::sigmoid);
  EXPECT_EQ(layer.reach, 40);
  EXPECT_LT(distance(product(directions, transposed(layer.dual)).value, identity(4)), 1e-13);
}

TEST_P(CornersTest, WhatDoesNotFitIsRefused) {
  const HostMatrix directions = normals(3, 4, 3);
  EXPECT_THROW(saturated_layer(directions, Activation::softplus), BadInput);
  EXPECT_THROW(saturated_layer(HostMatrix(0, 4), Activation::tanh), BadInput);
  EXPECT_THROW(saturated_layer(normals(5, 4, 3), Activation::tanh), BadInput);
  EXPECT_THROW(saturated_layer({{1, 2, 3}, {2, 4, 6}}, Activation::tanh), BadInput);
  const SaturatedLayer first = saturated_layer(directions, Activation::tanh);
  const auto refuses = [&](Index inputs, Index outputs, SaturatedLayer layer, CornersPlan plan) {
    const std::unique_ptr<Oracle> oracle =
        make_host_oracle(inputs, outputs, [](ConstHostView, HostView) {});
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{1});
    EXPECT_THROW(learn_corners(asker, random, layer, Activation::tanh, plan), BadInput);
    EXPECT_THROW(learn_both_layers(asker, random, layer, Activation::tanh, plan), BadInput);
    EXPECT_EQ(asker.asked(), 0);
  };
  refuses(4, 2, first, {});
  refuses(5, 1, first, {});
  SaturatedLayer short_dual = first;
  short_dual.dual = HostMatrix(2, 4);
  refuses(4, 1, short_dual, {});
  CornersPlan plan;
  plan.neurons = 0;
  refuses(4, 1, first, plan);
  plan = {};
  plan.sigma = -1;
  refuses(4, 1, first, plan);
}

}  // namespace
}  // namespace crease
