// The checks of every primitive, once, for every backend.
#include "kernels/ops.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace crease {
namespace {

bool is_shape(ConstDeviceView view, Index rows, Index cols) {
  return view.rows == rows && view.cols == cols;
}

bool is_empty(ConstDeviceView view) {
  return view.rows == 0 || view.cols == 0;
}

void check_fan(const Fan& fan, std::string_view what) {
  require(fan.centers.cols == fan.directions.cols, what);
  require(is_shape(fan.steps, fan.centers.rows, fan.directions.rows), what);
}

}  // namespace

void fill_gaussian(Device& device, Seed seed, std::uint64_t stream, Index first_row, double scale,
                   DeviceView out) {
  require(first_row >= 0, "fill_gaussian: first_row must not be negative");
  require(stream < (std::uint64_t{1} << 32), "fill_gaussian: stream must be below 2^32");
  require(std::isfinite(scale), "fill_gaussian: scale must be finite");
  if (is_empty(out)) return;
  device.ops().fill_gaussian(seed, stream, first_row, scale, out);
}

void line_points(Device& device, const Line& line, ConstDeviceView t, DeviceView out) {
  require(is_shape(line.origin, 1, out.cols) && is_shape(line.direction, 1, out.cols),
          "line_points: origin and direction must be one row as wide as out");
  require(is_shape(t, out.rows, 1), "line_points: t needs one row per row of out");
  if (is_empty(out)) return;
  device.ops().line_points(line, t, out);
}

void fan_points(Device& device, const Fan& fan, DeviceView out) {
  check_fan(fan, "fan_points: centers [m, d], directions [q, d] and steps [m, q] must fit");
  require(is_shape(out, fan.centers.rows * fan.directions.rows, fan.centers.cols),
          "fan_points: out needs one row per centre and direction");
  if (is_empty(out)) return;
  device.ops().fan_points(fan, out);
}

void divided_differences(Device& device, ConstDeviceView values, ConstDeviceView centers,
                         ConstDeviceView steps, DeviceView out) {
  const Index m = steps.rows;
  const Index q = steps.cols;
  const Index p = centers.cols;
  require(centers.rows == m, "divided_differences: centers needs one row per row of steps");
  require(is_shape(values, m * q, p), "divided_differences: values must be [m * q, p]");
  require(is_shape(out, m * p, q), "divided_differences: out must be [m * p, q]");
  if (is_empty(out)) return;
  device.ops().divided_differences(values, centers, steps, out);
}

void safest_steps(Device& device, ConstDeviceView offsets, ConstDeviceView slopes_t,
                  ConstDeviceView variance, ConstDeviceView first, ConstDeviceView center_noise,
                  DeviceView steps, DeviceView noise) {
  const Index m = offsets.rows;
  const Index k = offsets.cols;
  const Index q = slopes_t.cols;
  require(slopes_t.rows == k, "safest_steps: slopes_t needs one row per hyperplane");
  require(is_shape(variance, k, 1), "safest_steps: variance must be [k, 1]");
  require(is_shape(first, m, 1) && is_shape(center_noise, m, 1),
          "safest_steps: first and center_noise must be [m, 1]");
  require(is_shape(steps, m, q) && is_shape(noise, m, q),
          "safest_steps: steps and noise must be [m, q]");
  if (is_empty(steps)) return;
  device.ops().safest_steps(offsets, slopes_t, variance, first, center_noise, steps, noise);
}

void relu_features(Device& device, ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                   DeviceView out) {
  require(x.cols == weights.cols, "relu_features: x and weights must have the same width");
  require(is_shape(bias, weights.rows, 1), "relu_features: bias must be [k, 1]");
  require(is_shape(out, x.rows, weights.rows), "relu_features: out must be [n, k]");
  if (is_empty(out)) return;
  device.ops().relu_features(x, weights, bias, out);
}

void gaussian_features(Device& device, Seed seed, std::uint64_t stream, Index first_row,
                       ConstDeviceView weights, ConstDeviceView bias, DeviceView out) {
  require(first_row >= 0, "gaussian_features: first_row must not be negative");
  require(stream < (std::uint64_t{1} << 32), "gaussian_features: stream must be below 2^32");
  require(is_shape(bias, weights.rows, 1), "gaussian_features: bias must be [k, 1]");
  require(out.cols == weights.rows, "gaussian_features: out must be [n, k]");
  if (is_empty(out)) return;
  device.ops().gaussian_features(seed, stream, first_row, weights, bias, out);
}

void relu_lines_sum(Device& device, ConstDeviceView offsets, ConstDeviceView slopes,
                    ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                    std::span<const Index> first, ConstDeviceView t, DeviceView out) {
  const Index k = offsets.rows;
  const Index m = offsets.cols;
  const Index p = out.cols;
  require(is_shape(slopes, k, m), "relu_lines_sum: offsets and slopes must both be [k, m]");
  require(is_shape(output, p, k), "relu_lines_sum: output must be [p, k]");
  require(is_shape(constant, m, p) && is_shape(tilt, m, p),
          "relu_lines_sum: constant and tilt must be [m, p]");
  require(is_shape(t, out.rows, 1), "relu_lines_sum: t needs one row per row of out");
  require(static_cast<Index>(first.size()) == m + 1 && first.front() == 0 &&
              first.back() == out.rows && std::is_sorted(first.begin(), first.end()),
          "relu_lines_sum: first must be [m + 1], ascending from 0 to the rows of out");
  if (is_empty(out)) return;
  device.ops().relu_lines_sum(offsets, slopes, output, constant, tilt, first, t, out);
}

