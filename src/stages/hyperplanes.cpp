// Networks as hyperplanes without orientation.
#include "src/stages/hyperplanes.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {

void Hyperplanes::add(const std::vector<double>& normal, double offset) {
  require(static_cast<Index>(normal.size()) == inputs(),
          "Hyperplanes: the normal has another size");
  const double length = std::sqrt(dot(normal, normal));
  require(length > 0 && std::isfinite(length) && std::isfinite(offset),
          "Hyperplanes: the normal must not be 0, and all must be finite");
  std::vector<double> plane(normal);
  plane.push_back(offset);
  for (double& value : plane) value /= length;
  planes.append_row(plane.data(), inputs() + 1);
  const std::vector<double> scale(static_cast<std::size_t>(outputs()), 0.0);
  scales.append_row(scale.data(), outputs());
}

Hyperplanes Hyperplanes::without(const std::vector<bool>& marked) const {
  require(static_cast<Index>(marked.size()) == neurons(), "Hyperplanes: one mark per neuron");
  Hyperplanes rest(inputs(), outputs());
  rest.linear = linear;
  for (Index i = 0; i < neurons(); ++i) {
    if (marked[static_cast<std::size_t>(i)]) continue;
    rest.planes.append_row(planes.row(i), planes.cols());
    rest.scales.append_row(scales.row(i), scales.cols());
  }
  return rest;
}

ReluNetwork relu_network_of(const Hyperplanes& network) {
  const Index d = network.inputs();
  const Index p = network.outputs();
  std::vector<Index> live;
  for (Index i = 0; i < network.neurons(); ++i) {
    if (dot(network.scales.row(i), network.scales.row(i), p) > 0) live.push_back(i);
  }
  ReluNetwork result(d, static_cast<Index>(live.size()), p);
  for (Index o = 0; o < p; ++o) {
    for (Index j = 0; j < d; ++j) result.linear(o, j) = network.linear(o, j);
    result.constant(o, 0) = network.linear(o, d);
  }
  for (Index r = 0; r < result.neurons(); ++r) {
    const double* plane = network.planes.row(live[static_cast<std::size_t>(r)]);
    const double* scale = network.scales.row(live[static_cast<std::size_t>(r)]);
    const double size = std::sqrt(dot(scale, scale, p));
    for (Index j = 0; j < d; ++j) result.weights(r, j) = 2 * size * plane[j];
    result.bias(r, 0) = 2 * size * plane[d];
    for (Index o = 0; o < p; ++o) {
      result.output(o, r) = scale[o] / size;
      for (Index j = 0; j < d; ++j) result.linear(o, j) -= scale[o] * plane[j];
      result.constant(o, 0) -= scale[o] * plane[d];
    }
  }
  return result;
}

HyperplaneFeatures::HyperplaneFeatures(Device& device, const HostMatrix& planes, double constant)
    : device_(device), neurons_(planes.rows()), inputs_(planes.cols() - 1), constant_(constant) {
  std::vector<double> offsets;
  for (Index i = 0; i < neurons_; ++i) offsets.push_back(planes(i, inputs_));
  normals_ = upload(device, {planes.data(), neurons_, inputs_, planes.cols()});
  offsets_ = upload(device, row_view(offsets));
}

void HyperplaneFeatures::rows(ConstDeviceView x, DeviceView out) const {
  const DeviceView neurons = out.col_block(0, neurons_);
  multiply(device_, x, Transpose::no, normals_, Transpose::yes, 1.0, 0.0, neurons);
  add_row(device_, offsets_, neurons);
  absolute(device_, neurons);
  copy(device_, x, out.col_block(neurons_, inputs_));
  fill(device_, constant_, out.col_block(neurons_ + inputs_, 1));
}

Index HyperplaneFeatures::chunk_rows(Index most_bytes) const {
  return std::max<Index>(1, most_bytes / (cols() * kDoubleBytes));
}

HostMatrix coefficients_of(const Hyperplanes& network) {
  const Index k = network.neurons();
  HostMatrix all(k + network.inputs() + 1, network.outputs());
  for (Index o = 0; o < all.cols(); ++o) {
    for (Index i = 0; i < k; ++i) all(i, o) = network.scales(i, o);
    for (Index j = 0; j <= network.inputs(); ++j) all(k + j, o) = network.linear(o, j);
  }
  return all;
}

void set_coefficients(const HostMatrix& coefficients, Hyperplanes& network) {
  const Index k = network.neurons();
  for (Index o = 0; o < coefficients.cols(); ++o) {
    for (Index i = 0; i < k; ++i) network.scales(i, o) = coefficients(i, o);
    for (Index j = 0; j <= network.inputs(); ++j) network.linear(o, j) = coefficients(k + j, o);
  }
}

void evaluate(Device& device, const Hyperplanes& network, ConstDeviceView x, Index most_bytes,
              DeviceView y) {
  require(x.cols == network.inputs() && y.rows == x.rows && y.cols == network.outputs(),
          "evaluate: x and y must be as wide as the network");
  const HyperplaneFeatures features(device, network.planes);
  const DeviceMatrix coefficients = upload(device, coefficients_of(network));
  const Index chunk = std::min(std::max<Index>(1, x.rows), features.chunk_rows(most_bytes));
  DeviceMatrix scratch(device, chunk, features.cols());
  for (Index top = 0; top < x.rows; top += chunk) {
    const Index count = std::min(chunk, x.rows - top);
    const DeviceView rows = scratch.view().row_block(0, count);
    features.rows(x.row_block(top, count), rows);
    multiply(device, rows, Transpose::no, coefficients, Transpose::no, 1.0, 0.0,
             y.row_block(top, count));
  }
}

}  // namespace crease
