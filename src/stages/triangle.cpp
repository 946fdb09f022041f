// Solves with a lower triangle, block by block.
#include "src/stages/triangle.hpp"

#include <algorithm>

namespace crease {
namespace {

constexpr Index kFewBlocks = 4;  // up to so many, a library's own substitution does

}  // namespace

Triangle::Triangle(Device& device, ConstDeviceView l, Index columns, Index block)
    : device_(device), l_(l), block_(l.rows > kFewBlocks * block ? block : 0) {
  require(l.rows == l.cols && columns >= 0 && block > 0,
          "Triangle: l must be square, with blocks of at least one row");
  if (block_ == 0) return;
  inverse_ = DeviceMatrix(device, l.rows, block_);
  part_ = DeviceMatrix(device, block_, columns);
  fill(device, 0.0, inverse_);
  for (Index first = 0; first < l.rows; first += block_) {
    const Index size = std::min(block_, l.rows - first);
    const DeviceView inverse = inverse_.view().row_block(first, size).col_block(0, size);
    fill(device, 1.0, {inverse.data, size, 1, inverse.ld + 1});
    solve_triangular(device, l.row_block(first, size).col_block(first, size), Transpose::no,
                     inverse);
  }
}

void Triangle::solve(Transpose transpose, DeviceView x) {
  if (block_ == 0) {
    solve_triangular(device_, l_, transpose, x);
    return;
  }
  const Index q = l_.rows;
  const Index blocks = (q + block_ - 1) / block_;
  for (Index step = 0; step < blocks; ++step) {
    const Index first = block_ * (transpose == Transpose::no ? step : blocks - 1 - step);
    const Index size = std::min(block_, q - first);
    const DeviceView mine = x.row_block(first, size);
    const DeviceView part = part_.view().row_block(0, size).col_block(0, x.cols);
    copy(device_, mine, part);
    multiply(device_, inverse_.view().row_block(first, size).col_block(0, size), transpose, part,
             Transpose::no, 1.0, 0.0, mine);
    const ConstDeviceView rows = l_.row_block(first, size);
    if (transpose == Transpose::yes) {
      multiply(device_, rows.col_block(0, first), Transpose::yes, mine, Transpose::no, -1.0, 1.0,
               x.row_block(0, first));
    } else {
      const Index below = first + size;
      multiply(device_, l_.row_block(below, q - below).col_block(first, size), Transpose::no, mine,
               Transpose::no, -1.0, 1.0, x.row_block(below, q - below));
    }
  }
}

}  // namespace crease
