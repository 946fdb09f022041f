// Sides of hyperplanes, from the linear part that absolute values leave.
#include "src/stages/hyperplane_orientation.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

ReluNetwork without_linear_part(Index d, Index k, std::uint64_t seed) {
  ReluNetwork network = planted_network(d, k, 1, seed);
  network.linear = HostMatrix(1, d);
  return network;
}

// Rounding: k terms of size below 3 each, twice.
constexpr double rounding(Index k, Index d) {
  return 64.0 * static_cast<double>(k * d) * 0x1p-52;
}

TEST(OrientNeurons, GivesTheReluNetworkBackAllTriedOrNot) {
  for (const auto& [d, k] : {std::pair<Index, Index>{8, 5}, {4, 9}, {30, 20}}) {
    const ReluNetwork truth = without_linear_part(d, k, 3);
    const OrientedNeurons oriented = orient_neurons(hyperplanes_of(truth));
    EXPECT_TRUE(at_most(oriented.left, rounding(k, d)));
    const HostMatrix x = normals(50, d, 7);
    const HostMatrix expected = exact_values(truth, x);
    const HostMatrix got = exact_values(oriented.network, x);
    for (Index i = 0; i < x.rows(); ++i) {
      EXPECT_NEAR(got(i, 0), expected(i, 0), 10 * rounding(k, d)) << d << " " << k;
    }
  }
}

TEST(OrientNeurons, WithoutAnOrientationThatFitsTheLeastIsLeft) {
  Hyperplanes network = hyperplanes_of(without_linear_part(5, 3, 1));
  for (Index j = 0; j < 5; ++j) network.linear(0, j) += 0.4 * (j + 1);
  double least = HUGE_VAL;
  for (int code = 0; code < 8; ++code) {
    double square = 0;
    for (Index j = 0; j < 5; ++j) {
      double rest = network.linear(0, j);
      for (Index i = 0; i < 3; ++i) {
        rest -= ((code >> i) & 1 ? 1 : -1) * network.scales(i, 0) * network.planes(i, j);
      }
      square += rest * rest;
    }
    least = std::min(least, std::sqrt(square));
  }
  EXPECT_NEAR(orient_neurons(network).left, least, rounding(3, 5));
}

TEST(OrientNeurons, NeuronsOfScaleZeroAreLeftOut) {
  Hyperplanes network = hyperplanes_of(without_linear_part(5, 3, 1));
  network.add({1, 0, 0, 0, 0}, 0);
  const OrientedNeurons oriented = orient_neurons(network);
  EXPECT_EQ(oriented.network.neurons(), 3);
  EXPECT_TRUE(at_most(oriented.left, rounding(3, 5)));
}

}  // namespace
}  // namespace crease
