// Kernels of answers.cu: answers brought into a format, and their noise.
#pragma once

#include "kernels/answer_format.hpp"
#include "kernels/cuda/indexing.cuh"

namespace crease {

__global__ void round_answers_kernel(Imperfection::Kind kind, double scale, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    double* row = y.data + i * y.ld;
    for (Index o = first_col(); o < y.cols; o += col_step())
      row[o] = in_format(row[o], kind, scale);
  }
}

/// One thread a row: the noise of each number depends on all of them.
__global__ void add_answer_noise_kernel(std::uint64_t seed, double deviation, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    if (first_col() == 0) add_noise_to_row(seed, deviation, y, i);
  }
}

}  // namespace crease
