// The checks of kernels/ops_moments.hpp, once, for every backend.
#include <cmath>

#include "kernels/ops.hpp"
#include "kernels/view_checks.hpp"

namespace crease {

void row_products(Device& device, ConstDeviceView a, ConstDeviceView b, DeviceView out) {
  require(a.rows == b.rows, "row_products: a and b must have the same rows");
  require(is_shape(out, a.rows, a.cols * b.cols), "row_products: out must be [n, r d]");
  if (is_empty(out)) return;
  device.ops().row_products(a, b, out);
}

void multiply_elements(Device& device, ConstDeviceView a, DeviceView y) {
  require(is_shape(y, a.rows, a.cols), "multiply_elements: a and y must have the same shape");
  if (is_empty(y)) return;
  device.ops().multiply_elements(a, y);
}

void hermite(Device& device, Index order, DeviceView y) {
  require(order >= 0 && order <= kMostHermite, "hermite: the order must be between 0 and 32");
  if (is_empty(y)) return;
  device.ops().hermite(order, y);
}

void rectified_power(Device& device, double power, DeviceView y) {
  require(power > 0 && std::isfinite(power), "rectified_power: the power must be positive");
  if (is_empty(y)) return;
  device.ops().rectified_power(power, y);
}

void rectified_slope(Device& device, double power, double least, DeviceView y) {
  require(power > 0 && std::isfinite(power), "rectified_slope: the power must be positive");
  require(least >= 0 && std::isfinite(least), "rectified_slope: least must not be negative");
  if (is_empty(y)) return;
  device.ops().rectified_slope(power, least, y);
}

void clip_columns(Device& device, ConstDeviceView bounds, DeviceView y) {
  require(is_shape(bounds, 2, y.cols), "clip_columns: bounds must be [2, p]");
  if (is_empty(y)) return;
  device.ops().clip_columns(bounds, y);
}

void drop_beyond(Device& device, ConstDeviceView bounds, DeviceView y) {
  require(is_shape(bounds, 1, y.cols), "drop_beyond: bounds must be [1, p]");
  if (is_empty(y)) return;
  device.ops().drop_beyond(bounds, y);
}

void symmetrize(Device& device, DeviceView g) {
  require(g.rows == g.cols, "symmetrize: g must be square");
  if (is_empty(g)) return;
  device.ops().symmetrize(g);
}

void diagonal(Device& device, ConstDeviceView g, DeviceView out) {
  require(g.rows == g.cols && is_shape(out, 1, g.cols),
          "diagonal: g must be square, and out one row as wide");
  if (is_empty(out)) return;
  device.ops().diagonal(g, out);
}

void add_to_diagonal(Device& device, ConstDeviceView values, DeviceView g) {
  require(g.rows == g.cols && is_shape(values, 1, g.cols),
          "add_to_diagonal: g must be square, and values one row as wide");
  if (is_empty(g)) return;
  device.ops().add_to_diagonal(values, g);
}

}  // namespace crease
