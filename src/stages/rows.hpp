// The rows of a least-squares problem, chunk by chunk: features of Gaussian points, or any matrix.
#pragma once

#include <crease/device.hpp>

#include <optional>

#include "src/stages/random.hpp"

namespace crease {

/// A matrix Z [n, q] that need not be in memory as a whole.
class RowSource {
 public:
  RowSource() = default;
  virtual ~RowSource() = default;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;

  virtual Index rows() const = 0;
  virtual Index cols() const = 0;
  /// The most rows of one chunk; rows() where all of Z is in memory.
  virtual Index chunk_rows() const = 0;

  /// Rows first .. first + count - 1; count <= chunk_rows(). Valid until the next call. Waits for
  /// nothing; after the first call with a first row it allocates nothing.
  virtual ConstDeviceView chunk(Index first, Index count) = 0;

  /// Where the rows are [relu(weights x + bias), x, 1] (x where with_inputs) at x ~ N(0, I): the
  /// features, whose population Gram matrix is known.
  struct GaussianFeatures {
    ConstDeviceView weights;  // [k, d]
    ConstDeviceView bias;     // [k, 1]
    bool with_inputs;
  };
  virtual std::optional<GaussianFeatures> gaussian() const { return std::nullopt; }
};

/// A matrix that is in memory and stays there.
class MatrixRows final : public RowSource {
 public:
  explicit MatrixRows(ConstDeviceView z) : z_(z) {}
  Index rows() const override { return z_.rows; }
  Index cols() const override { return z_.cols; }
  Index chunk_rows() const override { return z_.rows; }
  ConstDeviceView chunk(Index first, Index count) override { return z_.row_block(first, count); }

 private:
  ConstDeviceView z_;
};

/// Rows of a feature matrix [relu(weights x + bias), x, 1] (x is optional) at points of the counter
/// generator: held in memory where they fit into `most_bytes`, otherwise made again, chunk by
/// chunk, each time they are needed. The points are never in memory beside them.
class FeatureRows final : public RowSource {
 public:
  struct Points {
    Seed seed;
    Stream stream;
    Index first_row;
    Index count;
  };
  FeatureRows(Device& device, Points points, ConstDeviceView weights, ConstDeviceView bias,
              bool with_inputs, Index most_bytes);

  Index rows() const override { return points_.count; }
  Index cols() const override;
  Index chunk_rows() const override { return chunk_rows_; }
  ConstDeviceView chunk(Index first, Index count) override;
  std::optional<GaussianFeatures> gaussian() const override {
    return GaussianFeatures{weights_, bias_, with_inputs_};
  }

 private:
  void build(Index first, DeviceView out);

  Device& device_;
  Points points_;
  ConstDeviceView weights_;
  ConstDeviceView bias_;
  bool with_inputs_;
  Index chunk_rows_;
  bool held_ = false;
  DeviceMatrix features_;
};

/// The rows first .. first + factors.rows - 1 of another source, each times its factor: for weights
/// w, the problem min sum w_i (<z_i, c> - y_i)^2 is the plain one of rows and answers times
/// sqrt(w_i).
class ScaledRows final : public RowSource {
 public:
  /// factors [n, 1]; chunks have at most most_bytes.
  ScaledRows(Device& device, RowSource& rows, Index first, ConstDeviceView factors,
             Index most_bytes);
  Index rows() const override { return factors_.rows; }
  Index cols() const override { return source_.cols(); }
  Index chunk_rows() const override { return scaled_.rows(); }
  ConstDeviceView chunk(Index first, Index count) override;

 private:
  Device& device_;
  RowSource& source_;
  Index first_;
  ConstDeviceView factors_;
  DeviceMatrix scaled_;
};

}  // namespace crease
