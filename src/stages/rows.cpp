// The rows of a least-squares problem.
#include "src/stages/rows.hpp"

#include <algorithm>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"

namespace crease {
FeatureRows::FeatureRows(Device& device, Points points, ConstDeviceView weights,
                         ConstDeviceView bias, bool with_inputs, Index most_bytes)
    : device_(device),
      points_(points),
      weights_(weights),
      bias_(bias),
      with_inputs_(with_inputs),
      chunk_rows_(std::clamp<Index>(most_bytes / (cols() * kDoubleBytes), 1,
                                    std::max<Index>(1, points.count))),
      features_(device, chunk_rows_, cols()) {}

Index FeatureRows::cols() const {
  return weights_.rows + (with_inputs_ ? weights_.cols : 0) + 1;
}

void FeatureRows::build(Index first, DeviceView out) {
  const Index k = weights_.rows;
  const auto stream = static_cast<std::uint64_t>(points_.stream);
  const DeviceView active = out.col_block(0, k);
  if (with_inputs_) {
    const DeviceView x = out.col_block(k, weights_.cols);
    fill_gaussian(device_, points_.seed, stream, points_.first_row + first, 1.0, x);
    relu_features(device_, x, weights_, bias_, active);
  } else {
    gaussian_features(device_, points_.seed, stream, points_.first_row + first, weights_, bias_,
                      active);
  }
  fill(device_, 1.0, out.col_block(cols() - 1, 1));
}

ConstDeviceView FeatureRows::chunk(Index first, Index count) {
  require(count <= chunk_rows_, "FeatureRows: a chunk is at most chunk_rows() rows");
  if (chunk_rows_ == rows()) {
    if (!held_) build(0, features_);
    held_ = true;
    return features_.view().row_block(first, count);
  }
  const DeviceView out = features_.view().row_block(0, count);
  build(first, out);
  return out;
}

ScaledRows::ScaledRows(Device& device, RowSource& rows, Index first, ConstDeviceView factors,
                       Index most_bytes)
    : device_(device), source_(rows), first_(first), factors_(factors) {
  require(factors.cols == 1 && first >= 0 && first + factors.rows <= rows.rows(),
          "ScaledRows: there must be one factor per row");
  const Index most = std::max<Index>(1, most_bytes / std::max<Index>(1, cols() * kDoubleBytes));
  scaled_ = DeviceMatrix(device, std::min({most, rows.chunk_rows(), factors.rows}), cols());
}

ConstDeviceView ScaledRows::chunk(Index first, Index count) {
  require(count <= chunk_rows(), "ScaledRows: a chunk is at most chunk_rows() rows");
  const DeviceView out = scaled_.view().row_block(0, count);
  copy(device_, source_.chunk(first_ + first, count), out);
  scale_rows(device_, factors_.row_block(first, count), out);
  return out;
}

}  // namespace crease
