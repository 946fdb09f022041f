// What every planted family promises.
#include "src/families.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/same_network.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

FamilyPlan plan_of(const std::string& family, Index inputs, Index neurons, Index outputs = 1) {
  FamilyPlan plan;
  plan.family = family;
  plan.inputs = inputs;
  plan.neurons = neurons;
  plan.outputs = outputs;
  return plan;
}

double norm_of_row(const HostMatrix& matrix, Index i) {
  double sum = 0;
  for (Index j = 0; j < matrix.cols(); ++j) sum += matrix(i, j) * matrix(i, j);
  return std::sqrt(sum);
}

double distance_of_rows(const HostMatrix& matrix, Index a, Index b) {
  double sum = 0;
  for (Index j = 0; j < matrix.cols(); ++j) sum += std::pow(matrix(a, j) - matrix(b, j), 2);
  return std::sqrt(sum);
}

Index count_dead(const ReluNetwork& network) {
  Index dead = 0;
  for (Index i = 0; i < network.neurons(); ++i) dead += is_dead(network, i);
  return dead;
}

TEST(FamiliesTest, EveryFamilyHasTheSizesAskedForAndIsAGoodNetwork) {
  for (const std::string& family : family_names()) {
    for (const Index outputs : {1, 3}) {
      const ReluNetwork network = make_family(plan_of(family, 9, 41, outputs), Seed{5});
      EXPECT_NO_THROW(check(network)) << family;
      EXPECT_EQ(network.inputs(), 9) << family;
      EXPECT_EQ(network.neurons(), 41) << family;
      EXPECT_EQ(network.outputs(), outputs) << family;
    }
  }
}

TEST(FamiliesTest, TheSeedDecidesEveryBit) {
  for (const std::string& family : family_names()) {
    const FamilyPlan plan = plan_of(family, 6, 32, 2);
    EXPECT_TRUE(same_bits(make_family(plan, Seed{1}), make_family(plan, Seed{1}))) << family;
    EXPECT_FALSE(same_bits(make_family(plan, Seed{1}), make_family(plan, Seed{2}))) << family;
  }
}

TEST(FamiliesTest, ASeedGivesTheSameNetworkOnEveryMachine) {
  const ReluNetwork network = make_family(plan_of("gaussian", 4, 3), Seed{7});
  EXPECT_EQ(network.weights(0, 0), 0x1.bde15949de90fp-2);
  EXPECT_EQ(network.weights(2, 3), -0x1.85a4e18e35a5dp-2);
  EXPECT_EQ(network.bias(1, 0), 0x1.e9b038e0867b1p-1);
  EXPECT_EQ(network.output(0, 2), -0x1.bd8c47fbe9f57p-5);
}

TEST(FamiliesTest, SpreadScalesTheBiasesOnly) {
  FamilyPlan plan = plan_of("gaussian", 5, 8);
  const ReluNetwork usual = make_family(plan, Seed{});
  plan.spread = 0;
  const ReluNetwork without = make_family(plan, Seed{});

  EXPECT_TRUE(same_bits(without.weights, usual.weights));
  for (Index i = 0; i < 8; ++i) EXPECT_EQ(without.bias(i, 0), 0);
}

TEST(FamiliesTest, APowerMeansTheSameNeuronsWithoutBiasesAndConstant) {
  FamilyPlan plan = plan_of("gaussian", 6, 8);
  const ReluNetwork relu = make_family(plan, Seed{3});
  for (const double power : {1.0, 2.5}) {
    plan.power = power;
    const ReluNetwork network = make_family(plan, Seed{3});
    EXPECT_EQ(network.power, power);
    EXPECT_NO_THROW(check(network));
    for (Index i = 0; i < 8; ++i) {
      EXPECT_EQ(network.bias(i, 0), 0.0);
      EXPECT_EQ(network.weights(i, 5), relu.weights(i, 5));
      EXPECT_EQ(network.output(0, i), relu.output(0, i));
    }
    EXPECT_EQ(network.constant(0, 0), 0.0);
  }
}

TEST(FamiliesTest, ClustersLieAtTheirGapFromTheFirstNeuron) {
  FamilyPlan plan = plan_of("clusters", 10, 9);
  plan.gap = 1e-3;
  plan.size = 3;
  const ReluNetwork network = make_family(plan, Seed{3});
  for (Index i = 0; i < 9; ++i) {
    const Index first = i / 3 * 3;
    if (i == first) continue;
    const double norm = norm_of_row(network.weights, first);
    // Adding the copy rounds each weight by eps / 2 of its size; the norms by a few eps.
    EXPECT_NEAR(distance_of_rows(network.weights, first, i), 1e-3 * norm, 20 * kEps * norm);
    EXPECT_NE(network.bias(i, 0), network.bias(first, 0));
  }
  EXPECT_GT(distance_of_rows(network.weights, 0, 3), 0.1);
}

