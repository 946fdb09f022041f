// Kernels of moments.cu: products of columns, Hermite polynomials and rectified powers.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/indexing.cuh"
#include "kernels/moments.hpp"

namespace crease {

__global__ void row_products_kernel(ConstDeviceView a, ConstDeviceView b, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index column = first_col(); column < out.cols; column += col_step()) {
      out.data[i * out.ld + column] =
          a.data[i * a.ld + column / b.cols] * b.data[i * b.ld + column % b.cols];
    }
  }
}

__global__ void multiply_elements_kernel(ConstDeviceView a, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] *= a.data[i * a.ld + j];
    }
  }
}

__global__ void hermite_kernel(Index order, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] = hermite_of(order, y.data[i * y.ld + j]);
    }
  }
}

__global__ void rectified_power_kernel(double power, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] = rectified_power_of(power, y.data[i * y.ld + j]);
    }
  }
}

__global__ void rectified_slope_kernel(double power, double least, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] = rectified_slope_of(power, least, y.data[i * y.ld + j]);
    }
  }
}

__global__ void clip_columns_kernel(ConstDeviceView bounds, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      double& value = y.data[i * y.ld + j];
      const double low = bounds.data[j];
      const double high = bounds.data[bounds.ld + j];
      if (value < low) value = low;
      if (value > high) value = high;
    }
  }
}

__global__ void drop_beyond_kernel(ConstDeviceView bounds, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      double& value = y.data[i * y.ld + j];
      if (fabs(value) > bounds.data[j]) value = 0;
    }
  }
}

__global__ void symmetrize_kernel(DeviceView g) {
  for (Index i = first_row(); i < g.rows; i += row_step()) {
    for (Index j = first_col(); j < g.cols; j += col_step()) {
      if (j > i) g.data[i * g.ld + j] = g.data[j * g.ld + i];
    }
  }
}

__global__ void diagonal_kernel(ConstDeviceView g, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    for (Index j = first_col(); j < out.cols; j += col_step()) {
      out.data[j] = g.data[j * g.ld + j];
    }
  }
}

__global__ void add_to_diagonal_kernel(ConstDeviceView values, DeviceView g) {
  for (Index i = first_row(); i < values.rows; i += row_step()) {
    for (Index j = first_col(); j < values.cols; j += col_step()) {
      g.data[j * g.ld + j] += values.data[j];
    }
  }
}

}  // namespace crease
