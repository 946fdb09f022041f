// Networks as plain data: evaluation, the plain form, and what check() refuses.
#include <crease/network.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_power.hpp"

namespace crease {
namespace {

class NetworkTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(NetworkTest);

ReluNetwork by_hand() {
  ReluNetwork network(2, 2, 2);
  network.weights = {{1, 2}, {-1, 0}};
  network.bias = {{-1}, {0.5}};
  network.output = {{3, 0}, {-2, 4}};
  network.linear = {{0, 1}, {10, 0}};
  network.constant = {{100}, {0.25}};
  return network;
}

/// Sum of the magnitudes of all terms of F(x), for sum(n) bounds.
HostMatrix magnitudes(ReluNetwork network, HostMatrix x) {
  for (HostMatrix* part :
       {&network.weights, &network.bias, &network.output, &network.linear, &network.constant, &x}) {
    for (Index i = 0; i < part->size(); ++i) part->data()[i] = std::abs(part->data()[i]);
  }
  return exact_values(network, x);
}

TEST_P(NetworkTest, EvaluateMatchesValuesWorkedByHand) {
  // x = (1, 1): hidden 2, 0;  x = (-2, 0): hidden 0, 2.5;  x = (0, .5): hidden 0, .5
  const HostMatrix x = {{1, 1}, {-2, 0}, {0, 0.5}};
  EXPECT_TRUE(
      same_bits(evaluate(device(), by_hand(), x), {{107, 6.25}, {100, -9.75}, {100.5, 2.25}}));
}

TEST_P(NetworkTest, EvaluateIsTheFormulaAtEveryShape) {
  for (const auto& [d, k, p] : {std::array<Index, 3>{1, 0, 1}, {1, 1, 1}, {5, 33, 3}, {40, 7, 2}}) {
    const ReluNetwork network = planted_network(d, k, p, 5);
    for (const Index n : {0, 1, 31, 70}) {
      const HostMatrix x = normals(n, d, 6);
      EXPECT_TRUE(near_sum(evaluate(device(), network, x), exact_values(network, x),
                           magnitudes(network, x), d + k + 2));
    }
  }
}

TEST_P(NetworkTest, PowersMatchValuesWorkedByHand) {
  ReluNetwork network(2, 2, 2);
  network.weights = {{1, 2}, {-1, 0}};
  network.output = {{3, 0}, {-2, 4}};
  // x = (1, 1.5): hidden 4, 0;  x = (-9, 0): hidden 0, 9;  x = (0, 0): nothing
  const HostMatrix x = {{1, 1.5}, {-9, 0}, {0, 0}};
  network.power = 2;
  EXPECT_TRUE(same_bits(evaluate(device(), network, x), {{48, -32}, {0, 324}, {0, 0}}));
  network.power = 0.5;
  EXPECT_TRUE(same_bits(evaluate(device(), network, x), {{6, -4}, {0, 12}, {0, 0}}));
}

TEST_P(NetworkTest, PowersAreTheFormulaAtEveryShape) {
  for (const double power : {1.5, 2.0, 3.3}) {
    for (const auto& [d, k, p] : {std::array<Index, 3>{1, 1, 1}, {5, 33, 3}, {40, 7, 2}}) {
      const ReluNetwork network = planted_power(d, k, p, power, 5);
      const HostMatrix x = normals(70, d, 6);
      // z is off by d eps Z, Z = sum |w_i x_i|, so z^power by power d eps Z^power; steps(4) of the
      // power itself, and k sums.
      ReluNetwork terms = network;
      for (Index i = 0; i < terms.output.size(); ++i) terms.output.data()[i] *= power;
      EXPECT_TRUE(near_sum(evaluate(device(), network, x), exact_values(network, x),
                           magnitudes(terms, x), d + k + 6))
          << power;
    }
  }
}

TEST_P(NetworkTest, FoldingTheLinearPartKeepsTheFunction) {
  ReluNetwork network = planted_network(4, 5, 3, 9);
  for (Index i = 0; i < 4; ++i) network.linear(1, i) = 0;  // this output has nothing to fold
  const ReluNetwork folded = fold_linear_part(network);
  EXPECT_EQ(folded.neurons(), 5 + 2 * 2);
  EXPECT_TRUE(same_bits(folded.linear, HostMatrix(3, 4)));
  const HostMatrix x = normals(50, 4, 10);
  EXPECT_TRUE(near_sum(evaluate(device(), folded, x), exact_values(network, x),
                       magnitudes(network, x), 4 + 9 + 2));

  EXPECT_EQ(fold_linear_part(ReluNetwork(3, 2, 1)).neurons(), 2);
  ReluNetwork affine(3, 0, 1);
  affine.linear(0, 1) = 2;
  EXPECT_EQ(fold_linear_part(affine).neurons(), 2);
  EXPECT_TRUE(
      same_bits(evaluate(device(), fold_linear_part(affine), HostMatrix{{1, -3, 1}}), {{-6}}));
}

TEST(NetworkDataTest, AnotherPowerHasNoLinearPartToFold) {
  const ReluNetwork network = planted_power(4, 5, 3, 2.5, 9);
  const ReluNetwork folded = fold_linear_part(network);
  EXPECT_EQ(folded.power, 2.5);
  EXPECT_TRUE(same_bits(folded.weights, network.weights));
  EXPECT_TRUE(same_bits(folded.output, network.output));
}

TEST(NetworkDataTest, RequireReluSaysWhoAndWhichPower) {
  EXPECT_NO_THROW(require_relu(by_hand(), "this"));
  try {
    require_relu(planted_power(2, 3, 1, 2.5, 1), "this");
    ADD_FAILURE() << "accepted";
  } catch (const BadInput& error) {
    EXPECT_STREQ(error.what(), "this: expected a network of power 1, not 2.5");
  }
}

TEST_P(NetworkTest, EvaluateRefusesPointsOfAnotherWidth) {
  EXPECT_THROW(evaluate(device(), by_hand(), HostMatrix(1, 3)), BadInput);
}

TEST(NetworkDataTest, ANewNetworkIsZeroEverywhere) {
  const ReluNetwork network(3, 4, 2);
  EXPECT_EQ(network.inputs(), 3);
  EXPECT_EQ(network.neurons(), 4);
  EXPECT_EQ(network.outputs(), 2);
  EXPECT_NO_THROW(check(network));
  EXPECT_TRUE(same_bits(exact_values(network, normals(3, 3, 1)), HostMatrix(3, 2)));
}

TEST(NetworkDataTest, ANeuronWithoutWeightsOrWithoutOutputsIsDead) {
  ReluNetwork network = by_hand();
  EXPECT_FALSE(is_dead(network, 0));
  EXPECT_FALSE(is_dead(network, 1));
  network.output(0, 0) = 0;
  EXPECT_FALSE(is_dead(network, 0)) << "it still feeds the second output";
  network.output(1, 0) = 0;
  EXPECT_TRUE(is_dead(network, 0));
  network.weights(1, 0) = 0;
  EXPECT_TRUE(is_dead(network, 1));
  EXPECT_THROW(is_dead(network, -1), BadInput);
  EXPECT_THROW(is_dead(network, 2), BadInput);
}

TEST(NetworkDataTest, CheckSaysWhichPartIsWrong) {
  const auto refused = [](auto&& spoil) -> std::string {
    ReluNetwork network = by_hand();
    spoil(network);
    try {
      check(network);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "accepted";
  };
  const auto named = [&](const char* part, auto&& spoil) {
    const std::string message = refused(spoil);
    EXPECT_NE(message.find(part), std::string::npos) << part << ": " << message;
  };
  EXPECT_EQ(refused([](ReluNetwork&) {}), "accepted");
  named("weights", [](ReluNetwork& n) { n.weights = HostMatrix(2, 3); });
  named("bias", [](ReluNetwork& n) { n.bias = HostMatrix(1, 2); });
  named("bias", [](ReluNetwork& n) { n.bias = HostMatrix(3, 1); });
  named("output", [](ReluNetwork& n) { n.output = HostMatrix(2, 1); });
  named("output", [](ReluNetwork& n) { n.output = HostMatrix(1, 2); });
  named("constant", [](ReluNetwork& n) { n.constant = HostMatrix(1, 1); });
  named("constant", [](ReluNetwork& n) { n.constant = HostMatrix(2, 2); });
  named("linear", [](ReluNetwork& n) { n.linear = HostMatrix(0, 0); });
  named("d >= 1", [](ReluNetwork& n) { n = ReluNetwork(0, 0, 1); });
  named("p >= 1", [](ReluNetwork& n) { n = ReluNetwork(1, 0, 0); });
  const double nan = std::numeric_limits<double>::quiet_NaN();
  named("weights must be finite", [&](ReluNetwork& n) { n.weights(1, 1) = nan; });
  named("bias must be finite", [&](ReluNetwork& n) { n.bias(0, 0) = -1 / 0.0; });
  named("output must be finite", [&](ReluNetwork& n) { n.output(1, 0) = nan; });
  named("linear must be finite", [&](ReluNetwork& n) { n.linear(0, 1) = nan; });
  named("constant must be finite", [&](ReluNetwork& n) { n.constant(1, 0) = 1 / 0.0; });
  for (const double bad : {0.0, -1.0, nan, 1 / 0.0}) {
    named("power must be finite and greater than 0", [&](ReluNetwork& n) { n.power = bad; });
  }
}

TEST(NetworkDataTest, OnlyPowerOneHasBiasesALinearPartAndAConstant) {
  const ReluNetwork good = planted_power(2, 3, 1, 2, 1);
  EXPECT_NO_THROW(check(good));
  const auto named = [&](const char* part, HostMatrix ReluNetwork::*matrix) {
    ReluNetwork network = good;
    (network.*matrix)(0, 0) = 1e-300;
    try {
      check(network);
      ADD_FAILURE() << part << ": accepted";
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(std::string(part) + " must be 0"), std::string::npos)
          << error.what();
    }
    network.power = 1;
    EXPECT_NO_THROW(check(network));
  };
  named("bias", &ReluNetwork::bias);
  named("linear", &ReluNetwork::linear);
  named("constant", &ReluNetwork::constant);
}

TEST(NetworkDataTest, WithoutTheirCommonFunctionOutputsAddUpToNothing) {
  ReluNetwork network(2, 2, 4);
  network.weights = {{1, 0}, {0, 1}};
  network.bias = {{1}, {-1}};
  network.output = {{4, 0}, {0, 0}, {0, 0}, {0, 8}};
  network.linear = {{1, 0}, {2, 0}, {3, 0}, {2, 8}};
  network.constant = {{1}, {1}, {1}, {1}};
  const ReluNetwork centred = without_common_function(network);
  EXPECT_TRUE(same_bits(centred.output, {{3, -2}, {-1, -2}, {-1, -2}, {-1, 6}}));
  EXPECT_TRUE(same_bits(centred.linear, {{-1, -2}, {0, -2}, {1, -2}, {0, 6}}));
  EXPECT_TRUE(same_bits(centred.constant, {{0}, {0}, {0}, {0}}));
  EXPECT_TRUE(same_bits(centred.weights, network.weights));
  EXPECT_EQ(without_common_function(planted_power(2, 3, 2, 3, 1)).power, 3);
  EXPECT_THROW(without_common_function(ReluNetwork()), BadInput);
}

TEST(NetworkDataTest, ANeuronThatActsOnAllOutputsAlikeIsPartOfTheCommonFunction) {
  ReluNetwork network(1, 2, 3);  // thirds of 0.1 round
  network.weights = {{1}, {1}};
  network.output = {{0.1, 0.1}, {0.1, 0.1}, {0.1, 0.1 + 1e-12}};
  const ReluNetwork centred = without_common_function(network);
  EXPECT_TRUE(is_dead(centred, 0));
  EXPECT_FALSE(is_dead(centred, 1));
}

}  // namespace
}  // namespace crease