TEST(FamiliesTest, CancellingPairsLeaveATenthOfTheirOutput) {
  const ReluNetwork network = make_family(plan_of("cancelling", 10, 8, 2), Seed{3});
  for (Index i = 1; i < 8; i += 2) {
    const double norm = norm_of_row(network.weights, i - 1);
    EXPECT_NEAR(distance_of_rows(network.weights, i - 1, i), 1e-3 * norm, 20 * kEps * norm);
    for (Index o = 0; o < 2; ++o) {
      EXPECT_EQ(network.output(o, i), -0.9 * network.output(o, i - 1));
    }
  }
}

TEST(FamiliesTest, ParallelNeuronsShareTheirWeightsAndStandApart) {
  FamilyPlan plan = plan_of("parallel", 6, 10);
  plan.biases = 5;
  const ReluNetwork network = make_family(plan, Seed{3});
  for (Index i = 0; i < 10; ++i) {
    const Index first = i / 5 * 5;
    EXPECT_EQ(distance_of_rows(network.weights, first, i), 0);
    const double norm = norm_of_row(network.weights, first);
    const double apart = (network.bias(i, 0) - network.bias(first, 0)) / norm;
    const double rounding = 8 * kEps * (std::abs(network.bias(i, 0)) / norm + 2);
    EXPECT_NEAR(apart, 0.3 * static_cast<double>(i - first), rounding);
  }
}

TEST(FamiliesTest, RareHyperplanesLieAtTheirDistanceOnEitherSide) {
  FamilyPlan plan = plan_of("rare", 6, 17);
  plan.distance = 5;
  const ReluNetwork network = make_family(plan, Seed{3});
  for (Index i = 14; i < 17; ++i) {  // 17 / 8, rounded up
    const double distance = network.bias(i, 0) / norm_of_row(network.weights, i);
    EXPECT_NEAR(std::abs(distance), 5, 5 * 4 * kEps);
  }
  EXPECT_LT(std::abs(network.bias(13, 0)) / norm_of_row(network.weights, 13), 4.9);
  EXPECT_LT(network.bias(14, 0), 0);
  EXPECT_GT(network.bias(15, 0), 0);
}

TEST(FamiliesTest, DeadNeuronsAndDeadInputsDoNothing) {
  const ReluNetwork network = make_family(plan_of("dead", 9, 10, 2), Seed{3});

  EXPECT_EQ(count_dead(network), 3);  // 10 / 4, rounded up
  EXPECT_EQ(norm_of_row(network.weights, 7), 0);
  EXPECT_EQ(network.output(0, 8), 0);
  EXPECT_EQ(network.output(1, 8), 0);
  for (Index i = 0; i < 10; ++i) {
    EXPECT_EQ(network.weights(i, 7), 0);  // 9 / 4, rounded down: inputs 7 and 8
    EXPECT_EQ(network.weights(i, 8), 0);
  }
  EXPECT_NE(network.weights(0, 6), 0);
}

TEST(FamiliesTest, AffineAndConstantHaveNoLiveNeuron) {
  const ReluNetwork affine = make_family(plan_of("affine", 5, 4, 2), Seed{3});
  EXPECT_EQ(count_dead(affine), 4);
  EXPECT_GT(norm_of_row(affine.linear, 1), 0);
  const ReluNetwork constant = make_family(plan_of("constant", 5, 0, 2), Seed{3});
  EXPECT_EQ(norm_of_row(constant.linear, 0), 0);
  EXPECT_NE(constant.constant(0, 0), 0);
}

TEST(FamiliesTest, ABumpIsATriangleOverItsSlab) {
  FamilyPlan plan = plan_of("bump", 4, 3, 2);
  plan.width = 0.25;
  plan.offset = 0.5;
  const ReluNetwork network = make_family(plan, Seed{3});
  HostMatrix x(5, 4);
  const double heights[] = {0.25, 0.5625, 0.625, 0.6875, 4};  // along the first neuron's weights
  const double expected[] = {0, 0.0625, 0.125, 0.0625, 0};
  for (Index i = 0; i < 5; ++i) {
    for (Index j = 0; j < 4; ++j) x(i, j) = heights[i] * network.weights(0, j);
  }
  const auto device = make_cpu_device();
  const HostMatrix y = evaluate(*device, network, x);

  for (Index i = 0; i < 5; ++i) {
    for (Index o = 0; o < 2; ++o) {
      // Three products of at most 2 * 4, each with at most 8 roundings.
      EXPECT_NEAR(y(i, o), expected[i] * network.output(o, 0), 3 * 8 * 8 * kEps) << i;
    }
  }
}

