// Gaussian numbers from a counter, on the GPU.
#include "kernels/cuda/random.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::fill_gaussian(Seed seed, std::uint64_t stream, Index first_row, double scale,
                            DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, (out.cols + 1) / 2);
  fill_gaussian_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(seed.value, stream,
                                                                            first_row, scale, out);
  check(cudaGetLastError(), "fill_gaussian");
}

}  // namespace crease
