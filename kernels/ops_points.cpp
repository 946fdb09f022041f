// The checks of kernels/ops_points.hpp, once, for every backend.
#include "kernels/ops.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/view_checks.hpp"

namespace crease {
namespace {

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

}  // namespace crease
