// The checks of kernels/ops_solve.hpp, once, for every backend.
#include "kernels/ops.hpp"

#include <cmath>
#include <utility>

#include "kernels/view_checks.hpp"

namespace crease {

void scale_rows(Device& device, ConstDeviceView factors, DeviceView z) {
  require(is_shape(factors, z.rows, 1), "scale_rows: factors must be one column as high as z");
  if (is_empty(z)) return;
  device.ops().scale_rows(factors, z);
}

void add_scaled(Device& device, double scale, ConstDeviceView factors, ConstDeviceView x,
                DeviceView y) {
  require(is_shape(x, y.rows, y.cols), "add_scaled: shapes must agree");
  require(is_shape(factors, 1, y.cols), "add_scaled: factors must be one row as wide as y");
  require(std::isfinite(scale), "add_scaled: scale must be finite");
  if (is_empty(y)) return;
  device.ops().add_scaled(scale, factors, x, y);
}

void normalize_columns(Device& device, DeviceView z, DeviceView norms) {
  require(is_shape(norms, 1, z.cols), "normalize_columns: norms must be one row as wide as z");
  if (is_empty(norms)) return;
  device.ops().normalize_columns(z, norms);
}

void divide_columns(Device& device, ConstDeviceView norms, DeviceView z) {
  require(is_shape(norms, 1, z.cols), "divide_columns: norms must be one row as wide as z");
  if (is_empty(z)) return;
  device.ops().divide_columns(norms, z);
}

void multiply_and_back(Device& device, ConstDeviceView z, ConstDeviceView x, DeviceView y,
                       double beta, DeviceView back) {
  require(is_shape(x, z.cols, y.cols), "multiply_and_back: x must be [q, p]");
  require(y.rows == z.rows, "multiply_and_back: y must be as high as z");
  require(is_shape(back, z.cols, y.cols), "multiply_and_back: back must be [q, p]");
  require(std::isfinite(beta), "multiply_and_back: beta must be finite");
  if (is_empty(back)) return;
  device.ops().multiply_and_back(z, x, y, beta, back);
}

void unit_diagonal(Device& device, double cutoff, double shift, DeviceView g, DeviceView factors) {
  require(g.rows == g.cols, "unit_diagonal: g must be square");
  require(is_shape(factors, g.rows, 1), "unit_diagonal: factors must be [q, 1]");
  require(cutoff >= 0 && std::isfinite(cutoff), "unit_diagonal: cutoff must not be negative");
  require(shift >= 0 && std::isfinite(shift), "unit_diagonal: shift must not be negative");
  if (is_empty(g)) return;
  device.ops().unit_diagonal(cutoff, shift, g, factors);
}

void lsqr_begin(Device& device, double tolerance, DeviceView state) {
  require(state.rows == kLsqrRows, "lsqr_begin: state must have kLsqrRows rows");
  require(tolerance >= 0 && std::isfinite(tolerance),
          "lsqr_begin: the tolerance must not be negative");
  if (is_empty(state)) return;
  device.ops().lsqr_begin(tolerance, state);
}

void lsqr_rotate(Device& device, DeviceView state) {
  require(state.rows == kLsqrRows, "lsqr_rotate: state must have kLsqrRows rows");
  if (is_empty(state)) return;
  device.ops().lsqr_rotate(state);
}

void cg_begin(Device& device, double tolerance, DeviceView state) {
  require(tolerance >= 0 && std::isfinite(tolerance),
          "cg_begin: the tolerance must not be negative");
  require(state.rows == kCgRows, "cg_begin: state must be [kCgRows, p]");
  if (is_empty(state)) return;
  device.ops().cg_begin(tolerance, state);
}

void cg_step(Device& device, DeviceView state) {
  require(state.rows == kCgRows, "cg_step: state must be [kCgRows, p]");
  if (is_empty(state)) return;
  device.ops().cg_step(state);
}

void cg_turn(Device& device, DeviceView state) {
  require(state.rows == kCgRows, "cg_turn: state must be [kCgRows, p]");
  if (is_empty(state)) return;
  device.ops().cg_turn(state);
}

double svd(Device& device, DeviceView a, DeviceView left_t, DeviceView values, DeviceView right) {
  require(a.rows == a.cols, "svd: a must be square");
  require(is_shape(left_t, a.rows, a.rows) && is_shape(right, a.rows, a.rows),
          "svd: left_t and right must be as large as a");
  require(is_shape(values, 1, a.rows), "svd: values must be one row as wide as a");
  if (is_empty(a)) return 0;
  return device.ops().svd(a, left_t, values, right);
}

std::unique_ptr<Recording> record(Device& device, std::function<void()> work) {
  require(static_cast<bool>(work), "record: there is no work");
  return device.ops().record(std::move(work));
}

}  // namespace crease
