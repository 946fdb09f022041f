// Smooth activations and second differences on the GPU.
#include "kernels/cuda/smooth.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::activate(Activation activation, int derivative, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  activate_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(activation, derivative, y);
  check(cudaGetLastError(), "activate");
}

void CudaOps::second_differences(ConstDeviceView values, double step, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, out.cols);
  second_differences_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
      values, step, dimensions_of(out.cols), out);
  check(cudaGetLastError(), "second_differences");
}

}  // namespace crease