void relu_fan_sum(Device& device, ConstDeviceView offsets, ConstDeviceView slopes_t,
                  ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                  ConstDeviceView steps, DeviceView out) {
  const Index m = steps.rows;
  const Index q = steps.cols;
  const Index k = offsets.cols;
  const Index p = out.cols;
  require(offsets.rows == m, "relu_fan_sum: offsets needs one row per centre");
  require(is_shape(slopes_t, k, q), "relu_fan_sum: slopes_t must be [k, q]");
  require(is_shape(output, p, k), "relu_fan_sum: output must be [p, k]");
  require(is_shape(constant, m, p), "relu_fan_sum: constant must be [m, p]");
  require(is_shape(tilt, q, p), "relu_fan_sum: tilt must be [q, p]");
  require(out.rows == m * q, "relu_fan_sum: out needs one row per centre and direction");
  if (is_empty(out)) return;
  device.ops().relu_fan_sum(offsets, slopes_t, output, constant, tilt, steps, out);
}

void pair_distances(Device& device, ConstDeviceView a, ConstDeviceView b, DeviceView out) {
  require(a.cols == b.cols, "pair_distances: a and b must have the same width");
  require(is_shape(out, a.rows, b.rows), "pair_distances: out must be [m, n]");
  if (is_empty(out)) return;
  device.ops().pair_distances(a, b, out);
}

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

void absolute(Device& device, DeviceView y) {
  if (is_empty(y)) return;
  device.ops().absolute(y);
}

void hinge_jacobian_rows(Device& device, ConstDeviceView z, ConstDeviceView x,
                         ConstDeviceView directions, Index output, DeviceView out) {
  const Index p = directions.cols;
  const Index width = x.cols + 1 + (p > 1 ? p : 0);
  require(z.rows == x.rows, "hinge_jacobian_rows: z and x must have the same rows");
  require(directions.rows == z.cols, "hinge_jacobian_rows: directions must be [k, p]");
  require(output >= 0 && output < p, "hinge_jacobian_rows: there is no such output");
  require(is_shape(out, x.rows, (z.cols + p) * width),
          "hinge_jacobian_rows: out must be [n, (k + p) w]");
  if (is_empty(out)) return;
  device.ops().hinge_jacobian_rows(z, x, directions, output, out);
}

std::unique_ptr<HingeJacobian> linearize_hinges(Device& device, ConstDeviceView x,
                                                ConstDeviceView planes, ConstDeviceView directions,
                                                ConstDeviceView weights, bool hold) {
  const Index p = directions.cols;
  require(x.rows >= 1 && p >= 1, "linearize_hinges: there must be rows and outputs");
  require(planes.cols == x.cols + 1, "linearize_hinges: planes must be [k, d + 1]");
  require(directions.rows == planes.rows, "linearize_hinges: directions must be [k, p]");
  require(is_empty(weights) || (weights.rows == x.rows && (weights.cols == 1 || weights.cols == p)),
          "linearize_hinges: weights must be [n, 1] or [n, p]");
  return device.ops().linearize_hinges(x, planes, directions, weights, hold);
}

void gaussian_gram(Device& device, ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                   DeviceView g) {
  const Index q = weights.rows + (with_inputs ? weights.cols : 0) + 1;
  require(is_shape(bias, weights.rows, 1), "gaussian_gram: bias must be [k, 1]");
  require(is_shape(g, q, q),
          "gaussian_gram: g must be [k + d + 1, k + d + 1], without d for no "
          "inputs");
  device.ops().gaussian_gram(weights, bias, with_inputs, g);
}

void gaussian_coupling_sums(Device& device, ConstDeviceView normals, ConstDeviceView thresholds,
                            ConstDeviceView jumps, ConstDeviceView groups, Index first,
                            DeviceView sums) {
  const Index k = normals.rows;
  require(is_shape(thresholds, k, 1) && is_shape(groups, k, 1) && is_shape(sums, k, 1),
          "gaussian_coupling_sums: thresholds, groups and sums must be [k, 1]");
  require(jumps.rows == k, "gaussian_coupling_sums: jumps must be [k, p]");
  require(first >= 0 && first <= k, "gaussian_coupling_sums: first must be in [0, k]");
  if (is_empty(sums)) return;
  device.ops().gaussian_coupling_sums(normals, thresholds, jumps, groups, first, sums);
}

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

void round_answers(Device& device, const Imperfection& format, DeviceView y) {
  using Kind = Imperfection::Kind;
  require(format.kind != Kind::noise, "round_answers: noise is no rounding");
  require(format.decimals >= 0 && format.decimals <= Imperfection::kMostDecimals,
          "round_answers: decimals must be between 0 and 22");
  if (is_empty(y) || format.kind == Kind::float64) return;
  device.ops().round_answers(format, y);
}

void add_answer_noise(Device& device, Seed seed, double deviation, DeviceView y) {
  require(std::isfinite(deviation) && deviation >= 0,
          "add_answer_noise: deviation must be finite and not negative");
  if (is_empty(y)) return;
  device.ops().add_answer_noise(seed, deviation, y);
}

void softmax(Device& device, bool logarithms, DeviceView y) {
  if (is_empty(y)) return;
  device.ops().softmax(logarithms, y);
}

void log_odds(Device& device, const OddsFormat& format, DeviceView y) {
  require(y.cols % 2 == 0 && y.cols >= 4, "log_odds: y must have 2 p columns, p >= 2");
  const auto good = [](double x) { return std::isfinite(x) && x >= 0; };
  require(good(format.half_unit) && good(format.rounding) && good(format.smallest),
          "log_odds: q, u and the smallest probability must be finite and not negative");
  if (is_empty(y)) return;
  device.ops().log_odds(format, y);
}

}  // namespace crease
