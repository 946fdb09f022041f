// Lines as a perfect search would leave them, for the stages that come after it.
#pragma once

#include "src/stages/gradients.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {

/// Noise of `unit` times rho on every output.
NoiseModel relative_noise(double unit, Index p);

/// A broken line along a line of R^d: every kink exact and in its place, every piece verified from
/// kink to kink (the outer ones to 1000 sqrt(d)) and fitted with the noise of two answers at its
/// ends.
SearchedLine perfect_line(const BrokenLine& f, std::vector<double> origin,
                          std::vector<double> direction, double unit);

/// The line of a network; the neurons of its kinks, in their order, in `order`.
SearchedLine perfect_line(const ReluNetwork& network, std::vector<double> origin,
                          std::vector<double> direction, double unit,
                          std::vector<Index>* order = nullptr);

/// Row `row` of a matrix.
std::vector<double> row_of(const HostMatrix& matrix, Index row);

}  // namespace crease
