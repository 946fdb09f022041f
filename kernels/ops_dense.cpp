// The checks of kernels/ops_dense.hpp, once, for every backend.
#include "kernels/ops.hpp"

#include <cmath>

#include "kernels/view_checks.hpp"

namespace crease {

void multiply(Device& device, ConstDeviceView a, Transpose transpose_a, ConstDeviceView b,
              Transpose transpose_b, double alpha, double beta, DeviceView c) {
  const Index a_rows = transpose_a == Transpose::no ? a.rows : a.cols;
  const Index a_cols = transpose_a == Transpose::no ? a.cols : a.rows;
  const Index b_rows = transpose_b == Transpose::no ? b.rows : b.cols;
  const Index b_cols = transpose_b == Transpose::no ? b.cols : b.rows;
  require(a_cols == b_rows, "multiply: inner sizes must agree");
  require(is_shape(c, a_rows, b_cols), "multiply: c must be as large as the product");
  require(std::isfinite(alpha) && std::isfinite(beta), "multiply: alpha and beta must be finite");
  if (is_empty(c)) return;
  device.ops().multiply(a, transpose_a, b, transpose_b, alpha, beta, c);
}

void add_row(Device& device, ConstDeviceView row, DeviceView y) {
  require(is_shape(row, 1, y.cols), "add_row: row must be one row as wide as y");
  if (is_empty(y)) return;
  device.ops().add_row(row, y);
}

void subtract(Device& device, ConstDeviceView a, DeviceView y) {
  require(is_shape(a, y.rows, y.cols), "subtract: shapes must agree");
  if (is_empty(y)) return;
  device.ops().subtract(a, y);
}

void copy(Device& device, ConstDeviceView a, DeviceView y) {
  require(is_shape(a, y.rows, y.cols), "copy: shapes must agree");
  if (is_empty(y)) return;
  device.ops().copy(a, y);
}

void fill(Device& device, double value, DeviceView y) {
  if (is_empty(y)) return;
  device.ops().fill(value, y);
}

Index first_non_finite_row(Device& device, ConstDeviceView y) {
  if (is_empty(y)) return -1;
  return device.ops().first_non_finite_row(y);
}

void orthonormal_rows(Device& device, DeviceView a) {
  require(a.rows == a.cols, "orthonormal_rows: a must be square");
  if (is_empty(a)) return;
  device.ops().orthonormal_rows(a);
}

void column_norms(Device& device, ConstDeviceView z, DeviceView out) {
  require(is_shape(out, 1, z.cols), "column_norms: out must be one row as wide as z");
  if (is_empty(out)) return;
  device.ops().column_norms(z, out);
}

void scale_columns(Device& device, ConstDeviceView factors, DeviceView z) {
  require(is_shape(factors, 1, z.cols), "scale_columns: factors must be one row as wide as z");
  if (is_empty(z)) return;
  device.ops().scale_columns(factors, z);
}

void gram(Device& device, ConstDeviceView z, double beta, DeviceView g) {
  require(is_shape(g, z.cols, z.cols), "gram: g must be square and as wide as z");
  require(std::isfinite(beta), "gram: beta must be finite");
  if (is_empty(g)) return;
  device.ops().gram(z, beta, g);
}

void weighted_gram(Device& device, ConstDeviceView z, ConstDeviceView weights, double beta,
                   DeviceView g) {
  require(is_shape(weights, z.rows, 1), "weighted_gram: weights must be [n, 1]");
  require(is_shape(g, z.cols, z.cols), "weighted_gram: g must be square and as wide as z");
  require(std::isfinite(beta), "weighted_gram: beta must be finite");
  if (is_empty(g)) return;
  device.ops().weighted_gram(z, weights, beta, g);
}

bool cholesky(Device& device, DeviceView g) {
  require(g.rows == g.cols, "cholesky: g must be square");
  if (is_empty(g)) return true;
  return device.ops().cholesky(g);
}

void solve_triangular(Device& device, ConstDeviceView l, Transpose transpose, DeviceView x) {
  require(l.rows == l.cols, "solve_triangular: l must be square");
  require(x.rows == l.rows, "solve_triangular: x must be as high as l");
  if (is_empty(x)) return;
  device.ops().solve_triangular(l, transpose, x);
}

void triangularize(Device& device, DeviceView a) {
  require(a.rows >= a.cols, "triangularize: a must be at least as high as wide");
  if (is_empty(a)) return;
  device.ops().triangularize(a);
}

}  // namespace crease
