// Small dense problems on the host.
#include "src/small_dense.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace crease {
namespace {

void check_lapack(lapack_int info, const char* routine) {
  if (info != 0) {
    throw Error(std::string(routine) + " failed with " + std::to_string(info));
  }
}

}  // namespace

HostMatrix identity(Index rows, Index cols) {
  HostMatrix unit(rows, cols);
  for (Index i = 0; i < std::min(rows, cols); ++i) unit(i, i) = 1;
  return unit;
}

HostMatrix identity(Index n) {
  return identity(n, n);
}

HostMatrix transposed(const HostMatrix& a) {
  HostMatrix t(a.cols(), a.rows());
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < a.cols(); ++j) t(j, i) = a(i, j);
  }
  return t;
}

std::vector<double> singular_values(HostMatrix a) {
  const auto n = static_cast<lapack_int>(a.rows());
  const auto q = static_cast<lapack_int>(a.cols());
  std::vector<double> values(static_cast<std::size_t>(std::min(n, q)));
  if (values.empty()) return values;
  // Row-major a is column-major a^T, with the same singular values: no copy.
  check_lapack(LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', q, n, a.data(), q, values.data(), nullptr, 1,
                              nullptr, 1),
               "dgesdd");
  return values;
}

Svd svd(HostMatrix a) {
  const auto n = static_cast<lapack_int>(a.rows());
  const auto q = static_cast<lapack_int>(a.cols());
  const lapack_int rank = std::min(n, q);
  Svd result{HostMatrix(n, rank), std::vector<double>(static_cast<std::size_t>(rank)),
             HostMatrix(rank, q)};
  if (rank == 0) return result;
  // Column-major a^T = right^T diag left^T: its left factor, column-major, is `right`, row-major.
  check_lapack(LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', q, n, a.data(), q, result.values.data(),
                              result.right.data(), q, result.left.data(), rank),
               "dgesdd");
  return result;
}

HostMatrix pseudo_inverse(HostMatrix a, double cutoff) {
  HostMatrix inverse(a.cols(), a.rows());
  const Svd parts = svd(std::move(a));
  for (std::size_t r = 0; r < parts.values.size(); ++r) {
    if (!(parts.values[r] > cutoff * parts.values[0])) break;
    for (Index i = 0; i < inverse.rows(); ++i) {
      const double factor = parts.right(static_cast<Index>(r), i) / parts.values[r];
      for (Index j = 0; j < inverse.cols(); ++j) {
        inverse(i, j) += factor * parts.left(j, static_cast<Index>(r));
      }
    }
  }
  return inverse;
}

bool solve_positive(HostMatrix a, std::vector<double>& right) {
  const auto n = static_cast<lapack_int>(a.rows());
  if (n == 0) return true;
  return LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', n, 1, a.data(), n, right.data(), n) == 0;
}

bool solve_positive(HostMatrix a, HostMatrix& right) {
  require(a.rows() == a.cols() && right.rows() == a.rows(),
          "solve_positive: a must be square, and right as tall");
  const auto n = static_cast<lapack_int>(a.rows());
  const auto m = static_cast<lapack_int>(right.cols());
  if (n == 0 || m == 0) return true;
  return LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', n, m, a.data(), n, right.data(), m) == 0;
}

SymmetricEigen symmetric_eigen(HostMatrix a) {
  require(a.rows() == a.cols(), "symmetric_eigen: a must be square");
  const auto n = static_cast<lapack_int>(a.rows());
  SymmetricEigen result{std::vector<double>(static_cast<std::size_t>(n)), {}};
  if (n > 0) {
    // The lower triangle in rows is the upper one in columns; eigenvectors come out as columns of
    // that, which are rows here.
    check_lapack(LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', n, a.data(), n, result.values.data()),
                 "dsyevd");
  }
  result.vectors = std::move(a);
  return result;
}

HostMatrix leading(const SymmetricEigen& eigen, Index count) {
  const Index n = eigen.vectors.rows();
  require(count <= n, "leading: there are not so many eigenvectors");
  HostMatrix rows(0, n);
  for (Index i = 0; i < count; ++i) rows.append_row(eigen.vectors.row(n - 1 - i), n);
  return rows;
}

bool real_eigenvectors(HostMatrix a, HostMatrix& vectors) {
  require(a.rows() == a.cols(), "real_eigenvectors: a must be square");
  const auto n = static_cast<lapack_int>(a.rows());
  vectors = HostMatrix(n, n);
  if (n == 0) return true;
  HostMatrix columns = transposed(a);
  std::vector<double> real(static_cast<std::size_t>(n));
  std::vector<double> imaginary(static_cast<std::size_t>(n));
  if (LAPACKE_dgeev(LAPACK_COL_MAJOR, 'N', 'V', n, columns.data(), n, real.data(), imaginary.data(),
                    nullptr, 1, vectors.data(), n) != 0) {
    return false;
  }
  for (Index i = 0; i + 1 < n; ++i) {  // re in row i, im in row i + 1
    if (imaginary[static_cast<std::size_t>(i)] == 0) continue;
    for (Index j = 0; j < n; ++j) {
      const double re = vectors(i, j);
      const double im = vectors(i + 1, j);
      vectors(i, j) = re + im;
      vectors(i + 1, j) = re - im;
    }
    ++i;
  }
  for (Index i = 0; i < n; ++i) {
    double square = 0;
    for (Index j = 0; j < n; ++j) square += vectors(i, j) * vectors(i, j);
    if (!(square > 0)) return false;
    for (Index j = 0; j < n; ++j) vectors(i, j) /= std::sqrt(square);
  }
  return true;
}

}  // namespace crease
