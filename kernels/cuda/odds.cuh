// Kernels of odds.cu: softmax, and log-odds of probabilities; one thread a row, as every number of
// a row depends on all of them.
#pragma once

#include "kernels/cuda/indexing.cuh"
#include "kernels/odds.hpp"

namespace crease {

__global__ void softmax_kernel(bool logarithms, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    if (first_col() == 0) softmax_of_row(logarithms, y.cols, y.data + i * y.ld);
  }
}

__global__ void log_odds_kernel(OddsFormat format, DeviceView y) {
  for (Index i = first_row(); i < y.rows; i += row_step()) {
    if (first_col() == 0) log_odds_of_row(format, y.cols / 2, y.data + i * y.ld);
  }
}

}  // namespace crease
