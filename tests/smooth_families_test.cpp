// What planted smooth networks promise.
#include "src/smooth_families.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/same_network.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;
using Coefficients = SmoothPlan::Coefficients;
using Directions = SmoothPlan::Directions;

constexpr double kEps = std::numeric_limits<double>::epsilon();

SmoothPlan plan_of(Index inputs, Index neurons, std::optional<Index> second_layer = {}) {
  SmoothPlan plan;
  plan.inputs = inputs;
  plan.neurons = neurons;
  plan.second_layer = second_layer;
  return plan;
}

double inner(const HostMatrix& a, Index i, Index j) {
  double sum = 0;
  for (Index t = 0; t < a.cols(); ++t) sum += a(i, t) * a(j, t);
  return sum;
}

double largest(const HostMatrix& a) {
  double most = 0;
  for (Index t = 0; t < a.size(); ++t) most = std::max(most, std::abs(a.data()[t]));
  return most;
}

TEST(SmoothFamiliesTest, EveryPlanHasTheSizesAskedForAndIsAGoodNetwork) {
  for (const std::optional<Index> second : {std::optional<Index>(), std::optional<Index>(4)}) {
    for (const Index outputs : {1, 3}) {
      SmoothPlan plan = plan_of(7, 9, second);
      plan.outputs = outputs;
      const SmoothNetwork network = make_smooth_network(plan, Seed{5});
      EXPECT_NO_THROW(check(network));
      EXPECT_EQ(network.inputs(), 7);
      EXPECT_EQ(network.layers(), second ? 2 : 1);
      EXPECT_EQ(network.neurons(0), 9);
      if (second) {
        EXPECT_EQ(network.neurons(1), 4);
      }
      EXPECT_EQ(network.outputs(), outputs);
      EXPECT_EQ(largest(network.linear), 0);
    }
  }
}

TEST(SmoothFamiliesTest, TheSeedDecidesEveryBit) {
  for (const Directions directions : {Directions::sphere, Directions::orthogonal}) {
    SmoothPlan plan = plan_of(8, 6, 3);
    plan.directions = directions;
    plan.outputs = 2;
    const SmoothNetwork network = make_smooth_network(plan, Seed{1});
    EXPECT_TRUE(same_bits(network, make_smooth_network(plan, Seed{1})));
    const SmoothNetwork other = make_smooth_network(plan, Seed{2});
    for (std::size_t l = 0; l < 2; ++l) {
      EXPECT_FALSE(same_bits(network.hidden[l].weights, other.hidden[l].weights));
      EXPECT_FALSE(same_bits(network.hidden[l].bias, other.hidden[l].bias));
    }
    EXPECT_FALSE(same_bits(network.output, other.output));
  }
}

TEST(SmoothFamiliesTest, OneLayerIsWhatTheSpecificationPlants) {
  // 2000 neurons: minima and maxima of uniform numbers lie within 1 % of their ends but with
  // probability 2 exp(-20).
  const SmoothNetwork network = make_smooth_network(plan_of(5, 2000), Seed{3});
  const SmoothNetwork::Layer& layer = network.hidden[0];
  double least_norm = 9, most_norm = 0, least_output = 9, most_output = 0, shifts = 0;
  Index positive = 0;
  for (Index i = 0; i < 2000; ++i) {
    const double norm = std::sqrt(inner(layer.weights, i, i));
    least_norm = std::min(least_norm, norm);
    most_norm = std::max(most_norm, norm);
    const double output = std::abs(network.output(0, i));
    least_output = std::min(least_output, output);
    most_output = std::max(most_output, output);
    positive += network.output(0, i) > 0;
    shifts += layer.bias(i, 0) * layer.bias(i, 0) / 2000;
  }
  EXPECT_GE(least_norm, 0.7 - 4 * kEps);
  EXPECT_LT(least_norm, 0.708);
  EXPECT_LE(most_norm, 1.5 + 4 * kEps);
  EXPECT_GT(most_norm, 1.492);
  EXPECT_GE(least_output, 0.5);
  EXPECT_LT(least_output, 0.51);
  EXPECT_LT(most_output, 1.5 + kEps);
  EXPECT_GT(most_output, 1.49);
  // Five standard deviations: of a binomial, and of a mean of squares of normals.
  EXPECT_NEAR(static_cast<double>(positive), 1000, 5 * std::sqrt(500));
  EXPECT_NEAR(shifts, 0.09, 0.09 * 5 * std::sqrt(2.0 / 2000));
  EXPECT_EQ(network.constant(0, 0), 0.3);
  EXPECT_EQ(layer.activation, Activation::tanh);
}

