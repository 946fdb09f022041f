// Whether what a network leaves of examples still depends on their inputs.
#pragma once

#include <functional>

#include "src/stages/examples.hpp"

namespace crease {

/// The second Hermite moments of the residual R = y - F'(x) in m directions, standardised: with
/// r_o the residual of output o, centred and of unit variance, and z = span x ~ N(0, I_m),
///   E r_o z_a z_b (a < b),   E r_o (z_a^2 - 1) / sqrt(2),
/// N = p m (m + 1) / 2 numbers of variance 1 / n where R is independent of x. Result: (n times
/// their mean square - 1) sqrt(N / 2), about N(0, 1) then; large where a neuron is lacking or
/// wrong. Says nothing where the examples are fitted exactly (R is rounding), little where there
/// are few more examples than parameters.
///
/// span     [m, d] orthonormal rows
/// predict  F'(x) [b, p] of x [b, d]
/// rows     the first so many, those that F' was fitted to: on others its own error shows; 0: all
/// One pass. Waits.
using Predict = std::function<void(ConstDeviceView x, DeviceView out)>;
double surplus_moments(Device& device, Examples& examples, const HostMatrix& span,
                       const Predict& predict, Index rows = 0);

}  // namespace crease
