// A network on a device: points, lines and fans are one function.
#include "src/device_network.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_power.hpp"

namespace crease {
namespace {

class DeviceNetworkTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(DeviceNetworkTest);

constexpr std::array<std::array<Index, 3>, 5> kShapes = {
    {{1, 1, 1}, {3, 0, 2}, {4, 33, 1}, {31, 5, 3}, {7, 64, 10}}};

/// F in terms of magnitudes where every input is at most `reach` away from the origin in the
/// infinity norm.
double magnitude(const ReluNetwork& network, double reach) {
  double largest = 0;
  for (Index o = 0; o < network.outputs(); ++o) {
    double sum = std::abs(network.constant(o, 0));
    for (Index i = 0; i < network.inputs(); ++i) sum += std::abs(network.linear(o, i)) * reach;
    for (Index j = 0; j < network.neurons(); ++j) {
      double inner = std::abs(network.bias(j, 0));
      for (Index i = 0; i < network.inputs(); ++i) inner += std::abs(network.weights(j, i)) * reach;
      sum += std::abs(network.output(o, j)) * inner;
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

double largest_entry(const HostMatrix& x) {
  double largest = 0;
  for (Index i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x.data()[i]));
  return largest;
}

TEST_P(DeviceNetworkTest, ItsParametersAreThoseOfTheNetwork) {
  const ReluNetwork network = planted_network(4, 6, 3, 1);
  const DeviceNetwork on_device(device(), network);
  EXPECT_EQ(on_device.inputs(), 4);
  EXPECT_EQ(on_device.neurons(), 6);
  EXPECT_EQ(on_device.outputs(), 3);
  EXPECT_TRUE(same_bits(download(device(), on_device.weights()), network.weights));
  EXPECT_TRUE(same_bits(download(device(), on_device.bias()), network.bias));
  EXPECT_TRUE(same_bits(download(device(), on_device.bias_as_row()), transposed(network.bias)));
}

TEST_P(DeviceNetworkTest, ALineIsEvaluatedAsItsPoints) {
  for (const auto& [d, k, p] : kShapes) {
    const ReluNetwork network = planted_network(d, k, p, 2);
    const DeviceNetwork on_device(device(), network);
    const DeviceMatrix origin = upload(device(), normals(1, d, 3));
    const DeviceMatrix direction = upload(device(), normals(1, d, 4));
    const HostMatrix where = normals(40, 1, 5);
    const DeviceMatrix t = upload(device(), where);
    DeviceMatrix x(device(), 40, d);
    line_points(device(), {origin, direction}, t, x);
    const HostMatrix points = download(device(), x);
    Padded along(device(), 40, p);
    on_device.evaluate_line({origin, direction}, t, along);
    const double reach = 4 * largest_entry(where) * std::max(largest_entry(points), 1.0);
    EXPECT_TRUE(near_sum(along.read(), exact_values(network, points),
                         HostMatrix(40, p, magnitude(network, reach)), d + k + 2));
    Padded at_points(device(), 40, p);
    on_device.evaluate(x, at_points);
    EXPECT_TRUE(near_sum(at_points.read(), exact_values(network, points),
                         HostMatrix(40, p, magnitude(network, largest_entry(points))), d + k + 2));
  }
}

TEST_P(DeviceNetworkTest, LinesAreEvaluatedAsTheirPoints) {
  const std::vector<Index> first = {0, 40, 40, 47, 150};
  for (const auto& [d, k, p] : kShapes) {
    const ReluNetwork network = planted_network(d, k, p, 2);
    const DeviceNetwork on_device(device(), network);
    const DeviceMatrix origins = upload(device(), normals(4, d, 3));
    const DeviceMatrix directions = upload(device(), normals(4, d, 4));
    const HostMatrix where = normals(150, 1, 5);
    const DeviceMatrix t = upload(device(), where);
    const Lines lines{origins, directions, first};
    DeviceMatrix x(device(), 150, d);
    for (Index l = 0; l < 4; ++l) {
      const Index from = first[static_cast<std::size_t>(l)];
      const Index count = first[static_cast<std::size_t>(l) + 1] - from;
      line_points(device(), lines.line(l), t.view().row_block(from, count),
                  x.view().row_block(from, count));
    }
    const HostMatrix points = download(device(), x);
    Padded along(device(), 150, p);
    on_device.evaluate_lines(lines, t, along);
    const double reach = 4 * largest_entry(where) * std::max(largest_entry(points), 1.0);
    EXPECT_TRUE(near_sum(along.read(), exact_values(network, points),
                         HostMatrix(150, p, magnitude(network, reach)), d + k + 2));
  }
}

TEST_P(DeviceNetworkTest, AFanIsEvaluatedAsItsPoints) {
  for (const auto& [d, k, p] : kShapes) {
    const ReluNetwork network = planted_network(d, k, p, 6);
    const DeviceNetwork on_device(device(), network);
    const Index m = 4;
    const Index q = 5;
    const DeviceMatrix centers = upload(device(), normals(m, d, 7));
    const DeviceMatrix directions = upload(device(), normals(q, d, 8));
    const DeviceMatrix steps = upload(device(), normals(m, q, 9));
    DeviceMatrix x(device(), m * q, d);
    fan_points(device(), {centers, directions, steps}, x);
    const HostMatrix points = download(device(), x);
    Padded fan(device(), m * q, p);
    on_device.evaluate_fan({centers, directions, steps}, fan);
    const double reach = 20 * std::max(largest_entry(points), 1.0);
    EXPECT_TRUE(near_sum(fan.read(), exact_values(network, points),
                         HostMatrix(m * q, p, magnitude(network, reach)), d + k + 2));
  }
}

TEST_P(DeviceNetworkTest, EmptyBatchesLeaveEmptyAnswers) {
  const DeviceNetwork on_device(device(), planted_network(3, 4, 2, 1));
  const DeviceMatrix origin = upload(device(), normals(1, 3, 3));
  const DeviceMatrix none(device(), 0, 3);
  const DeviceMatrix no_steps(device(), 0, 3);
  const DeviceMatrix no_t(device(), 0, 1);
  const DeviceMatrix directions = upload(device(), normals(3, 3, 3));
  DeviceMatrix y(device(), 0, 2);
  EXPECT_NO_THROW(on_device.evaluate(none, y));
  EXPECT_NO_THROW(on_device.evaluate_line({origin, origin}, no_t, y));
  EXPECT_NO_THROW(on_device.evaluate_fan({none, directions, no_steps}, y));
}

TEST_P(DeviceNetworkTest, OtherPowersHaveNoFastLinesAndFans) {
  const DeviceNetwork on_device(device(), planted_power(3, 4, 2, 2, 1));
  EXPECT_EQ(on_device.power(), 2);
  const DeviceMatrix points = upload(device(), normals(2, 3, 3));
  const DeviceMatrix t = upload(device(), normals(2, 1, 4));
  const DeviceMatrix one = upload(device(), normals(1, 3, 5));
  DeviceMatrix y(device(), 2, 2);
  EXPECT_NO_THROW(on_device.evaluate(points, y));
  EXPECT_THROW(on_device.evaluate_line({one, one}, t, y), BadInput);
  EXPECT_THROW(on_device.evaluate_fan({points, one, t}, y), BadInput);
}

TEST_P(DeviceNetworkTest, MoreFeaturesThanOneChunkHoldsAreStillAllAdded) {
  // 2^17 neurons on one input: a chunk of 2^27 bytes holds 128 points, and 200 are asked. Neuron j
  // is relu(x - j / k): at x = i / 200 those below x are active, sum_j max(i / 200 - j / k, 0).
  const Index k = Index{1} << 17;
  const Index n = 200;
  ReluNetwork network(1, k, 1);
  for (Index j = 0; j < k; ++j) {
    network.weights(j, 0) = 1;
    network.bias(j, 0) = -static_cast<double>(j) / static_cast<double>(k);
    network.output(0, j) = 1;
  }
  const DeviceNetwork on_device(device(), network);
  HostMatrix x(n, 1);
  HostMatrix expected(n, 1);
  for (Index i = 0; i < n; ++i) {
    const long double xi = x(i, 0) = static_cast<double>(i) / static_cast<double>(n);
    const long double active = std::floor(xi * k) + 1;  // j = 0 .. floor(x k)
    expected(i, 0) = static_cast<double>(active * xi - active * (active - 1) / (2.0L * k));
  }
  DeviceMatrix y(device(), n, 1);
  on_device.evaluate(upload(device(), x), y);
  // All terms have one sign: the sum of their magnitudes is the sum, but for the exact 0 at x = 0.
  HostMatrix terms = expected;
  for (Index i = 0; i < n; ++i) terms(i, 0) += 1;
  EXPECT_TRUE(near_sum(download(device(), y), expected, terms, k + 2));
}

}  // namespace
}  // namespace crease