TEST(SmoothFamiliesTest, DirectionsOfTheSphereAreIndependent) {
  // <a, a'> of unit vectors has mean 0 and variance 1 / d; its square has variance below 2 / d^2.
  constexpr Index kRows = 60, kInputs = 40;
  const SmoothNetwork network = make_smooth_network(plan_of(kInputs, kRows, 2), Seed{8});
  const HostMatrix& a = network.hidden[0].weights;
  double sum = 0;
  for (Index i = 0; i < kRows; ++i) {
    for (Index j = 0; j < i; ++j) sum += inner(a, i, j) * inner(a, i, j);
  }
  const double pairs = kRows * (kRows - 1) / 2.0;
  EXPECT_NEAR(sum / pairs, 1.0 / kInputs, 5 * std::sqrt(2 / pairs) / kInputs);
}

TEST(SmoothFamiliesTest, TwoLayersAreWhatTheSpecificationPlants) {
  SmoothPlan plan = plan_of(12, 10, 6);
  plan.activations = {Activation::sigmoid, Activation::erf};
  const SmoothNetwork network = make_smooth_network(plan, Seed{3});
  for (const SmoothNetwork::Layer& layer : network.hidden) {
    for (Index i = 0; i < layer.weights.rows(); ++i) {
      EXPECT_NEAR(inner(layer.weights, i, i), 1, 8 * kEps);
    }
    EXPECT_LT(largest(layer.bias), 0.05 * 5);
    EXPECT_GT(largest(layer.bias), 0.05 / 5);
  }
  EXPECT_EQ(network.hidden[0].activation, Activation::sigmoid);
  EXPECT_EQ(network.hidden[1].activation, Activation::erf);
  for (Index l = 0; l < 6; ++l) EXPECT_EQ(network.output(0, l), 1);
  EXPECT_EQ(network.constant(0, 0), 0);
}

TEST(SmoothFamiliesTest, OrthogonalDirectionsAreNearlySo) {
  // Before they are tilted by t_i ~ N(0, (0.3^2 / d) I) the rows q_i are orthonormal, so that
  // <q_i + t_i, q_j + t_j> has the variance s = 2 (0.09 / d) + 0.09^2 / d, and length^2 is about
  // 1.09. Independent directions would have 1 / d.
  constexpr Index kInputs = 50;
  SmoothPlan plan = plan_of(kInputs, kInputs, 3);
  plan.directions = Directions::orthogonal;
  const HostMatrix a = make_smooth_network(plan, Seed{2}).hidden[0].weights;
  double sum = 0;
  for (Index i = 0; i < kInputs; ++i) {
    EXPECT_NEAR(inner(a, i, i), 1, 8 * kEps);
    for (Index j = 0; j < i; ++j) sum += inner(a, i, j) * inner(a, i, j);
  }
  const double pairs = kInputs * (kInputs - 1) / 2.0;
  const double expected = (2 * 0.09 + 0.09 * 0.09) / (1.09 * 1.09) / kInputs;
  EXPECT_NEAR(sum / pairs, expected, 0.2 * expected);
}

TEST(SmoothFamiliesTest, OptionsChangeWhatTheyName) {
  SmoothPlan plan = plan_of(6, 5, 4);
  const SmoothNetwork usual = make_smooth_network(plan, Seed{4});

  SmoothPlan wide = plan;
  wide.shifts = 1;
  const SmoothNetwork shifted = make_smooth_network(wide, Seed{4});
  EXPECT_TRUE(same_bits(shifted.hidden[0].weights, usual.hidden[0].weights));
  for (std::size_t l = 0; l < 2; ++l) {
    for (Index i = 0; i < shifted.hidden[l].bias.rows(); ++i) {
      EXPECT_NEAR(shifted.hidden[l].bias(i, 0), 20 * usual.hidden[l].bias(i, 0), 1e-15);
    }
  }
  wide.shifts = 0;
  EXPECT_EQ(largest(make_smooth_network(wide, Seed{4}).hidden[0].bias), 0);

  SmoothPlan spread = plan;
  spread.coefficients = Coefficients::spread;
  const SmoothNetwork uneven = make_smooth_network(spread, Seed{4});
  EXPECT_TRUE(same_bits(uneven.hidden[1].weights, usual.hidden[1].weights));
  EXPECT_NE(std::abs(uneven.output(0, 0)), std::abs(uneven.output(0, 1)));

  SmoothPlan even = plan_of(6, 5);
  even.coefficients = Coefficients::unit;
  EXPECT_EQ(make_smooth_network(even, Seed{4}).output(0, 3), 1);

  // One activation is that of both layers.
  plan.activations = {Activation::sin};
  EXPECT_EQ(make_smooth_network(plan, Seed{4}).hidden[1].activation, Activation::sin);
}

