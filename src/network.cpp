// Networks as plain data: shape checks, evaluation, and the plain form without a linear part.
#include <crease/network.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

#include "src/device_network.hpp"

namespace crease {
namespace {

bool all_finite(const HostMatrix& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.size(),
                     [](double value) { return std::isfinite(value); });
}

bool all_zero(const HostMatrix& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.size(),
                     [](double value) { return value == 0.0; });
}

}  // namespace

ReluNetwork::ReluNetwork(Index inputs, Index neurons, Index outputs)
    : weights(neurons, inputs),
      bias(neurons, 1),
      output(outputs, neurons),
      linear(outputs, inputs),
      constant(outputs, 1) {}

void check(const ReluNetwork& network) {
  const Index d = network.linear.cols();
  const Index p = network.linear.rows();
  const Index k = network.weights.rows();
  require(d >= 1 && p >= 1, "network: linear must be [p, d] with p >= 1 and d >= 1");
  require(k == 0 || network.weights.cols() == d, "network: weights must be [k, d]");
  require(network.bias.rows() == k && (k == 0 || network.bias.cols() == 1),
          "network: bias must be [k, 1]");
  require(network.output.rows() == p && network.output.cols() == k,
          "network: output must be [p, k]");
  require(network.constant.rows() == p && network.constant.cols() == 1,
          "network: constant must be [p, 1]");
  require(all_finite(network.weights), "network: weights must be finite");
  require(all_finite(network.bias), "network: bias must be finite");
  require(all_finite(network.output), "network: output must be finite");
  require(all_finite(network.linear), "network: linear must be finite");
  require(all_finite(network.constant), "network: constant must be finite");
  require(std::isfinite(network.power) && network.power > 0,
          "network: power must be finite and greater than 0");
  if (network.power == 1) return;
  for (const auto& [name, part] : {std::pair("bias", &network.bias),
                                   {"linear", &network.linear},
                                   {"constant", &network.constant}}) {
    require(all_zero(*part),
            std::string("network: ") + name +
                " must be 0 where the power is not 1: such networks are y = output "
                "* max(weights * x, 0)^power");
  }
}

void require_relu(const ReluNetwork& network, std::string_view who) {
  if (network.power == 1) return;
  std::ostringstream text;
  text << who << ": expected a network of power 1, not " << network.power;
  throw BadInput(text.str());
}

HostMatrix evaluate(Device& device, const ReluNetwork& network, ConstHostView x) {
  check(network);
  require(x.cols == network.inputs(), "evaluate: x must be as wide as the network has inputs");
  const DeviceNetwork on_device(device, network);
  const DeviceMatrix points = upload(device, x);
  DeviceMatrix answers(device, x.rows, network.outputs());
  on_device.evaluate(points, answers);
  return download(device, answers);
}

ReluNetwork fold_linear_part(const ReluNetwork& network) {
  check(network);
  if (network.power != 1) return network;
  ReluNetwork folded(network.inputs(), 0, network.outputs());
  folded.constant = network.constant;
  folded.weights = network.weights;
  folded.bias = network.bias;
  std::vector<Index> rows;  // outputs whose linear part is not zero
  for (Index o = 0; o < network.outputs(); ++o) {
    const double* row = network.linear.row(o);
    if (std::any_of(row, row + network.inputs(), [](double g) { return g != 0.0; })) {
      rows.push_back(o);
    }
  }
  const double zero = 0.0;
  for (const Index o : rows) {
    std::vector<double> weights(network.linear.row(o), network.linear.row(o) + network.inputs());
    folded.weights.append_row(weights.data(), network.inputs());
    folded.bias.append_row(&zero, 1);
    for (double& w : weights) w = -w;
    folded.weights.append_row(weights.data(), network.inputs());
    folded.bias.append_row(&zero, 1);
  }
  const Index k = network.neurons();
  folded.output = HostMatrix(network.outputs(), k + 2 * static_cast<Index>(rows.size()));
  for (Index o = 0; o < network.outputs(); ++o) {
    for (Index r = 0; r < k; ++r) folded.output(o, r) = network.output(o, r);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    folded.output(rows[i], k + 2 * static_cast<Index>(i)) = 1.0;
    folded.output(rows[i], k + 2 * static_cast<Index>(i) + 1) = -1.0;
  }
  return folded;
}

bool is_dead(const ReluNetwork& network, Index neuron) {
  require(neuron >= 0 && neuron < network.neurons(), "is_dead: no such neuron");
  const double* weights = network.weights.row(neuron);
  if (std::all_of(weights, weights + network.inputs(), [](double w) { return w == 0.0; })) {
    return true;
  }
  for (Index o = 0; o < network.outputs(); ++o) {
    if (network.output(o, neuron) != 0.0) return false;
  }
  return true;
}

namespace {

/// Each column less its mean; 0 throughout where all numbers of it are alike but for rounding.
void subtract_column_means(HostMatrix& columns) {
  const Index p = columns.rows();
  const auto count = static_cast<double>(p);
  const double alike = 8 * count * std::numeric_limits<double>::epsilon();
  for (Index j = 0; j < columns.cols(); ++j) {
    double mean = 0;
    double largest = 0;
    for (Index o = 0; o < p; ++o) {
      mean += columns(o, j) / count;
      largest = std::max(largest, std::abs(columns(o, j)));
    }
    double left = 0;
    for (Index o = 0; o < p; ++o) left = std::max(left, std::abs(columns(o, j) - mean));
    for (Index o = 0; o < p; ++o) {
      columns(o, j) = left <= alike * largest ? 0.0 : columns(o, j) - mean;
    }
  }
}

}  // namespace

ReluNetwork without_common_function(const ReluNetwork& network) {
  check(network);
  ReluNetwork result = network;
  subtract_column_means(result.output);
  subtract_column_means(result.linear);
  subtract_column_means(result.constant);
  return result;
}

}  // namespace crease
