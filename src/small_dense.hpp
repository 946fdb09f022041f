// Small dense problems on the host: what is too small for a device. LAPACK underneath.
#pragma once

#include <crease/matrix.hpp>

#include <vector>

namespace crease {

/// Ones on the diagonal; [n, n] or [rows, cols].
HostMatrix identity(Index n);
HostMatrix identity(Index rows, Index cols);

HostMatrix transposed(const HostMatrix& a);

/// Singular values of a, largest first; min(rows, cols) of them.
std::vector<double> singular_values(HostMatrix a);

/// Moore-Penrose inverse of a [n, q] with singular values below `cutoff` times the largest taken as
/// zero; [q, n].
HostMatrix pseudo_inverse(HostMatrix a, double cutoff);

/// a = left * diag(values) * right with min(n, q) singular values, largest first.
struct Svd {
  HostMatrix left;             // [n, r]
  std::vector<double> values;  // [r]
  HostMatrix right;            // [r, q]
};
Svd svd(HostMatrix a);

/// right <- a^-1 right for a symmetric positive definite a [n, n]; false, and right undefined,
/// where it is not.
bool solve_positive(HostMatrix a, std::vector<double>& right);

/// The same for every column of right [n, m].
bool solve_positive(HostMatrix a, HostMatrix& right);

/// a = vectors^T diag(values) vectors for a symmetric a, of which the lower triangle is read;
/// values ascending, one eigenvector a row.
struct SymmetricEigen {
  std::vector<double> values;  // [n]
  HostMatrix vectors;          // [n, n], orthonormal rows
};
SymmetricEigen symmetric_eigen(HostMatrix a);

/// The eigenvectors of the `count` largest eigenvalues, largest first, as rows; count <= n.
HostMatrix leading(const SymmetricEigen& eigen, Index count);

/// Eigenvectors of any square a, one a row, of unit length: real ones, and of every pair of complex
/// ones their real and imaginary parts added and subtracted. False where LAPACK finds none.
bool real_eigenvectors(HostMatrix a, HostMatrix& vectors);

}  // namespace crease