TEST(SmoothFamiliesTest, TheLayersAreDrawnApart) {
  const SmoothNetwork network = make_smooth_network(plan_of(5, 5, 5), Seed{4});
  for (Index i = 0; i < 5; ++i) {
    EXPECT_NE(network.hidden[0].weights(i, 0), network.hidden[1].weights(i, 0));
    EXPECT_NE(network.hidden[0].bias(i, 0), network.hidden[1].bias(i, 0));
  }
}

TEST(SmoothFamiliesTest, OutputsDiffer) {
  for (const std::optional<Index> second : {std::optional<Index>(), std::optional<Index>(4)}) {
    SmoothPlan plan = plan_of(6, 5, second);
    plan.outputs = 2;
    const SmoothNetwork network = make_smooth_network(plan, Seed{4});
    EXPECT_NE(network.output(0, 0), network.output(1, 0));
  }
}

TEST(SmoothFamiliesTest, WhatCannotBeMadeIsRefused) {
  const auto refusal = [](SmoothPlan plan, auto change) -> std::string {
    change(plan);
    try {
      make_smooth_network(plan, Seed{});
    } catch (const BadInput& error) {
      return error.what();
    }
    return "";
  };
  const SmoothPlan one = plan_of(4, 6);
  const SmoothPlan two = plan_of(4, 6, 2);
  const auto nothing = [](SmoothPlan&) {};
  EXPECT_EQ(refusal(one, nothing), "");
  EXPECT_EQ(refusal(two, nothing), "");
  EXPECT_THAT(refusal(one, [](SmoothPlan& p) { p.inputs = 0; }), HasSubstr("inputs"));
  EXPECT_THAT(refusal(one, [](SmoothPlan& p) { p.outputs = 0; }), HasSubstr("outputs"));
  EXPECT_THAT(refusal(one, [](SmoothPlan& p) { p.neurons = 0; }), HasSubstr("1 neuron"));
  EXPECT_THAT(refusal(two, [](SmoothPlan& p) { p.second_layer = 0; }), HasSubstr("second layer"));
  EXPECT_THAT(refusal(two, [](SmoothPlan& p) { p.second_layer = Index{1} << 31; }),
              HasSubstr("2^31"));
  EXPECT_THAT(refusal(one, [](SmoothPlan& p) { p.inputs = p.neurons = Index{1} << 32; }),
              HasSubstr("2^31"));
  const auto activations = [](std::size_t count) {
    return [count](SmoothPlan& p) { p.activations.assign(count, Activation::tanh); };
  };
  EXPECT_THAT(refusal(one, activations(0)), HasSubstr("one activation"));
  EXPECT_THAT(refusal(one, activations(2)), HasSubstr("one hidden layer has one activation"));
  EXPECT_THAT(refusal(two, activations(3)), HasSubstr("two hidden layers"));
  for (const double bad : {-1.0, HUGE_VAL, static_cast<double>(NAN)}) {
    EXPECT_THAT(refusal(one, [&](SmoothPlan& p) { p.shifts = bad; }), HasSubstr("shifts"));
  }
  EXPECT_THAT(refusal(two, [](SmoothPlan& p) { p.directions = Directions::orthogonal; }),
              HasSubstr("as many inputs as neurons"));
  const auto alike = [](SmoothPlan& p) {
    p.outputs = 2;
    p.coefficients = Coefficients::unit;
  };
  EXPECT_THAT(refusal(two, alike), HasSubstr("all outputs would be the same"));
}

}  // namespace
}  // namespace crease
