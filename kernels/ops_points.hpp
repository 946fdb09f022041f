// Points, and what networks say at them: random numbers, points of lines and fans, features,
// networks along lines and on fans, distances.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>
#include <crease/oracle.hpp>

#include <span>

namespace crease {

// ----------------------------------------------------------------------------------------------
// random

/// Standard normals times `scale`, a pure function of (seed, stream, first_row + i, j): any chunk
/// on any device regenerates any row.
///
/// seed       key of the counter generator (Philox4x32-10, Salmon et al. 2011), with Box-Muller on
///            what it gives
/// stream     separate streams are independent
/// first_row  >= 0
/// scale      finite
/// out        [n, d]
///
/// Bits (only + - * / sqrt are used).
void fill_gaussian(Device& device, Seed seed, std::uint64_t stream, Index first_row, double scale,
                   DeviceView out);

// ----------------------------------------------------------------------------------------------
// points

/// out[i, :] = origin + t[i] * direction.   t [n, 1], out [n, d]. Bits.
void line_points(Device& device, const Line& line, ConstDeviceView t, DeviceView out);

/// out[i * q + j, :] = centers[i, :] + steps[i, j] * directions[j, :].   out [m * q, d]. Bits.
void fan_points(Device& device, const Fan& fan, DeviceView out);

/// Finite differences of a fan, one row per centre and output:
///   out[i * p + o, j] = (values[i * q + j, o] - centers[i, o]) / steps[i, j]
///
/// values [m * q, p], centers [m, p], steps [m, q] (not zero), out [m * p, q]. Bits.
void divided_differences(Device& device, ConstDeviceView values, ConstDeviceView centers,
                         ConstDeviceView steps, DeviceView out);

/// Finite-difference steps that cross few badly known hyperplanes. For centre i and direction j the
/// step s = first[i] * 4^-l, l = 0..6, that minimises
///   noise[i, j] = sqrt(center_noise[i]^2 + sum of variance[r] over r that s crosses) / s,
/// where s crosses r if offsets[i, r] * (offsets[i, r] + s * slopes_t[r, j]) < 0. The larger step
/// wins ties.
///
/// offsets       [m, k]  signed distance of centre i from hyperplane r
/// slopes_t      [k, q]  <w_r, direction_j>
/// variance      [k, 1]  squared error that crossing hyperplane r costs; >= 0
/// first         [m, 1]  > 0
/// center_noise  [m, 1]  >= 0
/// steps, noise  [m, q]  results
///
/// Twins agree bit for bit (the sum runs over r in order).
void safest_steps(Device& device, ConstDeviceView offsets, ConstDeviceView slopes_t,
                  ConstDeviceView variance, ConstDeviceView first, ConstDeviceView center_noise,
                  DeviceView steps, DeviceView noise);

// ----------------------------------------------------------------------------------------------
// relu

/// out[i, r] = max(<x_i, weights_r> + bias_r, 0).
///
/// x [n, d], weights [k, d], bias [k, 1], out [n, k]. Sum(d + 1).
void relu_features(Device& device, ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                   DeviceView out);

/// Features of Gaussian points that are never stored as a whole:
///   out[i, r] = max(<x_i, weights_r> + bias_r, 0),
/// where x [n, d] is what fill_gaussian(device, seed, stream, first_row, 1.0, x) writes, bit for
/// bit.
///
/// seed, stream, first_row  as in fill_gaussian
/// weights [k, d], bias [k, 1], out [n, k]. Sum(d + 1).
void gaussian_features(Device& device, Seed seed, std::uint64_t stream, Index first_row,
                       ConstDeviceView weights, ConstDeviceView bias, DeviceView out);

/// A network on a fan, in the fan's own coordinates:
///   out[i * q + j, o] = constant[i, o] + s * tilt[j, o] + sum_r output[o, r] * max(offsets[i, r] +
///   s * slopes_t[r, j], 0), s = steps[i, j]
///
/// offsets [m, k], slopes_t [k, q], output [p, k], constant [m, p], tilt [q, p], steps [m, q], out
/// [m * q, p]. Sum(k + 2). A number of `output` that is not finite makes its output not finite
/// everywhere, be the neuron on or off.
void relu_fan_sum(Device& device, ConstDeviceView offsets, ConstDeviceView slopes_t,
                  ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                  ConstDeviceView steps, DeviceView out);

// ----------------------------------------------------------------------------------------------
// lines

/// A network along several lines, in the lines' own coordinates (rank 1; no points are built). For
/// the points i of line l, first[l] <= i < first[l + 1],
///   out[i, o] = constant[l, o] + t[i] * tilt[l, o] + sum_r output[o, r] * max(offsets[r, l] + t[i]
///   * slopes[r, l], 0)
///
/// offsets, slopes  [k, m]  weights * origin + bias, weights * direction, one column a line
/// output           [p, k]
/// constant, tilt   [m, p]
/// first            [m + 1] on the host, ascending from 0 to n
/// t                [n, 1]
/// out              [n, p]
///
/// Sum(k + 2). Lines with many points are cut at their sorted kinks, and the neurons of a piece
/// come from prefix sums in double-double; sizes alone decide. There, with u = 2^-53 and S the sum
/// of all |terms|, the error is below u |out| + (6 k + 20) u^2 S, and below u |output[o, r]
/// offsets[r, l]| more for a neuron whose kink rounds to t[i]. Where that way gives no finite
/// number, the point is summed up directly: NaN and infinity come out as that sum makes them.
void relu_lines_sum(Device& device, ConstDeviceView offsets, ConstDeviceView slopes,
                    ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                    std::span<const Index> first, ConstDeviceView t, DeviceView out);

// ----------------------------------------------------------------------------------------------
// pairs

/// out[i, j] = Euclidean norm of a_i - b_j.   a [m, d], b [n, d], out [m, n]. Sum(d).
void pair_distances(Device& device, ConstDeviceView a, ConstDeviceView b, DeviceView out);

}  // namespace crease
