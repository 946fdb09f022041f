// A known network as a black box.
#include <crease/oracle.hpp>

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_power.hpp"

namespace crease {
namespace {

class NetworkOracleTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(NetworkOracleTest);

constexpr double kMagnitude = 1000;  // more than the terms of the networks below add up to

TEST_P(NetworkOracleTest, PointsLinesAndFansAreAnsweredAlike) {
  const Index d = 5;
  const Index p = 3;
  const ReluNetwork network = planted_network(d, 9, p, 1);
  const std::unique_ptr<Oracle> oracle = make_network_oracle(network);
  EXPECT_EQ(oracle->input_dim(), d);
  EXPECT_EQ(oracle->output_dim(), p);

  const DeviceMatrix origin = upload(device(), normals(1, d, 2));
  const DeviceMatrix direction = upload(device(), normals(1, d, 3));
  const DeviceMatrix t = upload(device(), normals(20, 1, 4));
  DeviceMatrix on_line(device(), 20, d);
  line_points(device(), {origin, direction}, t, on_line);
  DeviceMatrix y(device(), 20, p);
  ASSERT_TRUE(oracle->answer_line(device(), {origin, direction}, t, y));
  const HostMatrix expected = exact_values(network, download(device(), on_line));
  EXPECT_TRUE(near_sum(download(device(), y), expected, HostMatrix(20, p, kMagnitude), d + 11));
  oracle->answer(device(), on_line, y);
  EXPECT_TRUE(near_sum(download(device(), y), expected, HostMatrix(20, p, kMagnitude), d + 11));

  const DeviceMatrix centers = upload(device(), normals(4, d, 5));
  const DeviceMatrix directions = upload(device(), normals(d, d, 6));
  const DeviceMatrix steps = upload(device(), normals(4, d, 7));
  DeviceMatrix on_fan(device(), 4 * d, d);
  fan_points(device(), {centers, directions, steps}, on_fan);
  DeviceMatrix fan(device(), 4 * d, p);
  ASSERT_TRUE(oracle->answer_fan(device(), {centers, directions, steps}, fan));
  EXPECT_TRUE(near_sum(download(device(), fan), exact_values(network, download(device(), on_fan)),
                       HostMatrix(4 * d, p, kMagnitude), d + 11));
}

TEST_P(NetworkOracleTest, ItAnswersOnEveryDeviceThatAsks) {
  const ReluNetwork network = planted_network(3, 4, 1, 2);
  const std::unique_ptr<Device> other = make_cpu_device({.threads = 1, .poison = true});
  const std::unique_ptr<Oracle> oracle = make_network_oracle(network);
  const HostMatrix x = normals(6, 3, 3);
  const HostMatrix expected = exact_values(network, x);
  for (Device* asking : {&device(), other.get(), &device()}) {
    DeviceMatrix y(*asking, 6, 1);
    oracle->answer(*asking, upload(*asking, x), y);
    EXPECT_TRUE(near_sum(download(*asking, y), expected, HostMatrix(6, 1, kMagnitude), 9));
  }
}

TEST_P(NetworkOracleTest, OtherPowersAreAnsweredPointByPoint) {
  const ReluNetwork network = planted_power(3, 4, 2, 2.5, 2);
  for (const Imperfection::Kind kind : {Imperfection::Kind::float64, Imperfection::Kind::float32}) {
    Imperfection format;
    format.kind = kind;
    const auto oracle = make_imperfect_oracle(make_network_oracle(network), format);
    const DeviceMatrix one = upload(device(), normals(1, 3, 5));
    const DeviceMatrix points = upload(device(), normals(2, 3, 3));
    const DeviceMatrix t = upload(device(), normals(2, 1, 4));
    const std::array<Index, 2> all = {0, 2};
    const HostMatrix before = {{7, 7}, {7, 7}};
    DeviceMatrix y = upload(device(), before);
    EXPECT_FALSE(oracle->answer_line(device(), {one, one}, t, y));
    EXPECT_FALSE(oracle->answer_lines(device(), {one, one, all}, t, y));
    EXPECT_FALSE(oracle->answer_fan(device(), {points, one, t}, y));
    EXPECT_TRUE(same_bits(download(device(), y), before));
  }
  const auto oracle = make_network_oracle(network);
  const HostMatrix x = normals(6, 3, 3);
  DeviceMatrix y(device(), 6, 2);
  oracle->answer(device(), upload(device(), x), y);
  EXPECT_TRUE(same_bits(download(device(), y), evaluate(device(), network, x)));
}

TEST(NetworkOracleDataTest, WhatIsNoNetworkIsRefused) {
  ReluNetwork torn = planted_network(3, 4, 1, 2);
  torn.bias = HostMatrix(3, 1);
  EXPECT_THROW(make_network_oracle(torn), BadInput);
  ReluNetwork infinite = planted_network(3, 4, 1, 2);
  infinite.output(0, 2) = std::numeric_limits<double>::infinity();
  EXPECT_THROW(make_network_oracle(infinite), BadInput);
}

}  // namespace
}  // namespace crease
