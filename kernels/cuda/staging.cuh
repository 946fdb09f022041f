// How numbers get into shared memory: by twos where rows allow it, with zeros where there are none.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/mma.cuh"

namespace crease {

struct alignas(16) NumberPair {
  double first;
  double second;
};

/// Starts the copy of numbers `column` and `column + 1`, column even, of a row of `columns`
/// numbers; those that are not there are zero. wide: the row starts at a multiple of 16 bytes.
__device__ __forceinline__ void copy_pair(double* target, const double* row, Index column,
                                          Index columns, bool wide) {
  if (wide && column + 1 < columns) {
    copy_async_16(target, row + column);
    return;
  }
  for (int i = 0; i < 2; ++i) {
    if (column + i < columns) {
      copy_async_8(target + i, row + column + i);
    } else {
      target[i] = 0.0;
    }
  }
}

}  // namespace crease
