// The network so far with unit output coefficients.
#include "src/stages/unit_network.hpp"

#include <algorithm>
#include <cmath>

#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kGuard = 1e3;  // offset errors
constexpr double kLeastGuard = 1e-12;

}  // namespace

UnitNetwork::UnitNetwork(const Hypothesis& hypothesis)
    : weights(hypothesis.normals),
      bias(hypothesis.bias),
      outputs(hypothesis.scales),
      gradient(hypothesis.gradient),
      constant(hypothesis.constant.data(), hypothesis.constant.data() + hypothesis.constant.size()),
      weight_error(hypothesis.normal_error),
      offset_error(hypothesis.offset_error) {
  const Index p = hypothesis.outputs;
  for (Index j = 0; j < neurons(); ++j) {
    const auto jj = static_cast<std::size_t>(j);
    const double scale = std::sqrt(dot(outputs.row(j), outputs.row(j), p));
    for (Index i = 0; i < inputs(); ++i) weights(j, i) *= scale;
    for (Index o = 0; o < p && scale > 0; ++o) outputs(j, o) /= scale;
    bias[jj] *= scale;
    weight_error[jj] *= scale;
    offset_error[jj] *= scale;
  }
}

double UnitNetwork::size(Index j) const {
  return std::sqrt(dot(weights.row(j), weights.row(j), inputs()));
}

Hypothesis UnitNetwork::hypothesis(const Hypothesis& like) const {
  Hypothesis out = like;
  for (Index j = 0; j < neurons(); ++j) {
    const auto jj = static_cast<std::size_t>(j);
    const double length = size(j);
    for (Index i = 0; i < inputs(); ++i) out.normals(j, i) = weights(j, i) / length;
    for (Index o = 0; o < output_count(); ++o) out.scales(j, o) = outputs(j, o) * length;
    out.bias[jj] = bias[jj] / length;
    out.normal_error[jj] = weight_error[jj] / length;
    out.offset_error[jj] = offset_error[jj] / length;
  }
  out.gradient = gradient;
  std::copy(constant.begin(), constant.end(), out.constant.data());
  return out;
}

ReluNetwork UnitNetwork::network() const {
  ReluNetwork out(inputs(), neurons(), output_count());
  out.weights = weights;
  out.linear = gradient;
  std::copy(constant.begin(), constant.end(), out.constant.data());
  for (Index j = 0; j < neurons(); ++j) {
    out.bias(j, 0) = bias[static_cast<std::size_t>(j)];
    for (Index o = 0; o < output_count(); ++o) out.output(o, j) = outputs(j, o);
  }
  return out;
}

std::vector<double> UnitNetwork::guards() const {
  std::vector<double> guard;
  for (Index j = 0; j < neurons(); ++j) {
    guard.push_back(
        std::max(kGuard * offset_error[static_cast<std::size_t>(j)] / size(j), kLeastGuard));
  }
  return guard;
}

}  // namespace crease
