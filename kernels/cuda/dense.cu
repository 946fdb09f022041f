// Dense linear algebra on the GPU: cuBLAS and cuSOLVER on row-major views, and small own kernels.
//
// Both libraries are column-major: what they see of a row-major view is its transpose, with the
// same leading dimension.
#include <limits>

#include "kernels/cuda/dense.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

cublasOperation_t blas(Transpose transpose) {
  return transpose == Transpose::no ? CUBLAS_OP_N : CUBLAS_OP_T;
}

int solver_size(Index n) {
  if (n > std::numeric_limits<int>::max()) {
    throw DeviceError("cuda: a matrix with a side of " + std::to_string(n) +
                      " is too large for this cuSOLVER");
  }
  return static_cast<int>(n);
}

/// Householder QR in place of a column-major matrix [rows, cols].
void householder(CudaContext& context, Index rows, Index cols, double* a, Index ld, double* tau,
                 int* info) {
  std::size_t device_bytes = 0;
  std::size_t host_bytes = 0;
  check(
      cusolverDnXgeqrf_bufferSize(context.solver(), context.solver_params(), rows, cols, CUDA_R_64F,
                                  a, ld, CUDA_R_64F, tau, CUDA_R_64F, &device_bytes, &host_bytes),
      "Xgeqrf_bufferSize");
  const Scratch<char> device_work(context, device_bytes);
  const HostScratch host_work(context, host_bytes);
  check(cusolverDnXgeqrf(context.solver(), context.solver_params(), rows, cols, CUDA_R_64F, a, ld,
                         CUDA_R_64F, tau, CUDA_R_64F, device_work.data(), device_bytes,
                         host_work.data(), host_bytes, info),
        "Xgeqrf");
}

}  // namespace

void CudaOps::multiply(ConstDeviceView a, Transpose transpose_a, ConstDeviceView b,
                       Transpose transpose_b, double alpha, double beta, DeviceView c) {
  const CurrentGpu current(context_.device_id());
  const Index inner = transpose_a == Transpose::no ? a.cols : a.rows;
  if (inner == 0) {
    const Launch launch = per_element(c.rows, c.cols);
    scale_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(beta, c.cols, c);
    check(cudaGetLastError(), "multiply");
    return;
  }
  if (c.cols == 1) {
    const Index step = transpose_b == Transpose::no ? b.ld : 1;
    check(
        cublasDgemv_v2_64(context_.blas(), transpose_a == Transpose::no ? CUBLAS_OP_T : CUBLAS_OP_N,
                          a.cols, a.rows, &alpha, a.data, a.ld, b.data, step, &beta, c.data, c.ld),
        "multiply");
    return;
  }
  // c^T = op(b)^T op(a)^T, and a transposed reading is what cuBLAS sees anyway.
  check(cublasDgemm_v2_64(context_.blas(), blas(transpose_b), blas(transpose_a), c.cols, c.rows,
                          inner, &alpha, b.data, b.ld, a.data, a.ld, &beta, c.data, c.ld),
        "multiply");
}

void CudaOps::add_row(ConstDeviceView row, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  add_row_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(row, y);
  check(cudaGetLastError(), "add_row");
}

void CudaOps::subtract(ConstDeviceView a, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  subtract_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(a, y);
  check(cudaGetLastError(), "subtract");
}

void CudaOps::copy(ConstDeviceView a, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  copy_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(a, y);
  check(cudaGetLastError(), "copy");
}

void CudaOps::fill(double value, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  fill_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(value, y);
  check(cudaGetLastError(), "fill");
}

Index CudaOps::first_non_finite_row(ConstDeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Scratch<unsigned long long> first(context_, 1);
  check(cudaMemsetAsync(first.data(), 0xff, sizeof(kNoRow), context_.stream()),
        "first_non_finite_row");  // kNoRow
  const Launch launch = per_element(y.rows, y.cols);
  find_non_finite_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(y, first.data());
  check(cudaGetLastError(), "first_non_finite_row");
  const unsigned long long row = read_back(context_, first.data(), "first_non_finite_row");
  return row == kNoRow ? -1 : static_cast<Index>(row);
}

void CudaOps::orthonormal_rows(DeviceView a) {
  // Row-major a is column-major a^T; a = L Q is a^T = Q^T L^T, a QR decomposition.
  const CurrentGpu current(context_.device_id());
  const Index d = a.rows;
  const int small_d = solver_size(d);
  const int small_ld = solver_size(a.ld);
  const auto count = static_cast<std::size_t>(d);
  const Scratch<double> tau(context_, count);
  const Scratch<double> signs(context_, count);
  const Scratch<int> info(context_, 1);
  householder(context_, d, d, a.data, a.ld, tau.data(), info.data());

  const Launch diagonal = per_element(d, 1);
  diagonal_signs_kernel<<<diagonal.grid, diagonal.block, 0, context_.stream()>>>(a, signs.data());
  check(cudaGetLastError(), "orthonormal_rows");

  int work_size = 0;
  check(cusolverDnDorgqr_bufferSize(context_.solver(), small_d, small_d, small_d, a.data, small_ld,
                                    tau.data(), &work_size),
        "Dorgqr_bufferSize");
  const Scratch<double> work(context_, static_cast<std::size_t>(work_size));
  check(cusolverDnDorgqr(context_.solver(), small_d, small_d, small_d, a.data, small_ld, tau.data(),
                         work.data(), work_size, info.data()),
        "Dorgqr");

  const Launch all = per_element(d, d);
  scale_rows_kernel<<<all.grid, all.block, 0, context_.stream()>>>(signs.data(), a);
  check(cudaGetLastError(), "orthonormal_rows");
}

