// Gaussian numbers from a counter, on the GPU.
#include "kernels/cuda/support.cuh"
#include "kernels/gaussian_sample.hpp"

namespace crease {
namespace {

__global__ void fill_gaussian_kernel(std::uint64_t seed, std::uint64_t stream,
                                     Index first_row_number, double scale, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    double* row = out.data + i * out.ld;
    const auto row_number = static_cast<std::uint64_t>(first_row_number + i);
    for (Index pair = first_col(); 2 * pair < out.cols; pair += col_step()) {
      const NormalPair normals =
          normal_pair(seed, stream, row_number, static_cast<std::uint64_t>(pair));
      row[2 * pair] = scale * normals.first;
      if (2 * pair + 1 < out.cols) row[2 * pair + 1] = scale * normals.second;
    }
  }
}

}  // namespace

void CudaOps::fill_gaussian(Seed seed, std::uint64_t stream, Index first_row, double scale,
                            DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Launch launch = per_element(out.rows, (out.cols + 1) / 2);
  fill_gaussian_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(seed.value, stream,
                                                                            first_row, scale, out);
  check(cudaGetLastError(), "fill_gaussian");
}

}  // namespace crease
