// Products of columns, Hermite polynomials and rectified powers, on the GPU.
#include "kernels/cuda/moments.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::row_products(ConstDeviceView a, ConstDeviceView b, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  row_products_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(a, b, out);
  check(cudaGetLastError(), "row_products");
}

void CudaOps::multiply_elements(ConstDeviceView a, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  multiply_elements_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(a, y);
  check(cudaGetLastError(), "multiply_elements");
}

void CudaOps::hermite(Index order, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  hermite_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(order, y);
  check(cudaGetLastError(), "hermite");
}

void CudaOps::rectified_power(double power, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  rectified_power_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(power, y);
  check(cudaGetLastError(), "rectified_power");
}

void CudaOps::rectified_slope(double power, double least, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  rectified_slope_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(power, least, y);
  check(cudaGetLastError(), "rectified_slope");
}

void CudaOps::clip_columns(ConstDeviceView bounds, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  clip_columns_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(bounds, y);
  check(cudaGetLastError(), "clip_columns");
}

void CudaOps::drop_beyond(ConstDeviceView bounds, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  drop_beyond_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(bounds, y);
  check(cudaGetLastError(), "drop_beyond");
}

void CudaOps::symmetrize(DeviceView g) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(g.rows, g.cols);
  symmetrize_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(g);
  check(cudaGetLastError(), "symmetrize");
}

void CudaOps::diagonal(ConstDeviceView g, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  diagonal_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(g, out);
  check(cudaGetLastError(), "diagonal");
}

void CudaOps::add_to_diagonal(ConstDeviceView values, DeviceView g) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(values.rows, values.cols);
  add_to_diagonal_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(values, g);
  check(cudaGetLastError(), "add_to_diagonal");
}

}  // namespace crease
