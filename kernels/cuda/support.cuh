// Launch shapes of the CUDA twins; host code only. The loops that go with them: indexing.cuh.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/indexing.cuh"
#include "kernels/cuda/ops.hpp"

namespace crease {

struct Launch {
  dim3 grid;
  dim3 block;
};

/// How many blocks of `size` cover `count`, but at most `most`: loops do the rest.
inline unsigned blocks_for(Index count, Index size, Index most) {
  return static_cast<unsigned>(std::clamp<Index>((count + size - 1) / size, 1, most));
}

/// One thread per element of a row-major matrix, neighbours along a row, for kernels with the loops
/// of indexing.cuh.
inline Launch per_element(Index rows, Index cols) {
  constexpr Index kThreads = 256;
  constexpr Index kMostBlocks = 1 << 15;  // enough to fill any GPU several times over
  Index width = 1;
  while (width < 32 && width < cols) width *= 2;
  const Index height = kThreads / width;
  const unsigned across = blocks_for(cols, width, 1 << 10);
  const unsigned down = blocks_for(rows, height, kMostBlocks / across);
  return {dim3(down, across), dim3(static_cast<unsigned>(width), static_cast<unsigned>(height))};
}

/// Whether rows can be read 16 bytes at a time.
inline bool starts_at_16_bytes(ConstDeviceView view) {
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.ld % 2 == 0;
}

inline Index attribute(const CudaContext& context, cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, context.device_id()), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace crease