TEST(FamiliesTest, ABumpMayStandOnGaussianNeurons) {
  const ReluNetwork network = make_family(plan_of("bump", 4, 8), Seed{3});
  FamilyPlan rest = plan_of("gaussian", 4, 5);
  const ReluNetwork gaussian = make_family(rest, Seed{3});

  for (Index i = 0; i < 5; ++i) EXPECT_EQ(network.weights(i, 0), gaussian.weights(i, 0));
  EXPECT_EQ(network.bias(5, 0), -0.7);
}

TEST(FamiliesTest, AMixSharesTheNeuronsAndAddsUp) {
  const ReluNetwork mix = make_family(plan_of("clusters,bump,affine,rare", 4, 12), Seed{3});
  // 9 neurons for two: 5 and 4, with the bump between them.
  EXPECT_EQ(mix.neurons(), 12);
  EXPECT_EQ(mix.bias(5, 0), -0.7);
  EXPECT_GT(norm_of_row(mix.linear, 0), 0);
  const ReluNetwork filled = make_family(plan_of("bump,affine", 4, 12), Seed{3});
  EXPECT_EQ(filled.bias(0, 0), -0.7);
  EXPECT_EQ(count_dead(filled), 0);
}

TEST(FamiliesTest, WhatCannotBeMadeIsRefused) {
  const auto refusal = [](const FamilyPlan& plan) -> std::string {
    try {
      make_family(plan, Seed{});
    } catch (const BadInput& error) {
      return error.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  for (const std::string family : {"blob", "", "gaussian,", ",", "gaussian,mix", "Gaussian"}) {
    EXPECT_THAT(refusal(plan_of(family, 4, 8)), HasSubstr("unknown family")) << family;
  }
  EXPECT_THAT(refusal(plan_of("gaussian", 0, 8)), HasSubstr("inputs"));
  EXPECT_THAT(refusal(plan_of("gaussian", 4, -1)), HasSubstr("neurons"));
  EXPECT_THAT(refusal(plan_of("gaussian", 4, 8, 0)), HasSubstr("outputs"));
  EXPECT_THAT(refusal(plan_of("gaussian", Index{1} << 32, Index{1} << 32)), HasSubstr("2^31"));
  EXPECT_THAT(refusal(plan_of("bump", 4, 2)), HasSubstr("3 neurons"));
  EXPECT_THAT(refusal(plan_of("parallel", 4, 3)), HasSubstr("as many neurons as biases"));
  EXPECT_THAT(refusal(plan_of("clusters", 4, 1)), HasSubstr("as many neurons as size"));
  EXPECT_THAT(refusal(plan_of("mix", 4, 2)), HasSubstr("3 neurons of its own"));
  const auto with = [](const std::string& family, auto change) {
    FamilyPlan plan = plan_of(family, 4, 8);
    change(plan);
    return plan;
  };
  EXPECT_THAT(refusal(with("gaussian", [](FamilyPlan& p) { p.spread = -1; })), HasSubstr("spread"));
  for (const double bad : {0.0, -1.0, static_cast<double>(NAN), HUGE_VAL}) {
    EXPECT_THAT(refusal(with("gaussian", [&](FamilyPlan& p) { p.power = bad; })),
                HasSubstr("power must be finite"));
  }
  for (const std::string family : {"bump", "gaussian,rare", "mix"}) {
    EXPECT_THAT(refusal(with(family, [](FamilyPlan& p) { p.power = 2; })),
                HasSubstr("family gaussian alone"));
  }
  EXPECT_THAT(refusal(with("bump", [](FamilyPlan& p) { p.width = 0; })), HasSubstr("width"));
  EXPECT_THAT(refusal(with("bump", [](FamilyPlan& p) { p.offset = NAN; })), HasSubstr("offset"));
  EXPECT_THAT(refusal(with("clusters", [](FamilyPlan& p) { p.gap = 0; })), HasSubstr("gap"));
  EXPECT_THAT(refusal(with("clusters", [](FamilyPlan& p) { p.size = 1; })), HasSubstr("size"));
  EXPECT_THAT(refusal(with("parallel", [](FamilyPlan& p) { p.biases = 1; })), HasSubstr("biases"));
  EXPECT_THAT(refusal(with("rare", [](FamilyPlan& p) { p.distance = -1; })), HasSubstr("distance"));
}

}  // namespace
}  // namespace crease
