// Small dense problems on the host.
#include "src/small_dense.hpp"

#include <lapacke.h>

#include <algorithm>
#include <string>

namespace crease {
namespace {

void check_lapack(lapack_int info, const char* routine) {
  if (info != 0) {
    throw Error(std::string(routine) + " failed with " + std::to_string(info));
  }
}

}  // namespace

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

}  // namespace crease
