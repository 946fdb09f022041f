// Distances between all pairs of rows, on the GPU.
#include "kernels/cuda/pairs.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::pair_distances(ConstDeviceView a, ConstDeviceView b, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const dim3 grid(blocks_for(out.rows, kPairTile, 1 << 15),
                  blocks_for(out.cols, kPairTile, 1 << 15));
  pair_distances_kernel<<<grid, dim3(kPairTile, kPairTile), 0, context_.stream()>>>(a, b, out);
  check(cudaGetLastError(), "pair_distances");
}

}  // namespace crease
