// What symmetric matrices have in common: the subspace that many of them lie in.
#pragma once

#include <crease/device.hpp>
#include <crease/matrix.hpp>

#include <vector>

namespace crease {

/// The symmetric matrix of a vector of its numbers (svec): the upper triangle row by row,
/// off-diagonal numbers times sqrt(2); [D, D].
HostMatrix symmetric_matrix(const double* numbers, Index dimensions);

/// The numbers of u u^T, u [D]: of length |u|^2.
std::vector<double> symmetric_square(const double* u, Index dimensions);

/// D of D (D + 1) / 2 numbers. Throws BadInput where there is none.
Index symmetric_dimensions(Index numbers);

struct SymmetricSpan {
  std::vector<double> values;  // singular values of the [N, n] matrix of all of them, descending
  HostMatrix basis;            // [m, n], the m leading right singular vectors: orthonormal rows
};

/// Of N symmetric matrices as vectors, rows [N, n], n = D (D + 1) / 2; not centred: their mean is
/// in the span. A QR factorization, then the SVD of its triangle [min(N, n), min(N, n)]: no product
/// squares the small singular values. Rows of the basis whose values are below rounding of the
/// largest are arbitrary, but orthonormal to the others. N >= 1, m <= min(N, n). Scratch: 2 N n
/// numbers. Throws BadInput. Waits.
SymmetricSpan symmetric_span(Device& device, ConstDeviceView rows, Index m);

}  // namespace crease
