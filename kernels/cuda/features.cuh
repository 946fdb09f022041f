// Kernels of features.cu: ReLU features of points that are given or Gaussian.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/indexing.cuh"

namespace crease {

__global__ void bias_and_relu_kernel(ConstDeviceView bias, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    double* row = out.data + i * out.ld;
    for (Index r = first_col(); r < out.cols; r += col_step()) {
      const double z = row[r] + bias.data[r * bias.ld];
      row[r] = z < 0.0 ? 0.0 : z;
    }
  }
}

}  // namespace crease
