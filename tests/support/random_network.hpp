// Gaussian numbers and networks of them.
#pragma once

#include <crease/network.hpp>

#include <cstdint>
#include <random>

namespace crease {

inline HostMatrix gaussian_matrix(Index rows, Index cols, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  HostMatrix matrix(rows, cols);
  for (Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = normal(engine);
  return matrix;
}

/// Every number standard normal.
inline ReluNetwork random_network(Index d, Index k, Index p, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  ReluNetwork network(d, k, p);
  for (HostMatrix* part :
       {&network.weights, &network.bias, &network.output, &network.linear, &network.constant}) {
    for (Index i = 0; i < part->size(); ++i) part->data()[i] = normal(engine);
  }
  return network;
}

}  // namespace crease
