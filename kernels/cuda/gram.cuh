// Kernels of gram.cu: weighted Gram matrices.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/indexing.cuh"

namespace crease {

/// rows[i, :] = sqrt(weights[i]) * z[i, :]
__global__ void scale_by_roots_kernel(ConstDeviceView z, ConstDeviceView weights, DeviceView rows) {
  for (Index i = first_row(); i < rows.rows; i += row_step()) {
    const double root = sqrt(weights.data[i * weights.ld]);
    for (Index j = first_col(); j < rows.cols; j += col_step()) {
      rows.data[i * rows.ld + j] = root * z.data[i * z.ld + j];
    }
  }
}

}  // namespace crease
