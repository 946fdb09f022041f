// Whether what a network leaves of examples still depends on their inputs.
#pragma once

#include <functional>
#include <vector>

#include "src/stages/examples.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// F'(x) [b, p] of x [b, d].
using Predict = std::function<void(ConstDeviceView x, DeviceView out)>;

/// How far the residual R = y - F'(x) of the first `rows` rows (0: all) is from one that is
/// independent of x: the larger of two numbers that are about N(0, 1) then, or less where F' was
/// fitted to these rows. On other rows the error of F' itself would show. z = span x ~ N(0, I_m).
///   Second Hermite moments: with r_o the residual of output o, centred and of unit variance,
///     E r_o z_a z_b (a < b),   E r_o (z_a^2 - 1) / sqrt(2),
///   N = p m (m + 1) / 2 numbers of variance 1 / n: (n times their mean square - 1) sqrt(N / 2). A
///   neuron that is lacking shows, unless the others could make its second moment good: k m > m
///   (m + 1) / 2.
///   Hinges: what 64 features |<u, z>|, u random, explain of R by least squares, times n, is chi
///   square of 64 p degrees of freedom, standardised.
/// Says nothing where the examples are fitted exactly (R is rounding), little where there are few
/// more examples than parameters.
///
/// cuts  [p] or empty: larger residuals of an output are gross errors, and count as 0
/// span  [m, d] orthonormal rows
/// Two passes. Waits.
double residual_surplus(Device& device, Examples& examples, const HostMatrix& span,
                        const Predict& predict, Random& random, Index rows = 0,
                        const std::vector<double>& cuts = {});

}  // namespace crease
