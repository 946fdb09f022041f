// Networks for tests of Gaussian integrals, and integrals of one variable to hold them against.
#pragma once

#include <crease/network.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace crease {

inline constexpr double kEps = std::numeric_limits<double>::epsilon();

/// All parameters normal.
ReluNetwork random_network(Index d, Index k, Index p, std::uint64_t seed);

/// One neuron per row (w, bias), p = 1.
ReluNetwork network_of(const std::vector<std::vector<double>>& rows, std::vector<double> outputs);

/// y [p] = F(x), x [d].
void evaluate_at(const ReluNetwork& network, const double* x, double* y);

/// sum of |u_j| |w_j| (1 + |threshold|) + |linear|: the size of the terms that rounding is relative
/// to.
double size_of_terms(const ReluNetwork& network);

/// Composite Simpson between breakpoints, `steps` to a piece.
double simpson(const std::function<double(double)>& f, std::vector<double> breaks, int steps);

/// Of a standard normal number.
double density(double z);

}  // namespace crease
