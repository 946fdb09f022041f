// Weighted Gram matrices on the GPU.
#include <algorithm>

#include "kernels/cuda/gram.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

constexpr Index kChunkNumbers = Index{1} << 23;  // 64 MiB
constexpr Index kLeastRows = 128;                // of a chunk: fewer make the product slow

}  // namespace

void CudaOps::weighted_gram(ConstDeviceView z, ConstDeviceView weights, double beta, DeviceView g) {
  const CurrentGpu current(context_.device_id());
  const Index q = z.cols;
  const Index chunk = std::min(z.rows, std::max(kChunkNumbers / q, kLeastRows));
  const Scratch<double> scaled(context_, static_cast<std::size_t>(chunk * q));
  if (z.rows == 0) gram(z, beta, g);
  for (Index top = 0; top < z.rows; top += chunk) {
    const DeviceView rows{scaled.data(), std::min(chunk, z.rows - top), q, q};
    const Launch launch = per_element(rows.rows, q);
    scale_by_roots_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(
        z.row_block(top, rows.rows), weights.row_block(top, rows.rows), rows);
    check(cudaGetLastError(), "weighted_gram");
    gram(rows, top == 0 ? beta : 1.0, g);
  }
}

}  // namespace crease
