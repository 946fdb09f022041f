// The network found so far.
#include "src/stages/hypothesis.hpp"

#include <algorithm>
#include <cmath>

#include "src/stages/numbers.hpp"

namespace crease {
namespace {

HostMatrix without_row(const HostMatrix& matrix, Index row) {
  HostMatrix out(matrix.rows() - 1, matrix.cols());
  for (Index i = 0, to = 0; i < matrix.rows(); ++i) {
    if (i == row) continue;
    std::copy_n(matrix.row(i), matrix.cols(), out.row(to++));
  }
  return out;
}

}  // namespace

Hypothesis::Hypothesis(Index d, Index p)
    : inputs(d),
      outputs(p),
      gradient(p, d),
      constant(p, 1),
      gradient_noise(static_cast<std::size_t>(p), 0.0),
      normals(0, d),
      scales(0, p) {}

void Hypothesis::add(std::vector<double> normal, double bias_of_normal, std::vector<double> scale,
                     double offset_error_of_normal, double normal_error_of_normal) {
  const double length = std::sqrt(dot(normal, normal));
  for (double& value : normal) value /= length;
  for (double& value : scale) value *= length;
  double offset = bias_of_normal / length;
  if (dot(normal, base) + offset > 0) {
    for (double& value : normal) value = -value;
    offset = -offset;
  }
  normals.append_row(normal.data(), inputs);
  scales.append_row(scale.data(), outputs);
  bias.push_back(offset);
  offset_error.push_back(offset_error_of_normal / length);
  normal_error.push_back(normal_error_of_normal / length);
}

void Hypothesis::remove(Index j) {
  normals = without_row(normals, j);
  scales = without_row(scales, j);
  bias.erase(bias.begin() + j);
  offset_error.erase(offset_error.begin() + j);
  normal_error.erase(normal_error.begin() + j);
}

void Hypothesis::scale_errors(double factor) {
  for (double& error : offset_error) error *= factor;
  for (double& error : normal_error) error *= factor;
  for (double& error : gradient_noise) error *= factor;
}

ReluNetwork Hypothesis::network() const {
  ReluNetwork network(inputs, neurons(), outputs);
  network.weights = normals;
  network.linear = gradient;
  network.constant = constant;
  for (Index j = 0; j < neurons(); ++j) {
    network.bias(j, 0) = bias[static_cast<std::size_t>(j)];
    for (Index o = 0; o < outputs; ++o) network.output(o, j) = scales(j, o);
  }
  return network;
}

std::vector<double> Hypothesis::gradient_error() const {
  std::vector<double> error(static_cast<std::size_t>(outputs), 0.0);
  for (Index o = 0; o < outputs; ++o) {
    double sum = 0;
    for (Index j = 0; j < neurons(); ++j) {
      const double term = normal_error[static_cast<std::size_t>(j)] * scales(j, o);
      sum += term * term;
    }
    error[static_cast<std::size_t>(o)] = std::sqrt(sum);
  }
  return error;
}

std::vector<double> Hypothesis::value_error() const {
  std::vector<double> error(static_cast<std::size_t>(outputs), 0.0);
  const double points = static_cast<double>(inputs + 1);
  const double away = std::sqrt(1 + dot(base, base) / points);
  for (Index o = 0; o < outputs; ++o) {
    double sum = 0;
    for (Index j = 0; j < neurons(); ++j) {
      const double term = offset_error[static_cast<std::size_t>(j)] * scales(j, o);
      sum += term * term;
    }
    error[static_cast<std::size_t>(o)] =
        std::hypot(std::sqrt(sum / points), gradient_noise[static_cast<std::size_t>(o)] * away);
  }
  return error;
}

std::vector<double> Hypothesis::rounding_error() const {
  std::vector<double> error(static_cast<std::size_t>(outputs), 0.0);
  for (Index o = 0; o < outputs; ++o) {
    double sum = dot(gradient.row(o), gradient.row(o), inputs);
    for (Index j = 0; j < neurons(); ++j) sum += scales(j, o) * scales(j, o);
    error[static_cast<std::size_t>(o)] = kRounding * std::sqrt(sum);
  }
  return error;
}

}  // namespace crease
