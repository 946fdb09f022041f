// Planted networks of a rectified power.
#pragma once

#include "tests/support/planted_network.hpp"

namespace crease {

/// planted_network() without biases, linear part and constant, of a power.
inline ReluNetwork planted_power(Index d, Index k, Index p, double power, std::uint64_t seed) {
  ReluNetwork network = planted_network(d, k, p, seed);
  network.bias = HostMatrix(k, 1);
  network.linear = HostMatrix(p, d);
  network.constant = HostMatrix(p, 1);
  network.power = power;
  return network;
}

}  // namespace crease
