// Answers brought into a format, and their noise, on the GPU.
#include "kernels/cuda/answers.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::round_answers(const Imperfection& format, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, y.cols);
  round_answers_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
      format.kind, power_of_ten(format.decimals), y);
  check(cudaGetLastError(), "round_answers");
}

void CudaOps::add_answer_noise(Seed seed, double deviation, DeviceView y) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(y.rows, 1);
  add_answer_noise_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(seed.value,
                                                                               deviation, y);
  check(cudaGetLastError(), "add_answer_noise");
}

}  // namespace crease
