// Which rows and columns of a matrix are a thread's own; device code only.
#pragma once

#include <crease/types.hpp>

namespace crease {

// A kernel launched with per_element() covers a matrix of any size by
//   for (Index i = first_row(); i < rows; i += row_step())
//     for (Index j = first_col(); j < cols; j += col_step())
// Threads along x take columns, threads along y rows; blocks the other way round, as a grid may be
// far longer along x.

__device__ inline Index first_row() {
  return static_cast<Index>(blockIdx.x) * blockDim.y + threadIdx.y;
}
__device__ inline Index row_step() {
  return static_cast<Index>(gridDim.x) * blockDim.y;
}
__device__ inline Index first_col() {
  return static_cast<Index>(blockIdx.y) * blockDim.x + threadIdx.x;
}
__device__ inline Index col_step() {
  return static_cast<Index>(gridDim.y) * blockDim.x;
}

}  // namespace crease
