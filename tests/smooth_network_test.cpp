// Smooth networks as plain data, at points and on fans.
#include <crease/oracle.hpp>
#include <crease/smooth_network.hpp>

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

class SmoothNetworkTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SmoothNetworkTest);

SmoothNetwork with_linear_part(SmoothNetwork network) {
  network.linear = normals(network.outputs(), network.inputs(), 77);
  return network;
}

/// Values are of size 10 at most, after sums of at most 40 terms of that size in each layer.
constexpr double kRounding = 40 * 10 * 0x1p-50;

void expect_near(const HostMatrix& got, const HostMatrix& expected) {
  ASSERT_EQ(got.rows(), expected.rows());
  ASSERT_EQ(got.cols(), expected.cols());
  for (Index i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got.data()[i], expected.data()[i], kRounding * (1 + std::fabs(expected.data()[i])));
  }
}

TEST_P(SmoothNetworkTest, ValuesAreThoseOfExtendedPrecision) {
  const HostMatrix x = normals(70, 5, 3);
  for (const Activation g : kActivations) {
    const SmoothNetwork one = with_linear_part(planted_smooth(5, {7}, 2, {g}, 1));
    const SmoothNetwork two = planted_smooth(5, {6, 4}, 1, {g, Activation::tanh}, 2);
    expect_near(evaluate(device(), one, x), exact_values(one, x));
    expect_near(evaluate(device(), two, x), exact_values(two, x));
  }
}

TEST_P(SmoothNetworkTest, AFanIsAnsweredAsItsPoints) {
  const HostMatrix centers = normals(9, 4, 3);
  const HostMatrix directions = normals(6, 4, 4);
  const HostMatrix steps = normals(9, 6, 5);
  const SmoothNetwork network =
      with_linear_part(planted_smooth(4, {5, 3}, 2, {Activation::tanh, Activation::sigmoid}, 1));
  const auto oracle = make_network_oracle(network);
  EXPECT_EQ(oracle->input_dim(), 4);
  EXPECT_EQ(oracle->output_dim(), 2);
  const DeviceMatrix c = upload(device(), centers), v = upload(device(), directions);
  const DeviceMatrix s = upload(device(), steps);
  DeviceMatrix answers(device(), 54, 2), points(device(), 54, 4), at_points(device(), 54, 2);
  ASSERT_TRUE(oracle->answer_fan(device(), {c, v, s}, answers));
  fan_points(device(), {c, v, s}, points);
  oracle->answer(device(), points, at_points);
  const HostMatrix exact = exact_values(network, download(device(), points));
  expect_near(download(device(), answers), exact);
  expect_near(download(device(), at_points), exact);
}

TEST_P(SmoothNetworkTest, WithoutNeuronsThereIsTheAffinePart) {
  SmoothNetwork network(2, {0}, 1, {Activation::tanh});
  network.linear = {{3, -1}};
  network.constant = {{2}};
  EXPECT_TRUE(same_bits(evaluate(device(), network, HostMatrix{{1, 1}, {0, 2}}), {{4}, {0}}));
  EXPECT_EQ(evaluate(device(), network, HostMatrix(0, 2)).rows(), 0);
}

TEST_P(SmoothNetworkTest, NeuronsAreCountedByLayerAndInAll) {
  const SmoothNetwork network(2, {5, 3}, 1, {Activation::tanh, Activation::erf});
  EXPECT_EQ(network.neurons(0), 5);
  EXPECT_EQ(network.neurons(1), 3);
  EXPECT_EQ(network.total_neurons(), 8);
  EXPECT_EQ(SmoothNetwork(2, {0}, 1, {Activation::tanh}).total_neurons(), 0);
}

TEST_P(SmoothNetworkTest, WhatIsNoNetworkIsRefusedByItsPart) {
  const auto refusal = [](const SmoothNetwork& network) -> std::string {
    try {
      check(network);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "";
  };
  const SmoothNetwork good = planted_smooth(3, {4, 2}, 1, {Activation::tanh, Activation::tanh}, 1);
  EXPECT_EQ(refusal(good), "");
  SmoothNetwork bad = good;
  bad.hidden[1].weights = HostMatrix(2, 3);
  EXPECT_THAT(refusal(bad), HasSubstr("weights of hidden layer 2 must be [2, 4], not [2, 3]"));
  bad = good;
  bad.hidden[0].bias(1, 0) = std::numeric_limits<double>::infinity();
  EXPECT_THAT(refusal(bad), HasSubstr("bias of hidden layer 1 holds NaN or infinity"));
  bad = good;
  bad.output = HostMatrix(1, 3);
  EXPECT_THAT(refusal(bad), HasSubstr("output"));
  bad = good;
  bad.hidden.clear();
  EXPECT_THAT(refusal(bad), HasSubstr("one or two hidden layers, not 0"));
  EXPECT_THROW(evaluate(device(), good, HostMatrix(2, 4)), BadInput);
  EXPECT_THROW(make_network_oracle(bad), BadInput);
}

TEST(Activation, NamesComeBackAndOthersAreRefused) {
  for (const Activation activation : kActivations) {
    EXPECT_EQ(activation_of(to_string(activation)), activation);
  }
  EXPECT_EQ(activation_names().size(), 6u);
  EXPECT_THROW(activation_of("relu"), BadInput);
  EXPECT_EQ(activations_of("sin"), std::vector{Activation::sin});
  EXPECT_EQ(activations_of("erf,tanh"), (std::vector{Activation::erf, Activation::tanh}));
  EXPECT_THROW(activations_of("erf,"), BadInput);
  EXPECT_THROW(activations_of(""), BadInput);
  EXPECT_TRUE(saturates(Activation::erf));
  EXPECT_FALSE(saturates(Activation::gelu));
}

}  // namespace
}  // namespace crease
