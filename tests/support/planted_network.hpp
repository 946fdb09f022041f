// Planted networks, and what is known about them without any code under test.
#pragma once

#include <crease/network.hpp>

#include <cstdint>
#include <vector>

#include "src/stages/hyperplanes.hpp"

namespace crease {

/// Standard normals, the same for the same seed on every machine.
HostMatrix normals(Index rows, Index cols, std::uint64_t seed);

/// k neurons with |w| in [.5, 1.5], biases of size |w| and outputs of magnitude in [.5, 1.5] and
/// random sign; a linear part and a constant of normals.
ReluNetwork planted_network(Index d, Index k, Index p, std::uint64_t seed);

/// F(x) [n, p], added up in extended precision and rounded once.
HostMatrix exact_values(const ReluNetwork& network, const HostMatrix& x);

/// The gradient of F at x, [p, d], in extended precision; the neurons active at x are those with
/// <w, x> + bias > 0.
HostMatrix exact_gradient(const ReluNetwork& network, const std::vector<double>& x);

/// The same function without orientation; every neuron has weights.
Hyperplanes hyperplanes_of(const ReluNetwork& network);

/// The same network with another factor on every answer.
ReluNetwork times(ReluNetwork network, double factor);

/// A function R -> R^p that is linear between kinks.
struct BrokenLine {
  std::vector<double> t;                  // kinks, ascending
  std::vector<std::vector<double>> jump;  // of the slope at each kink, [p]
  std::vector<double> slope;              // left of all kinks, [p]
  std::vector<double> value;              // of the leftmost piece at t = 0, [p]

  std::size_t outputs() const { return slope.size(); }
  /// Slope between kinks piece - 1 and piece.
  double slope_of(std::size_t piece, std::size_t o) const;
  double at(double where, std::size_t o) const;
};

/// F along origin + t direction; the neurons whose kinks these are, in their order, in `order`.
BrokenLine along(const ReluNetwork& network, const std::vector<double>& origin,
                 const std::vector<double>& direction, std::vector<Index>* order = nullptr);

}  // namespace crease
