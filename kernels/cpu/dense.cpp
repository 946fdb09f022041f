// Dense linear algebra on the CPU: OpenBLAS and LAPACKE on row-major views.
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

void check_lapack(lapack_int info, const char* routine) {
  if (info != 0) {
    throw DeviceError(std::string("cpu: ") + routine + " failed with " + std::to_string(info));
  }
}

CBLAS_TRANSPOSE blas(Transpose transpose) {
  return transpose == Transpose::no ? CblasNoTrans : CblasTrans;
}

}  // namespace

void CpuOps::multiply(ConstDeviceView a, Transpose transpose_a, ConstDeviceView b,
                      Transpose transpose_b, double alpha, double beta, DeviceView c) {
  const Index inner = transpose_a == Transpose::no ? a.cols : a.rows;
  if (beta == 0.0) fill(0.0, c);
  if (inner == 0) {
    if (beta != 0.0 && beta != 1.0) {
      for (Index i = 0; i < c.rows; ++i) {
        for (Index j = 0; j < c.cols; ++j) c.data[i * c.ld + j] *= beta;
      }
    }
    return;
  }
  openblas_set_num_threads(threads_for(c.rows * c.cols * inner));
  if (c.cols == 1) {  // dgemm would first copy all of a
    cblas_dgemv(CblasRowMajor, blas(transpose_a), blas_size(a.rows), blas_size(a.cols), alpha,
                a.data, blas_size(a.ld), b.data, transpose_b == Transpose::no ? blas_size(b.ld) : 1,
                beta, c.data, blas_size(c.ld));
    return;
  }
  cblas_dgemm(CblasRowMajor, blas(transpose_a), blas(transpose_b), blas_size(c.rows),
              blas_size(c.cols), blas_size(inner), alpha, a.data, blas_size(a.ld), b.data,
              blas_size(b.ld), beta, c.data, blas_size(c.ld));
}

void CpuOps::add_row(ConstDeviceView row, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) y.data[i * y.ld + j] += row.data[j];
  }
}

void CpuOps::subtract(ConstDeviceView a, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) y.data[i * y.ld + j] -= a.data[i * a.ld + j];
  }
}

void CpuOps::copy(ConstDeviceView a, DeviceView y) {
  for (Index i = 0; i < y.rows; ++i) std::copy_n(a.data + i * a.ld, a.cols, y.data + i * y.ld);
}

void CpuOps::fill(double value, DeviceView y) {
  for (Index i = 0; i < y.rows; ++i) std::fill_n(y.data + i * y.ld, y.cols, value);
}

Index CpuOps::first_non_finite_row(ConstDeviceView y) {
  for (Index i = 0; i < y.rows; ++i) {
    for (Index j = 0; j < y.cols; ++j) {
      if (!std::isfinite(y.data[i * y.ld + j])) return i;
    }
  }
  return -1;
}

void CpuOps::orthonormal_rows(DeviceView a) {
  // Row-major a is column-major a^T; a = L Q is a^T = Q^T L^T, a QR decomposition.
  const lapack_int d = blas_size(a.rows);
  const lapack_int ld = blas_size(a.ld);
  openblas_set_num_threads(threads_for(a.rows * a.rows * a.rows));
  std::vector<double> tau(static_cast<std::size_t>(d));
  check_lapack(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, d, d, a.data, ld, tau.data()), "dgeqrf");
  std::vector<bool> negative(static_cast<std::size_t>(d));
  for (Index i = 0; i < a.rows; ++i) {
    negative[static_cast<std::size_t>(i)] = a.data[i * a.ld + i] < 0.0;
  }
  check_lapack(LAPACKE_dorgqr(LAPACK_COL_MAJOR, d, d, d, a.data, ld, tau.data()), "dorgqr");
  for (Index i = 0; i < a.rows; ++i) {
    if (!negative[static_cast<std::size_t>(i)]) continue;
    for (Index j = 0; j < a.cols; ++j) a.data[i * a.ld + j] = -a.data[i * a.ld + j];
  }
}

void CpuOps::column_norms(ConstDeviceView z, DeviceView out) {
  fill(0.0, out);
  for (Index i = 0; i < z.rows; ++i) {
    const double* row = z.data + i * z.ld;
    for (Index j = 0; j < z.cols; ++j) out.data[j] += row[j] * row[j];
  }
  for (Index j = 0; j < z.cols; ++j) out.data[j] = std::sqrt(out.data[j]);
}

void CpuOps::scale_columns(ConstDeviceView factors, DeviceView z) {
#pragma omp parallel for num_threads(threads_for(z.rows* z.cols)) schedule(static)
  for (Index i = 0; i < z.rows; ++i) {
    for (Index j = 0; j < z.cols; ++j) z.data[i * z.ld + j] *= factors.data[j];
  }
}

void CpuOps::gram(ConstDeviceView z, double beta, DeviceView g) {
  if (beta == 0.0) {
    for (Index i = 0; i < g.rows; ++i) std::fill_n(g.data + i * g.ld, i + 1, 0.0);
  }
  if (z.rows == 0) {
    for (Index i = 0; i < g.rows; ++i) {
      for (Index j = 0; j <= i; ++j) g.data[i * g.ld + j] *= beta;
    }
    return;
  }
  openblas_set_num_threads(threads_for(g.rows * g.rows * z.rows));
  cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, blas_size(g.rows), blas_size(z.rows), 1.0,
              z.data, blas_size(z.ld), beta, g.data, blas_size(g.ld));
}

bool CpuOps::cholesky(DeviceView g) {
  openblas_set_num_threads(threads_for(g.rows * g.rows * g.rows));
  // The lower triangle, row-major, is the upper one, column-major: no copy is needed.
  const lapack_int info =
      LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', blas_size(g.rows), g.data, blas_size(g.ld));
  if (info < 0) check_lapack(info, "dpotrf");
  if (info > 0) return false;
  // OpenBLAS takes a pivot of NaN for positive.
  for (Index i = 0; i < g.rows; ++i) {
    if (!(g.data[i * g.ld + i] > 0.0)) return false;
  }
  return true;
}

void CpuOps::solve_triangular(ConstDeviceView l, Transpose transpose, DeviceView x) {
  // One column is a chain of short steps: threads would only wait for one another.
  openblas_set_num_threads(x.cols == 1 ? 1 : threads_for(x.rows * x.rows * x.cols));
  if (x.cols == 1) {
    cblas_dtrsv(CblasRowMajor, CblasLower, blas(transpose), CblasNonUnit, blas_size(x.rows), l.data,
                blas_size(l.ld), x.data, blas_size(x.ld));
    return;
  }
  cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, blas(transpose), CblasNonUnit,
              blas_size(x.rows), blas_size(x.cols), 1.0, l.data, blas_size(l.ld), x.data,
              blas_size(x.ld));
}

void CpuOps::triangularize(DeviceView a) {
  // QR of a is LQ of its column-major reading a^T = L Q: R = L^T stands in the upper triangle of a.
  const lapack_int n = blas_size(a.rows);
  const lapack_int q = blas_size(a.cols);
  openblas_set_num_threads(threads_for(a.rows * a.cols * a.cols));
  std::vector<double> tau(static_cast<std::size_t>(q));
  check_lapack(LAPACKE_dgelqf(LAPACK_COL_MAJOR, q, n, a.data, blas_size(a.ld), tau.data()),
               "dgelqf");
  for (Index i = 1; i < a.rows; ++i) {
    std::fill_n(a.data + i * a.ld, std::min(i, a.cols), 0.0);
  }
}

}  // namespace crease
