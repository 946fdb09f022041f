// Host and device matrices, and the copies between them.
#include <crease/device.hpp>
#include <crease/matrix.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace crease {
namespace {

/// rows * cols, checked before anything is built from it.
Index checked_size(Index rows, Index cols, std::string_view what) {
  require(rows >= 0 && cols >= 0, std::string(what) + ": rows and cols must not be negative");
  require(cols == 0 || rows <= std::numeric_limits<Index>::max() / cols,
          std::string(what) + ": more elements than can be counted");
  return rows * cols;
}

}  // namespace

HostMatrix::HostMatrix(Index rows, Index cols, double value)
    : rows_(rows),
      cols_(cols),
      values_(static_cast<std::size_t>(checked_size(rows, cols, "HostMatrix")), value) {}

HostMatrix::HostMatrix(ConstHostView from) : HostMatrix(from.rows, from.cols) {
  for (Index i = 0; i < from.rows; ++i) {
    std::copy(from.data + i * from.ld, from.data + i * from.ld + from.cols, row(i));
  }
}

HostMatrix::HostMatrix(std::initializer_list<std::initializer_list<double>> rows)
    : rows_(static_cast<Index>(rows.size())),
      cols_(rows.size() == 0 ? 0 : static_cast<Index>(rows.begin()->size())) {
  for (const auto& row : rows) {
    require(static_cast<Index>(row.size()) == cols_, "HostMatrix: rows must be equally long");
    values_.insert(values_.end(), row.begin(), row.end());
  }
}

void HostMatrix::append_row(const double* values, Index cols) {
  if (rows_ == 0) cols_ = cols;
  require(cols == cols_, "append_row: the row must be as wide as the matrix");
  values_.insert(values_.end(), values, values + cols);
  ++rows_;
}

DeviceMatrix::DeviceMatrix(Device& device, Index rows, Index cols)
    : device_(&device), rows_(rows), cols_(cols) {
  const Index count = checked_size(rows, cols, "DeviceMatrix");
  if (count > 0) data_ = device.allocate(count);
}

DeviceMatrix::~DeviceMatrix() {
  if (data_ != nullptr) device_->release(data_, size());
}

DeviceMatrix::DeviceMatrix(DeviceMatrix&& other) noexcept
    : device_(std::exchange(other.device_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      rows_(std::exchange(other.rows_, 0)),
      cols_(std::exchange(other.cols_, 0)) {}

DeviceMatrix& DeviceMatrix::operator=(DeviceMatrix&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(rows_, other.rows_);
  std::swap(cols_, other.cols_);
  return *this;
}

DeviceMatrix upload(Device& device, ConstHostView from) {
  DeviceMatrix to(device, from.rows, from.cols);
  device.copy_in(from, to);
  return to;
}

HostMatrix download(Device& device, ConstDeviceView from) {
  HostMatrix to(from.rows, from.cols);
  device.copy_out(from, to);
  return to;
}

double* Device::allocate(Index count) {
  double* data = do_allocate(count);
  stats_.bytes_in_use += count * static_cast<Index>(sizeof(double));
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.bytes_in_use);
  return data;
}

void Device::release(double* data, Index count) noexcept {
  do_release(data, count);
  stats_.bytes_in_use -= count * static_cast<Index>(sizeof(double));
}

void Device::copy_in(ConstHostView from, DeviceView to) {
  require(from.rows == to.rows && from.cols == to.cols, "copy_in: shapes must agree");
  if (from.rows == 0 || from.cols == 0) return;
  do_copy_in(from, to);
  stats_.uploaded_bytes += from.rows * from.cols * static_cast<Index>(sizeof(double));
}

void Device::copy_out(ConstDeviceView from, HostView to) {
  require(from.rows == to.rows && from.cols == to.cols, "copy_out: shapes must agree");
  if (from.rows == 0 || from.cols == 0) {
    synchronize();
    return;
  }
  do_copy_out(from, to);
  stats_.downloaded_bytes += from.rows * from.cols * static_cast<Index>(sizeof(double));
}

}  // namespace crease
