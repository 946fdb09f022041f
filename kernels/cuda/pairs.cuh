// Kernels of pairs.cu: distances between all pairs of rows.
#pragma once

#include <crease/matrix.hpp>

namespace crease {

constexpr int kPairTile = 16;

/// One block per 16 x 16 tile of pairs; coordinates come through shared memory, 16 at a time, and
/// are summed in order.
__global__ void pair_distances_kernel(ConstDeviceView a, ConstDeviceView b, DeviceView out) {
  __shared__ double from[kPairTile][kPairTile + 1];  // one more: no two rows share a bank
  __shared__ double to[kPairTile][kPairTile + 1];
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index top = static_cast<Index>(blockIdx.x) * kPairTile; top < out.rows;
       top += static_cast<Index>(gridDim.x) * kPairTile) {
    for (Index left = static_cast<Index>(blockIdx.y) * kPairTile; left < out.cols;
         left += static_cast<Index>(gridDim.y) * kPairTile) {
      double sum = 0.0;
      for (Index first = 0; first < a.cols; first += kPairTile) {
        const Index count = a.cols - first < kPairTile ? a.cols - first : kPairTile;
        __syncthreads();  // nobody reads the tile before any more
        if (x < count) {
          from[y][x] = top + y < out.rows ? a.data[(top + y) * a.ld + first + x] : 0.0;
          to[y][x] = left + y < out.cols ? b.data[(left + y) * b.ld + first + x] : 0.0;
        }
        __syncthreads();
        for (int c = 0; c < count; ++c) {
          const double difference = from[y][c] - to[x][c];
          sum += difference * difference;
        }
      }
      if (top + y < out.rows && left + x < out.cols) {
        out.data[(top + y) * out.ld + left + x] = sqrt(sum);
      }
    }
  }
}

}  // namespace crease
