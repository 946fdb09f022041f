// One number of a finite-difference Hessian, for host and device alike.
#pragma once

#include <crease/types.hpp>

#include <cmath>

#include "kernels/host_device.hpp"

namespace crease {

/// D where a symmetric [D, D] matrix has so many numbers; the next smaller where none has.
CREASE_HOST_DEVICE inline Index dimensions_of(Index numbers) {
  auto d = static_cast<Index>(std::sqrt(2.0 * static_cast<double>(numbers)));
  while (d * (d + 1) / 2 > numbers) --d;
  while ((d + 1) * (d + 2) / 2 <= numbers) ++d;
  return d;
}

/// Number `column` of the upper triangle, row by row: row and column of the matrix.
struct SymmetricPlace {
  Index row;
  Index col;
};
CREASE_HOST_DEVICE inline SymmetricPlace place_of(Index column, Index dimensions) {
  // Rows from the last one up have 1, 2, 3 ... numbers.
  const Index left = dimensions * (dimensions + 1) / 2 - column;  // that come from here on
  Index height = dimensions_of(left - 1) + 1;
  const Index row = dimensions - height;
  return {row, dimensions - (left - height * (height - 1) / 2)};
}

/// `values` of one stencil (kernels/ops_smooth.hpp).
CREASE_HOST_DEVICE inline double second_difference(const double* values, Index dimensions,
                                                   Index column, double step) {
  constexpr double kRootTwo = 1.41421356237309504880;
  const SymmetricPlace at = place_of(column, dimensions);
  const double* forward = values + 1;
  const double* backward = forward + dimensions;
  if (at.row == at.col) {
    return ((forward[at.row] - values[0]) + (backward[at.row] - values[0])) / (step * step);
  }
  const Index pairs = dimensions * (dimensions - 1) / 2;
  const double* both = backward + dimensions;
  // Pairs j < k, row by row: the upper triangle without the diagonal numbers before and in it.
  const Index pair = column - at.row - 1;
  const double ahead = both[pair] - forward[at.row] - forward[at.col] + values[0];
  const double behind = both[pairs + pair] - backward[at.row] - backward[at.col] + values[0];
  return kRootTwo * ((ahead + behind) / (2 * (step * step)));
}

}  // namespace crease
