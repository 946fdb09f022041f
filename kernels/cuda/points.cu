// Points of lines and fans, and what their answers say about gradients, on the GPU.
#include "kernels/cuda/points.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::line_points(const Line& line, ConstDeviceView t, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  line_points_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(line, t, out);
  check(cudaGetLastError(), "line_points");
}

void CudaOps::fan_points(const Fan& fan, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  fan_points_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(fan, out);
  check(cudaGetLastError(), "fan_points");
}

void CudaOps::divided_differences(ConstDeviceView values, ConstDeviceView centers,
                                  ConstDeviceView steps, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  divided_differences_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(values, centers,
                                                                                  steps, out);
  check(cudaGetLastError(), "divided_differences");
}

void CudaOps::safest_steps(ConstDeviceView offsets, ConstDeviceView slopes_t,
                           ConstDeviceView variance, ConstDeviceView first,
                           ConstDeviceView center_noise, DeviceView steps, DeviceView noise) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(steps.rows, steps.cols);
  safest_steps_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
      offsets, slopes_t, variance, first, center_noise, steps, noise);
  check(cudaGetLastError(), "safest_steps");
}

}  // namespace crease
