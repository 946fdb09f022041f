// Symmetric matrices that share their factors: T_s = A diag(c_s) A^T.
#pragma once

#include <crease/device.hpp>

#include <optional>
#include <vector>

#include "src/stages/random.hpp"

namespace crease {

/// Unit eigenvectors, one a row, of one other^-1 for symmetric matrices [k, k] (singular values of
/// the other below `cutoff` of its largest count as 0): the columns of A where both are A diag(c)
/// A^T. No value where LAPACK finds none. Source: Jennrich's algorithm (Leurgans, Ross, Abel 1993).
std::optional<HostMatrix> pencil_eigenvectors(const HostMatrix& one, const HostMatrix& other,
                                              double cutoff);

/// One way of writing them so.
struct JointDiagonal {
  HostMatrix factors;   // [k, k], the columns of A as rows, of unit length
  double residual = 0;  // root of sum |T_s - A diag(c_s) A^T|^2 over that of sum |T_s|^2
};

/// Candidates for A, the best first, signs and order free: alternating least squares (CP-ALS of a
/// symmetric tensor) from the eigenvectors of T(z1) T(z2)^-1, T(z) = sum z_s T_s with Gaussian z
/// (Jennrich's algorithm; Leurgans, Ross, Abel 1993), once for every try. A stops after
/// `iterations`, or once its residual changes by less than 1e-7 of itself in ten of them. Tries
/// whose matrices are singular give no candidate; there may be none. With `agree` they end once the
/// best two residuals are within 1e-4 of each other, most likely of one optimum.
///
/// slices  [S k, k]: T_s one above the other
/// BadInput on other shapes. Waits.
std::vector<JointDiagonal> jointly_diagonalize(Device& device, ConstHostView slices, Random& random,
                                               int tries, int iterations, bool agree = false);

}  // namespace crease
