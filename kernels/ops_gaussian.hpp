// Exact integrals of ReLU features under N(0, I).
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>

namespace crease {

/// Exact second moments of ReLU features under N(0, I), lower triangle and diagonal (what is above
/// is left alone):
///   g = E z z^T,   z = [relu(weights x + bias), x, 1]  or  z = [relu(weights x + bias), 1].
///
/// weights [k, d], bias [k, 1], g [q, q] with q = k + d + 1, or q = k + 1 without inputs. A row of
/// weights that is all zero is the constant max(bias, 0).
///
/// Neurons i and j are right to (2 d + 200) eps (s_i s_j + a_i a_j), where s_i^2 = E relu_i^2 and
/// a_i^2 = |w_i|^2 P(relu_i > 0); so are the other entries with s = a = 1 for the constant and for
/// an input. A neuron further than 13 from the origin and silent there: times (b / 13)^2, b its
/// distance. Scratch: k (d + 119) numbers.
///
/// Source: the Hermite expansion of relu(g - b) (Mehler's formula) for correlations up to 0.75,
/// quadrature of E relu relu = E relu E relu + rho P P + int (rho - t) phi2(t) dt beyond.
void gaussian_gram(Device& device, ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                   DeviceView g);

/// Covariances of hinges relu(<n_i, x> - b_i) times their jumps, less what their best affine
/// approximations share, row by row below the diagonal:
///   sums[i] = sum of <J_i, J_j> K(b_i, b_j; <n_i, n_j>) over j < i with group[j] != group[i],
///   K(b, c; rho) = int_0^rho (rho - t) phi2(b, c; t) dt;   sums[i] = 0 for i < first.
///
/// normals    [k, d]  unit rows n_i
/// thresholds [k, 1]  b_i
/// jumps      [k, p]  J_i
/// groups     [k, 1]  numbers that are compared
/// first      0 <= first <= k
/// sums       [k, 1]  result
///
/// Right to (2 d + 2 p + k + 200) eps sum of |J_i| |J_j|. Scratch: k 117 numbers, and 2^25 or 4 k,
/// whichever is more.
void gaussian_coupling_sums(Device& device, ConstDeviceView normals, ConstDeviceView thresholds,
                            ConstDeviceView jumps, ConstDeviceView groups, Index first,
                            DeviceView sums);

}  // namespace crease
