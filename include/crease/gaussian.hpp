// Exact Gaussian integrals of a known network.
#pragma once

#include <crease/network.hpp>

namespace crease {

/// E F(x) for x ~ N(0, I); [p, 1].
HostMatrix gaussian_mean(const ReluNetwork& network);

/// Root of the summed variances of the outputs under N(0, I), without sampling. O(k^2 (d + p)).
/// Relative error about 1e-12 unless neurons cancel; a result below 1e-8 of the sum of |u||w| is
/// its rounding floor.
double gaussian_standard_deviation(const ReluNetwork& network);

}  // namespace crease