void CudaOps::column_norms(ConstDeviceView z, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Index slices = blocks_for(z.rows, 1024, 256);
  const Index rows_per_slice = (z.rows + slices - 1) / slices;
  const Scratch<double> sums(context_, static_cast<std::size_t>(slices * z.cols));
  const dim3 grid(static_cast<unsigned>(slices), blocks_for(z.cols, kNormColumns, 1 << 15));
  column_squares_kernel<<<grid, dim3(kNormColumns, kNormLanes), 0, context_.stream()>>>(
      z, rows_per_slice, sums.data());
  check(cudaGetLastError(), "column_norms");
  // One row: the block is one element high and the columns are spread over it.
  column_norms_kernel<<<dim3(1, blocks_for(out.cols, 256, 1 << 15)), 256, 0, context_.stream()>>>(
      sums.data(), slices, out);
  check(cudaGetLastError(), "column_norms");
}

void CudaOps::scale_columns(ConstDeviceView factors, DeviceView z) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(z.rows, z.cols);
  scale_columns_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(factors, z);
  check(cudaGetLastError(), "scale_columns");
}

void CudaOps::gram(ConstDeviceView z, double beta, DeviceView g) {
  const CurrentGpu current(context_.device_id());
  if (z.rows == 0) {
    const Launch launch = per_element(g.rows, g.cols);
    scale_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(beta, 0, g);
    check(cudaGetLastError(), "gram");
    return;
  }
  // The lower triangle, row-major, is the upper one, column-major; z is seen as z^T.
  const double one = 1.0;
  check(cublasDsyrk_v2_64(context_.blas(), CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, g.rows, z.rows,
                          &one, z.data, z.ld, &beta, g.data, g.ld),
        "gram");
}

bool CudaOps::cholesky(DeviceView g) {
  const CurrentGpu current(context_.device_id());
  std::size_t device_bytes = 0;
  std::size_t host_bytes = 0;
  check(cusolverDnXpotrf_bufferSize(context_.solver(), context_.solver_params(),
                                    CUBLAS_FILL_MODE_UPPER, g.rows, CUDA_R_64F, g.data, g.ld,
                                    CUDA_R_64F, &device_bytes, &host_bytes),
        "Xpotrf_bufferSize");
  const Scratch<char> device_work(context_, device_bytes);
  const HostScratch host_work(context_, host_bytes);
  const Scratch<int> info(context_, 1);
  check(cusolverDnXpotrf(context_.solver(), context_.solver_params(), CUBLAS_FILL_MODE_UPPER,
                         g.rows, CUDA_R_64F, g.data, g.ld, CUDA_R_64F, device_work.data(),
                         device_bytes, host_work.data(), host_bytes, info.data()),
        "Xpotrf");
  const Launch launch = per_element(g.rows, 1);
  check_pivots_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(g, info.data());
  check(cudaGetLastError(), "cholesky");
  return read_back(context_, info.data(), "cholesky") == 0;
}

void CudaOps::solve_triangular(ConstDeviceView l, Transpose transpose, DeviceView x) {
  // x <- L^-1 x is x^T <- x^T (L^T)^-1, and L^T, upper, is what cuBLAS sees of L.
  const CurrentGpu current(context_.device_id());
  if (x.cols == 1) {
    check(cublasDtrsv_v2_64(context_.blas(), CUBLAS_FILL_MODE_UPPER,
                            transpose == Transpose::no ? CUBLAS_OP_T : CUBLAS_OP_N,
                            CUBLAS_DIAG_NON_UNIT, x.rows, l.data, l.ld, x.data, x.ld),
          "solve_triangular");
    return;
  }
  const double one = 1.0;
  check(
      cublasDtrsm_v2_64(context_.blas(), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_UPPER, blas(transpose),
                        CUBLAS_DIAG_NON_UNIT, x.cols, x.rows, &one, l.data, l.ld, x.data, x.ld),
      "solve_triangular");
}

void CudaOps::triangularize(DeviceView a) {
  const CurrentGpu current(context_.device_id());
  const Index n = a.rows;
  const Index q = a.cols;
  const Scratch<double> qr(context_, static_cast<std::size_t>(n * q));
  const double one = 1.0;
  const double zero = 0.0;
  // There is no LQ in cuSOLVER: the matrix is turned round first.
  check(cublasDgeam_64(context_.blas(), CUBLAS_OP_T, CUBLAS_OP_N, n, q, &one, a.data, a.ld, &zero,
                       qr.data(), n, qr.data(), n),
        "triangularize");
  const Scratch<double> tau(context_, static_cast<std::size_t>(q));
  const Scratch<int> info(context_, 1);
  householder(context_, n, q, qr.data(), n, tau.data(), info.data());
  const Launch launch = per_element(n, q);
  take_r_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(qr.data(), a);
  check(cudaGetLastError(), "triangularize");
}

}  // namespace crease
