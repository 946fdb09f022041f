// Examples that stand in two matrices.
#include <crease/samples.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace crease {
namespace {

class MatrixSamples final : public SampleSource {
 public:
  MatrixSamples(HostMatrix x, HostMatrix y) : x_(std::move(x)), y_(std::move(y)) {}

  Index input_dim() const override { return x_.cols(); }
  Index output_dim() const override { return y_.cols(); }
  std::optional<Index> rows_left() const override { return x_.rows() - next_; }

  void draw(Device& device, DeviceView x, DeviceView y) override {
    require(x.rows == y.rows && x.cols == x_.cols() && y.cols == y_.cols(),
            "SampleSource::draw: x must be [n, d] and y [n, p]");
    require(x.rows <= x_.rows() - next_, "SampleSource::draw: so many examples are not left");
    device.copy_in(x_.view().row_block(next_, x.rows), x);
    device.copy_in(y_.view().row_block(next_, y.rows), y);
    next_ += x.rows;
  }

  bool rewind() override {
    next_ = 0;
    return true;
  }

 private:
  HostMatrix x_;
  HostMatrix y_;
  Index next_ = 0;
};

bool is_finite(const HostMatrix& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.size(),
                     [](double value) { return std::isfinite(value); });
}

}  // namespace

std::unique_ptr<SampleSource> make_matrix_samples(HostMatrix x, HostMatrix y) {
  require(x.cols() >= 1 && y.cols() >= 1, "make_matrix_samples: x and y must have columns");
  require(x.rows() == y.rows(), "make_matrix_samples: x has " + std::to_string(x.rows()) +
                                    " rows, y has " + std::to_string(y.rows()));
  require(is_finite(x) && is_finite(y), "make_matrix_samples: x and y must be finite");
  return std::make_unique<MatrixSamples>(std::move(x), std::move(y));
}

}  // namespace crease
