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

/// sum of rho^(m - first) c_m(top + y) c_m(left + x) over m >= first, as many terms as the largest
/// |rho| of the tile that the series reaches needs; coefficients come through shared memory, 16
/// terms at a time. Every thread of a 16 x 16 block calls it.
__device__ inline double hermite_tile_sum(const double* series, Index k, Index top, Index left,
                                          int first, double rho,
                                          double (&own)[kMomentTile][kMomentTile + 1],
                                          double (&other)[kMomentTile][kMomentTile + 1],
                                          int& terms) {
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  const double size = std::abs(rho);
  __syncthreads();  // nobody reads `terms` of the tile before any more
  if (x == 0 && y == 0) terms = 0;
  __syncthreads();
  atomicMax(&terms, hermite_terms(size <= kSeriesReach ? size : 0.0));
  __syncthreads();
  double sum = 0.0;
  // The bounds of this loop are the same for a whole block: every thread meets every barrier.
  for (int end = terms; end > first; end -= kMomentTile) {
    const int begin = end - kMomentTile > first ? end - kMomentTile : first;
    __syncthreads();  // nobody reads the coefficients before any more
    if (begin + y < end) {
      own[y][x] = top + x < k ? series[(begin + y) * k + top + x] : 0.0;      // [term][row]
      other[y][x] = left + x < k ? series[(begin + y) * k + left + x] : 0.0;  // [term][column]
    }
    __syncthreads();
    for (int m = end - begin - 1; m >= 0; --m) sum = sum * rho + own[m][y] * other[m][x];
  }
  return sum;
}

/// Elements (i, j), j <= i < k, of g: correlations in (zeros where there are no inputs), moments
/// out. One block per 16 x 16 tile.
__global__ void gaussian_moments_kernel(const GaussianNeuron* neurons, const double* series,
                                        Index k, bool any_inputs, DeviceView g) {
  __shared__ double own[kMomentTile][kMomentTile + 1];
  __shared__ double other[kMomentTile][kMomentTile + 1];
  __shared__ int terms;
  for (Index top = static_cast<Index>(blockIdx.x) * kMomentTile; top < k;
       top += static_cast<Index>(gridDim.x) * kMomentTile) {
    for (Index left = static_cast<Index>(blockIdx.y) * kMomentTile; left <= top;
         left += static_cast<Index>(gridDim.y) * kMomentTile) {
      const Index i = top + threadIdx.y;
      const Index j = left + threadIdx.x;
      const bool inside = i < k && j <= i;
      const double rho = inside && any_inputs ? g.data[i * g.ld + j] : 0.0;
      double moment = hermite_tile_sum(series, k, top, left, 0, rho, own, other, terms);
      if (!inside) continue;
      if (i == j) {
        moment = neurons[i].square;
      } else if (std::abs(rho) > kSeriesReach) {
        moment = nearly_parallel_moment(neurons[i], neurons[j], rho);
      }
      g.data[i * g.ld + j] = moment;
    }
  }
}

/// Hinges as neurons of length 1.
__global__ void gaussian_hinges_kernel(ConstDeviceView thresholds, GaussianNeuron* neurons) {
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < thresholds.rows;
       i += static_cast<Index>(gridDim.x) * blockDim.x) {
    neurons[i] = gaussian_neuron(1.0, -thresholds.data[i * thresholds.ld]);
  }
}

/// sums[i] of gaussian_coupling_sums for begin <= i < begin + rows, from the scalar products
/// rho and jump_products [rows, ld] of those rows. One block per 16 rows.
__global__ void coupling_sums_kernel(const GaussianNeuron* neurons, const double* series, Index k,
                                     Index begin, Index rows, const double* rho_rows,
                                     const double* jump_rows, Index ld, ConstDeviceView groups,
                                     DeviceView sums) {
  __shared__ double own[kMomentTile][kMomentTile + 1];
  __shared__ double other[kMomentTile][kMomentTile + 1];
  __shared__ int terms;
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  for (Index top = static_cast<Index>(blockIdx.x) * kMomentTile; top < rows;
       top += static_cast<Index>(gridDim.x) * kMomentTile) {
    const Index row = top + y;
    const Index i = begin + row;
    double total = 0.0;
    for (Index left = 0; left < begin + top + kMomentTile; left += kMomentTile) {
      const Index j = left + x;
      const bool inside = row < rows && j < i;
      const double rho = inside ? rho_rows[row * ld + j] : 0.0;
      double value = hermite_tile_sum(series, k, begin + top, left, 2, rho, own, other, terms);
      if (!inside || groups.data[i * groups.ld] == groups.data[j * groups.ld]) continue;
      value = std::abs(rho) > kSeriesReach
                  ? coupling_at(rho, neurons[i].threshold, neurons[j].threshold)
                  : value * (rho * rho);
      total += jump_rows[row * ld + j] * value;
    }
    __syncthreads();  // nobody reads the coefficients any more
    own[y][x] = total;
    __syncthreads();
    if (x == 0 && row < rows) {
      double sum = 0.0;
      for (int lane = 0; lane < kMomentTile; ++lane) sum += own[y][lane];
      sums.data[i * sums.ld] = sum;
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
