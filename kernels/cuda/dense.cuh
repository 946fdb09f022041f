// Kernels of dense.cu: elementwise, norms, and what surrounds the factorizations.
#pragma once

#include <crease/matrix.hpp>

#include <limits>

#include "kernels/cuda/indexing.cuh"

namespace crease {

__global__ void add_row_kernel(ConstDeviceView row, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) y.data[i * y.ld + j] += row.data[j];
  }
}

__global__ void subtract_kernel(ConstDeviceView a, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] -= a.data[i * a.ld + j];
    }
  }
}

__global__ void copy_kernel(ConstDeviceView a, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      y.data[i * y.ld + j] = a.data[i * a.ld + j];
    }
  }
}

__global__ void fill_kernel(double value, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) y.data[i * y.ld + j] = value;
  }
}

__global__ void scale_columns_kernel(ConstDeviceView factors, DeviceView z) {
  for (Index i = first_row(); i < z.rows; i += row_step()) {
    for (Index j = first_col(); j < z.cols; j += col_step()) {
      z.data[i * z.ld + j] *= factors.data[j];
    }
  }
}

/// y *= factor where j <= i + widest; a factor of 0 ignores what was there, NaN included.
__global__ void scale_kernel(double factor, Index widest, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols && j <= i + widest; j += col_step()) {
      double& element = y.data[i * y.ld + j];
      element = factor == 0.0 ? 0.0 : factor * element;
    }
  }
}

constexpr unsigned long long kNoRow = std::numeric_limits<unsigned long long>::max();

__global__ void find_non_finite_kernel(ConstDeviceView y, unsigned long long* first) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    for (Index j = first_col(); j < y.cols; j += col_step()) {
      if (isfinite(y.data[i * y.ld + j])) continue;
      atomicMin(first, static_cast<unsigned long long>(i));
      return;  // this thread's later rows cannot come first
    }
  }
}

/// The signs of a square matrix's diagonal, 1 for zero.
__global__ void diagonal_signs_kernel(ConstDeviceView a, double* signs) {
  for (Index i = first_row(); i < a.rows; i += row_step()) {
    signs[i] = a.data[i * a.ld + i] < 0.0 ? -1.0 : 1.0;
  }
}

__global__ void scale_rows_kernel(const double* factors, DeviceView a) {
  for (Index i = first_row(); i < a.rows; i += row_step()) {
    for (Index j = first_col(); j < a.cols; j += col_step()) a.data[i * a.ld + j] *= factors[i];
  }
}

constexpr int kNormColumns = 32;  // per block, along x
constexpr int kNormLanes = 8;     // threads per column, along y

/// sums[slice, j] = sum of z[i, j]^2 over the rows of a slice; one block per slice and 32 columns.
__global__ void column_squares_kernel(ConstDeviceView z, Index rows_per_slice, double* sums) {
  __shared__ double partial[kNormLanes][kNormColumns];
  const Index slice = blockIdx.x;
  const Index begin = slice * rows_per_slice;
  const Index end = begin + rows_per_slice < z.rows ? begin + rows_per_slice : z.rows;
  // The bounds of this loop are the same for a whole block: every thread meets every barrier.
  for (Index left = static_cast<Index>(blockIdx.y) * kNormColumns; left < z.cols;
       left += static_cast<Index>(gridDim.y) * kNormColumns) {
    const Index j = left + threadIdx.x;
    double sum = 0.0;
    if (j < z.cols) {
      for (Index i = begin + threadIdx.y; i < end; i += kNormLanes) {
        sum += z.data[i * z.ld + j] * z.data[i * z.ld + j];
      }
    }
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && j < z.cols) {
      double total = 0.0;
      for (int lane = 0; lane < kNormLanes; ++lane) total += partial[lane][threadIdx.x];
      sums[slice * z.cols + j] = total;
    }
    __syncthreads();  // before the next columns overwrite it
  }
}

__global__ void column_norms_kernel(const double* sums, Index slices, DeviceView out) {
  for (Index j = first_col(); j < out.cols; j += col_step()) {
    double total = 0.0;
    for (Index slice = 0; slice < slices; ++slice) total += sums[slice * out.cols + j];
    out.data[j] = sqrt(total);
  }
}

/// info = 1 where a diagonal element is not a positive number: NaN passes some libraries' own test.
__global__ void check_pivots_kernel(ConstDeviceView l, int* info) {
  for (Index i = first_row(); i < l.rows; i += row_step()) {
    if (!(l.data[i * l.ld + i] > 0.0)) atomicMax(info, 1);
  }
}

/// a = [R; 0] from a column-major QR decomposition of the same size.
__global__ void take_r_kernel(const double* qr, DeviceView a) {
  for (Index i = first_row(); i < a.rows; i += row_step()) {
    for (Index j = first_col(); j < a.cols; j += col_step()) {
      a.data[i * a.ld + j] = i <= j ? qr[j * a.rows + i] : 0.0;
    }
  }
}

}  // namespace crease
