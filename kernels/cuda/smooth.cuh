// Kernels of smooth.cu: smooth activations and second differences.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/activations.hpp"
#include "kernels/cuda/indexing.cuh"
#include "kernels/second_difference.hpp"

namespace crease {

__global__ void activate_kernel(Activation activation, int derivative, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      double& value = y.data[i * y.ld + j];
      value = activation_at(activation, derivative, value);
    }
  }
}

__global__ void second_differences_kernel(ConstDeviceView values, double step, Index dimensions,
                                          DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index c = first_col(); c < out.cols; c += col_step()) {
      out.data[i * out.ld + c] =
          second_difference(values.data + i * values.ld, dimensions, c, step);
    }
  }
}

}  // namespace crease
