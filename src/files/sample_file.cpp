// Examples in a file: drawn from one as they are wanted, written in chunks.
#include <crease/samples.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "src/files/formats.hpp"
#include "src/files/tensor_stream.hpp"

namespace crease {
namespace {

constexpr Index kNumbersAtOnce = 1 << 20;

/// Rows of one array, upload by upload.
class Rows {
 public:
  Rows(const InputFile& file, const std::string& name)
      : file_(file), name_(name), stream_(open_tensor(file, name)) {
    const std::vector<Index>& shape = stream_->shape();
    if (shape.size() != 1 && shape.size() != 2) {
      throw FileError(file.path() + ": \"" + name + "\" has " + std::to_string(shape.size()) +
                      " dimensions; expected 1 or 2");
    }
    rows_ = shape[0];
    cols_ = shape.size() == 2 ? shape[1] : 1;
    if (rows_ == 0 || cols_ == 0) {
      throw FileError(file.path() + ": \"" + name + "\" is [" + std::to_string(rows_) + ", " +
                      std::to_string(cols_) + "]; expected at least one example");
    }
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index left() const { return stream_->left() / cols_; }
  void rewind() { stream_->rewind(); }

  void draw(Device& device, DeviceView to) {
    const Index most = std::max<Index>(1, kNumbersAtOnce / cols_);
    for (Index first = 0; first < to.rows; first += most) {
      const Index count = std::min(most, to.rows - first);
      const Index before = rows_ - left();
      values_.clear();
      stream_->read(count * cols_, values_);
      const auto bad = std::find_if(values_.begin(), values_.end(),
                                    [](double value) { return !std::isfinite(value); });
      if (bad != values_.end()) {
        throw FileError(file_.path() + ": row " +
                        std::to_string(before + (bad - values_.begin()) / cols_) + " of \"" +
                        name_ + "\" holds NaN or infinity");
      }
      device.copy_in({values_.data(), count, cols_, cols_}, to.row_block(first, count));
    }
  }

 private:
  const InputFile& file_;
  std::string name_;
  std::unique_ptr<TensorStream> stream_;
  Index rows_ = 0;
  Index cols_ = 0;
  std::vector<double> values_;
};

class FileSamples final : public SampleSource {
 public:
  explicit FileSamples(const std::string& path) : file_(path), x_(file_, "x"), y_(file_, "y") {
    if (x_.rows() != y_.rows()) {
      throw FileError(path + ": \"x\" has " + std::to_string(x_.rows()) + " rows, \"y\" has " +
                      std::to_string(y_.rows()));
    }
  }

  Index input_dim() const override { return x_.cols(); }
  Index output_dim() const override { return y_.cols(); }
  std::optional<Index> rows_left() const override { return x_.left(); }

  void draw(Device& device, DeviceView x, DeviceView y) override {
    require(x.rows == y.rows && x.cols == x_.cols() && y.cols == y_.cols(),
            "SampleSource::draw: x must be [n, d] and y [n, p]");
    require(x.rows <= x_.left(), "SampleSource::draw: so many examples are not left");
    x_.draw(device, x);
    y_.draw(device, y);
  }

  bool rewind() override {
    // Read again in every pass: what changes in between would be a mixture of two files.
    if (changed_at() != opened_) throw FileError(file_.path() + ": changed while it was read");
    x_.rewind();
    y_.rewind();
    return true;
  }

 private:
  std::filesystem::file_time_type changed_at() const {
    std::error_code error;
    return std::filesystem::last_write_time(file_.path(), error);
  }

  InputFile file_;
  Rows x_;
  Rows y_;
  std::filesystem::file_time_type opened_ = changed_at();
};

void require_finite(const HostMatrix& values, Index first, const char* name) {
  for (Index i = 0; i < values.size(); ++i) {
    require(std::isfinite(values.data()[i]), "write_samples: row " +
                                                 std::to_string(first + i / values.cols()) +
                                                 " of " + name + " holds NaN or infinity");
  }
}

/// visit(x, y) of the next `rows` examples, in order, in host memory.
template <class Visit>
void draw_in_chunks(Device& device, SampleSource& source, Index rows, Visit visit) {
  const Index d = source.input_dim();
  const Index p = source.output_dim();
  const Index most = std::clamp<Index>(kNumbersAtOnce / (d + p), 1, rows);
  DeviceMatrix x(device, most, d);
  DeviceMatrix y(device, most, p);
  for (Index first = 0; first < rows; first += most) {
    const Index count = std::min(most, rows - first);
    const DeviceView chunk_x = x.view().row_block(0, count);
    const DeviceView chunk_y = y.view().row_block(0, count);
    source.draw(device, chunk_x, chunk_y);
    const HostMatrix host_x = download(device, chunk_x);
    const HostMatrix host_y = download(device, chunk_y);
    require_finite(host_x, first, "x");
    require_finite(host_y, first, "y");
    visit(host_x, host_y);
  }
}

void append(const HostMatrix& from, std::vector<double>& to) {
  to.insert(to.end(), from.data(), from.data() + from.size());
}

}  // namespace

std::unique_ptr<SampleSource> open_samples(const std::string& path) {
  return std::make_unique<FileSamples>(path);
}

void write_samples(const std::string& path, Device& device, SampleSource& source, Index rows) {
  const Index d = source.input_dim();
  const Index p = source.output_dim();
  require(rows >= 1, "write_samples: rows must be at least 1");
  require(!source.rows_left() || *source.rows_left() >= rows,
          "write_samples: so many examples are not left");
  const auto numbers = [](Index n, Index m) { return static_cast<std::size_t>(n * m); };
  if (std::filesystem::path(path).extension() != ".safetensors") {
    Tensor x{{rows, d}, {}};
    Tensor y{{rows, p}, {}};
    x.values.reserve(numbers(rows, d));
    y.values.reserve(numbers(rows, p));
    draw_in_chunks(device, source, rows, [&](const HostMatrix& cx, const HostMatrix& cy) {
      append(cx, x.values);
      append(cy, y.values);
    });
    write_tensors(path, {{{"x", std::move(x)}, {"y", std::move(y)}}, {}});
    return;
  }
  AtomicFile to(path);
  write_safetensors_header(to, {{"format", "crease"}}, {{"x", {rows, d}}, {"y", {rows, p}}});
  std::uint64_t x_at = to.written();
  std::uint64_t y_at = x_at + numbers(rows, d) * sizeof(double);
  const auto write_on = [&to](std::uint64_t& at, const HostMatrix& values) {
    const std::size_t bytes = static_cast<std::size_t>(values.size()) * sizeof(double);
    to.write_at(at, values.data(), bytes);
    at += bytes;
  };
  draw_in_chunks(device, source, rows, [&](const HostMatrix& cx, const HostMatrix& cy) {
    write_on(x_at, cx);
    write_on(y_at, cy);
  });
  to.commit();
}

}  // namespace crease
