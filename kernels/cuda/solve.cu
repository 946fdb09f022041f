// What least-squares solvers do to vectors and Gram matrices on the GPU.
#include "kernels/cuda/solve.cuh"

#include <limits>

#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

/// A row of scalars, one column each: the block is one element high.
Launch across(Index cols) {
  return {dim3(1, blocks_for(cols, 256, 1 << 15)), dim3(256)};
}

}  // namespace

void CudaOps::scale_rows(ConstDeviceView factors, DeviceView z) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(z.rows, z.cols);
  scale_by_rows_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(factors, z);
  check(cudaGetLastError(), "scale_rows");
}

void CudaOps::add_scaled(double scale, ConstDeviceView factors, ConstDeviceView x, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  add_scaled_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(scale, factors, x, y);
  check(cudaGetLastError(), "add_scaled");
}

void CudaOps::normalize_columns(DeviceView z, DeviceView norms) {
  const CurrentGpu current(context_.device_id());
  column_norms(z, norms);
  const Launch row = across(norms.cols);
  clear_small_kernel<<<row.grid, row.block, 0, context_.stream()>>>(
      std::numeric_limits<double>::min(), norms);
  check(cudaGetLastError(), "normalize_columns");
  divide_columns(norms, z);
}

void CudaOps::divide_columns(ConstDeviceView norms, DeviceView z) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(z.rows, z.cols);
  divide_columns_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(norms, z);
  check(cudaGetLastError(), "divide_columns");
}

void CudaOps::multiply_and_back(ConstDeviceView z, ConstDeviceView x, DeviceView y, double beta,
                                DeviceView back) {
  // Two passes: rows enough to keep a GPU busy do not stay in its second cache from the first.
  if (z.rows > 0) multiply(z, Transpose::no, x, Transpose::no, 1.0, 1.0, y);
  multiply(z, Transpose::yes, y, Transpose::no, 1.0, beta, back);
}

void CudaOps::unit_diagonal(double cutoff, double shift, DeviceView g, DeviceView factors) {
  const CurrentGpu current(context_.device_id());
  diagonal_factors_kernel<<<1, kDiagonalThreads, 0, context_.stream()>>>(cutoff, g, factors);
  check(cudaGetLastError(), "unit_diagonal");
  const Launch launch = per_element(g.rows, g.cols);
  unit_diagonal_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(shift, factors, g);
  check(cudaGetLastError(), "unit_diagonal");
}

void CudaOps::lsqr_begin(double tolerance, DeviceView state) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = across(state.cols);
  lsqr_begin_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(tolerance, state);
  check(cudaGetLastError(), "lsqr_begin");
}

void CudaOps::lsqr_rotate(DeviceView state) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = across(state.cols);
  lsqr_rotate_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(state);
  check(cudaGetLastError(), "lsqr_rotate");
}

void CudaOps::cg_begin(double tolerance, DeviceView state) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = across(state.cols);
  cg_begin_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(tolerance, state);
  check(cudaGetLastError(), "cg_begin");
}

void CudaOps::cg_step(DeviceView state) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = across(state.cols);
  cg_step_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(state);
  check(cudaGetLastError(), "cg_step");
}

void CudaOps::cg_turn(DeviceView state) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = across(state.cols);
  cg_turn_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(state);
  check(cudaGetLastError(), "cg_turn");
}

double CudaOps::svd(DeviceView a, DeviceView left_t, DeviceView values, DeviceView right) {
  // cuSOLVER sees a^T = right^T diag left_t; its U, column-major, is `right`, row-major, and its V
  // is `left_t`.
  const CurrentGpu current(context_.device_id());
  const Index q = a.rows;
  std::size_t device_bytes = 0;
  std::size_t host_bytes = 0;
  check(cusolverDnXgesvdp_bufferSize(
            context_.solver(), context_.solver_params(), CUSOLVER_EIG_MODE_VECTOR, 0, q, q,
            CUDA_R_64F, a.data, a.ld, CUDA_R_64F, values.data, CUDA_R_64F, right.data, right.ld,
            CUDA_R_64F, left_t.data, left_t.ld, CUDA_R_64F, &device_bytes, &host_bytes),
        "Xgesvdp_bufferSize");
  const Scratch<char> device_work(context_, device_bytes);
  const HostScratch host_work(context_, host_bytes);
  const Scratch<int> info(context_, 1);
  double perturbation = 0;
  check(cusolverDnXgesvdp(context_.solver(), context_.solver_params(), CUSOLVER_EIG_MODE_VECTOR, 0,
                          q, q, CUDA_R_64F, a.data, a.ld, CUDA_R_64F, values.data, CUDA_R_64F,
                          right.data, right.ld, CUDA_R_64F, left_t.data, left_t.ld, CUDA_R_64F,
                          device_work.data(), device_bytes, host_work.data(), host_bytes,
                          info.data(), &perturbation),
        "Xgesvdp");
  const int failed = read_back(context_, info.data(), "svd");
  if (failed != 0) throw DeviceError("cuda: Xgesvdp failed with " + std::to_string(failed));
  return perturbation;
}

}  // namespace crease
