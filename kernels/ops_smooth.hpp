// Smooth activations, and second differences of answers on a stencil.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>
#include <crease/smooth_network.hpp>

namespace crease {

/// y <- g(y), g'(y) or g''(y) for derivative = 0, 1, 2 (kernels/activations.hpp). NaN stays NaN.
/// exp, tanh, erf and the like are each library's: within 16 eps of max(1, |y|) times the largest
/// of |g|, |g'|, |g''| around y, which are at most about max(1, |y|).
void activate(Device& device, Activation activation, int derivative, DeviceView y);

/// Offsets of the shared stencil for Hessians in D dimensions, one a row, in units of the step:
///   0;  e_1 .. e_D;  -e_1 .. -e_D;  e_j + e_k for j < k, row by row;  -(e_j + e_k) likewise.
inline Index stencil_size(Index dimensions) {
  return dimensions * dimensions + dimensions + 1;
}

/// Numbers of a symmetric matrix, diagonal included: D (D + 1) / 2.
inline Index symmetric_size(Index dimensions) {
  return dimensions * (dimensions + 1) / 2;
}

/// Finite-difference Hessians from answers on that stencil, as vectors of the same Euclidean norm
/// as the matrices (svec): the upper triangle row by row, off-diagonal numbers times sqrt(2).
///   H_jj = [v(e_j) - 2 v(0) + v(-e_j)] / step^2
///   H_jk = [v(e_j + e_k) - v(e_j) - v(e_k) + 2 v(0) - v(-e_j) - v(-e_k) + v(-e_j - e_k)]
///          / (2 step^2),   both off by O(step^2)
///
/// values [m, stencil_size(D)], step > 0 and finite, out [m, symmetric_size(D)]. Bits.
void second_differences(Device& device, ConstDeviceView values, double step, DeviceView out);

}  // namespace crease
