// Kernels of gaussian.cu: second moments of ReLU features under N(0, I).
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/indexing.cuh"
#include "kernels/gaussian_integral.hpp"

namespace crease {

constexpr int kMomentTile = 16;

/// normals[i, :] = weights[i, :] / |weights[i, :]| (row-major, d wide; zero for a zero row) and
/// neurons[i]; one warp a row, rows along the block's y.
__global__ void gaussian_neurons_kernel(ConstDeviceView weights, ConstDeviceView bias,
                                        double* normals, GaussianNeuron* neurons) {
  constexpr unsigned kAll = 0xffffffffU;
  const int lane = static_cast<int>(threadIdx.x);
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.y + threadIdx.y; i < weights.rows;
       i += static_cast<Index>(gridDim.x) * blockDim.y) {
    const double* row = weights.data + i * weights.ld;
    double largest = 0.0;
    for (Index c = lane; c < weights.cols; c += 32) {
      const double size = std::abs(row[c]);
      if (size > largest) largest = size;
    }
    for (int offset = 16; offset > 0; offset /= 2) {
      const double other = __shfl_xor_sync(kAll, largest, offset);
      if (other > largest) largest = other;
    }
    // As on the CPU: lengths whose squares overflow or vanish are lengths all the same.
    const double scale = largest > 0.0 && largest <= 1.7976931348623157e308 ? largest : 1.0;
    double sum = 0.0;
    for (Index c = lane; c < weights.cols; c += 32) {
      sum += (row[c] / scale) * (row[c] / scale);
    }
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAll, sum, offset);
    const double length = scale * std::sqrt(sum);
    for (Index c = lane; c < weights.cols; c += 32) {
      normals[i * weights.cols + c] = length == 0.0 ? 0.0 : row[c] / length;
    }
    if (lane == 0) neurons[i] = gaussian_neuron(length, bias.data[i * bias.ld]);
  }
}

/// series[m * k + i]: neurons side by side.
__global__ void hermite_kernel(const GaussianNeuron* neurons, Index k, double* series) {
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < k;
       i += static_cast<Index>(gridDim.x) * blockDim.x) {
    hermite_coefficients(neurons[i], series + i, k);
  }
}

/// Elements (i, j), j <= i < k, of g: correlations in (zeros where there are no inputs), moments
/// out. One block per 16 x 16 tile; coefficients come through shared memory, 16 terms at a time.
__global__ void gaussian_moments_kernel(const GaussianNeuron* neurons, const double* series,
                                        Index k, bool any_inputs, DeviceView g) {
  __shared__ double own[kMomentTile][kMomentTile + 1];    // term, row
  __shared__ double other[kMomentTile][kMomentTile + 1];  // term, column
  __shared__ int terms;
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index top = static_cast<Index>(blockIdx.x) * kMomentTile; top < k;
       top += static_cast<Index>(gridDim.x) * kMomentTile) {
    for (Index left = static_cast<Index>(blockIdx.y) * kMomentTile; left <= top;
         left += static_cast<Index>(gridDim.y) * kMomentTile) {
      const Index i = top + y;
      const Index j = left + x;
      const bool inside = i < k && j <= i;
      const double rho = inside && any_inputs ? g.data[i * g.ld + j] : 0.0;
      const double size = std::abs(rho);
      __syncthreads();  // nobody reads `terms` of the tile before any more
      if (x == 0 && y == 0) terms = 0;
      __syncthreads();
      atomicMax(&terms, hermite_terms(size <= kSeriesReach ? size : 0.0));
      __syncthreads();
      double sum = 0.0;
      for (int end = terms; end > 0; end -= kMomentTile) {
        const int begin = end > kMomentTile ? end - kMomentTile : 0;
        __syncthreads();  // nobody reads the terms before any more
        if (begin + y < end) {
          own[y][x] = top + x < k ? series[(begin + y) * k + top + x] : 0.0;
          other[y][x] = left + x < k ? series[(begin + y) * k + left + x] : 0.0;
        }
        __syncthreads();
        for (int m = end - begin - 1; m >= 0; --m) sum = sum * rho + own[m][y] * other[m][x];
      }
      if (!inside) continue;
      if (i == j) {
        sum = neurons[i].square;
      } else if (size > kSeriesReach) {
        sum = nearly_parallel_moment(neurons[i], neurons[j], rho);
      }
      g.data[i * g.ld + j] = sum;
    }
  }
}

/// The rows of g below the neurons': inputs, where there are any, and the constant.
__global__ void gaussian_borders_kernel(const GaussianNeuron* neurons, const double* normals,
                                        Index k, Index d, DeviceView g) {
  for (Index below = first_row(); below < g.rows - k; below += row_step()) {
    const Index i = k + below;
    for (Index j = first_col(); j <= i; j += col_step()) {
      double value = i == j ? 1.0 : 0.0;
      if (j < k) {
        value = i == g.rows - 1 ? neurons[j].mean : neurons[j].active * normals[j * d + below];
      }
      g.data[i * g.ld + j] = value;
    }
  }
}

}  // namespace crease
