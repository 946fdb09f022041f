// Matrices and views of them, row-major, typed by the memory they live in.
#pragma once

#include <crease/types.hpp>

#include <initializer_list>
#include <type_traits>
#include <vector>

namespace crease {

class Device;

enum class Space { host, device };

/// A window on row-major storage that somebody else owns: (i, j) is data[i * ld + j].
/// A device view cannot be indexed from the host: read it with download().
template <class T, Space S>
struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index ld = 0;

  T& operator()(Index i, Index j) const requires(S == Space::host) { return data[i * ld + j]; }

  /// Rows first .. first + count - 1.
  MatrixView row_block(Index first, Index count) const {
    require(first >= 0 && count >= 0 && first + count <= rows, "row_block: rows out of range");
    return {data == nullptr ? nullptr : data + first * ld, count, cols, ld};
  }

  /// Columns first .. first + count - 1.
  MatrixView col_block(Index first, Index count) const {
    require(first >= 0 && count >= 0 && first + count <= cols, "col_block: columns out of range");
    return {data == nullptr ? nullptr : data + first, rows, count, ld};
  }

  /// To a view of the same elements as const (a template, so that no compiler takes it for a
  /// conversion of a const view to itself).
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) operator MatrixView<U, S>() const {
    return {data, rows, cols, ld};
  }
};

using HostView = MatrixView<double, Space::host>;
using ConstHostView = MatrixView<const double, Space::host>;
using DeviceView = MatrixView<double, Space::device>;
using ConstDeviceView = MatrixView<const double, Space::device>;

/// Owns a matrix in host memory. Elements start as zero.
class HostMatrix {
 public:
  HostMatrix() = default;
  HostMatrix(Index rows, Index cols, double value = 0.0);
  HostMatrix(std::initializer_list<std::initializer_list<double>> rows);
  explicit HostMatrix(ConstHostView from);

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  bool empty() const { return size() == 0; }

  double& operator()(Index i, Index j) { return values_[static_cast<std::size_t>(i * cols_ + j)]; }
  double operator()(Index i, Index j) const {
    return values_[static_cast<std::size_t>(i * cols_ + j)];
  }
  double* row(Index i) { return values_.data() + i * cols_; }
  const double* row(Index i) const { return values_.data() + i * cols_; }
  double* data() { return values_.data(); }
  const double* data() const { return values_.data(); }

  HostView view() { return {data(), rows_, cols_, cols_}; }
  ConstHostView view() const { return {data(), rows_, cols_, cols_}; }
  operator HostView() { return view(); }
  operator ConstHostView() const { return view(); }

  /// Appends one row of cols() values (any width while the matrix has no rows).
  void append_row(const double* values, Index cols);

 private:
  Index rows_ = 0;
  Index cols_ = 0;
  std::vector<double> values_;
};

/// Owns a matrix in a device's memory; move-only; must not outlive its device.
/// Elements are not initialised (NaN on a poisoned device).
class DeviceMatrix {
 public:
  DeviceMatrix() = default;
  DeviceMatrix(Device& device, Index rows, Index cols);
  ~DeviceMatrix();
  DeviceMatrix(DeviceMatrix&& other) noexcept;
  DeviceMatrix& operator=(DeviceMatrix&& other) noexcept;
  DeviceMatrix(const DeviceMatrix&) = delete;
  DeviceMatrix& operator=(const DeviceMatrix&) = delete;

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  bool empty() const { return size() == 0; }

  DeviceView view() { return {data_, rows_, cols_, cols_}; }
  ConstDeviceView view() const { return {data_, rows_, cols_, cols_}; }
  operator DeviceView() { return view(); }
  operator ConstDeviceView() const { return view(); }

 private:
  Device* device_ = nullptr;
  double* data_ = nullptr;
  Index rows_ = 0;
  Index cols_ = 0;
};

/// Copies `from` into fresh device memory.
DeviceMatrix upload(Device& device, ConstHostView from);

/// Copies `from` to the host. Waits: with synchronize() and primitives that return a number, the
/// only way to read a result.
HostMatrix download(Device& device, ConstDeviceView from);

}  // namespace crease
