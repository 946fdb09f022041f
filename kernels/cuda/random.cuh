// Kernels of random.cu: Gaussian numbers from a counter.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/indexing.cuh"
#include "kernels/gaussian_sample.hpp"

namespace crease {

__global__ void fill_gaussian_kernel(std::uint64_t seed, std::uint64_t stream,
                                     Index first_row_number, double scale, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    double* row = out.data + i * out.ld;
    const auto row_number = static_cast<std::uint64_t>(first_row_number + i);
    for (Index pair = first_col(); 2 * pair < out.cols; pair += col_step()) {
      const NormalPair normals =
          normal_pair(seed, stream, row_number, static_cast<std::uint64_t>(pair));
      row[2 * pair] = scale * normals.first;
      if (2 * pair + 1 < out.cols) row[2 * pair + 1] = scale * normals.second;
    }
  }
}

}  // namespace crease
