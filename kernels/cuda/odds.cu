// Softmax, and log-odds of probabilities, on the GPU.
#include "kernels/cuda/odds.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::softmax(bool logarithms, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, 1);
  softmax_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(logarithms, y);
  check(cudaGetLastError(), "softmax");
}

void CudaOps::log_odds(const OddsFormat& format, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, 1);
  log_odds_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(format, y);
  check(cudaGetLastError(), "log_odds");
}

}  // namespace crease
