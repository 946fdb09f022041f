// Moments and rectified powers: products of columns, polynomials and powers number by number,
// bounds, diagonals.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>

namespace crease {

/// The product of every column of a with every column of b, row by row (the Kronecker product of
/// their rows):
///   out[i, s d + j] = a[i, s] * b[i, j].
/// So out^T b = the sums of a_s x x^T over rows x of b, one above the other: weighted Gram
/// matrices, whatever the signs of the weights, from one read of b.
///
/// a [n, r], b [n, d], out [n, r d]. Bits.
void row_products(Device& device, ConstDeviceView a, ConstDeviceView b, DeviceView out);

/// y[i, j] *= a[i, j].   Same shape. Bits.
void multiply_elements(Device& device, ConstDeviceView a, DeviceView y);

/// y <- He_order(y), Hermite polynomials of the probabilists: He_0 = 1, He_1 = z, He_{l+1} = z He_l
/// - l He_{l-1}. 0 <= order <= kMostHermite. Bits.
void hermite(Device& device, Index order, DeviceView y);

inline constexpr Index kMostHermite = 32;

/// y <- max(y, 0)^power; NaN stays NaN.   power > 0, finite. Bits for the powers 1, 2 and 1/2;
/// others are each library's: steps(4).
void rectified_power(Device& device, double power, DeviceView y);

/// y <- the derivative of that, power max(y, least)^(power - 1) where y > 0, else 0; NaN stays NaN.
/// For powers below 1 the slope has no bound: least >= 0 gives it one. Bits for the powers 1,
/// 3/2, 2 and 3; others steps(5).
void rectified_slope(Device& device, double power, double least, DeviceView y);

/// y[i, j] <- bounds[0, j] where it is below, bounds[1, j] where it is above; NaN stays NaN.
/// bounds [2, p], y [n, p]. Bits.
void clip_columns(Device& device, ConstDeviceView bounds, DeviceView y);

/// y[i, j] <- 0 where |y[i, j]| > bounds[0, j]; NaN stays NaN.   bounds [1, p], y [n, p]. Bits.
void drop_beyond(Device& device, ConstDeviceView bounds, DeviceView y);

/// g[i, j] <- g[j, i] for j > i: what is above the diagonal becomes what is below.   g [q, q].
/// Bits.
void symmetrize(Device& device, DeviceView g);

/// out[0, j] = g[j, j].   g [q, q], out [1, q]. Bits.
void diagonal(Device& device, ConstDeviceView g, DeviceView out);

/// g[j, j] += values[0, j].   values [1, q], g [q, q]. Bits.
void add_to_diagonal(Device& device, ConstDeviceView values, DeviceView g);

}  // namespace crease
