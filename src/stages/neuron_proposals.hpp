// Directions that neurons may have, guessed from a few coordinates of the examples.
#pragma once

#include <optional>

#include "src/stages/random.hpp"

namespace crease {

/// Orthogonal matching pursuit: `count` of `net` random unit vectors u, one after the other that
/// whose |<u, z>| explains most of what linear functions of z, |<v, z>| of the rows v of `kept` and
/// those chosen before leave of r.
///
/// z     [n, m]; r [n, 1]
/// kept  [any, m] unit rows
/// Result: [kept + count, m], `kept` first. One Gram matrix of net + kept + m + 1 features; the
/// pursuit is elimination in it. Waits.
HostMatrix matched_neurons(Device& device, ConstDeviceView z, ConstDeviceView r,
                           const HostMatrix& kept, Index count, Random& random, Index net = 400);

/// Unit eigenvectors of M_4(g) M_4(h)^-1 (hermite_contractions of r) for random g, h: the u_i of r
/// = sum_i lambda_i relu(<u_i, z>) + ..., where m <= their number and they are independent. [m, m];
/// no value where a matrix is singular. Source: Jennrich's algorithm, as Chen, Dou, Goel, Klivans,
/// Meka 2023 use it. Waits.
std::optional<HostMatrix> joint_eigenvectors(Device& device, ConstDeviceView z, ConstDeviceView r,
                                             Random& random);

/// A neuron that stands for two close ones: unit(v +- width t), t the eigenvector of largest
/// |eigenvalue| of E w x x^T on the complement of v, w = r K - K E(r K) / E K, K = exp(-<v, z>^2 /
/// (2 width^2)): what the residual r does along the hyperplane.
///
/// z [n, m], r [n, 1], v [m] of unit length, 0 < width. Result [2, m]. Waits.
HostMatrix split_neuron(Device& device, ConstDeviceView z, ConstDeviceView r, const double* v,
                        double width);

}  // namespace crease
