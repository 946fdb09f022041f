// Smooth networks as plain data.
#include <crease/smooth_network.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include "src/comma_list.hpp"
#include "src/device_smooth_network.hpp"

namespace crease {
namespace {

constexpr std::array kNames = {"tanh", "sigmoid", "softplus", "gelu", "sin", "erf"};

void check_part(const HostMatrix& part, Index rows, Index cols, const std::string& name) {
  require(part.rows() == rows && part.cols() == cols,
          "smooth network: " + name + " must be [" + std::to_string(rows) + ", " +
              std::to_string(cols) + "], not [" + std::to_string(part.rows()) + ", " +
              std::to_string(part.cols()) + "]");
  require(std::all_of(part.data(), part.data() + part.size(),
                      [](double value) { return std::isfinite(value); }),
          "smooth network: " + name + " holds NaN or infinity");
}

}  // namespace

std::string to_string(Activation activation) {
  return kNames[static_cast<std::size_t>(activation)];
}

std::vector<std::string> activation_names() {
  return {kNames.begin(), kNames.end()};
}

Activation activation_of(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Activation>(i);
  }
  std::string all;
  for (const char* known : kNames) all += (all.empty() ? "" : ", ") + std::string(known);
  throw BadInput("\"" + std::string(name) + "\" is no activation crease knows: " + all);
}

std::vector<Activation> activations_of(const std::string& list) {
  std::vector<Activation> activations;
  for (const std::string& name : words_of(list)) activations.push_back(activation_of(name));
  return activations;
}

bool saturates(Activation activation) {
  return activation == Activation::tanh || activation == Activation::sigmoid ||
         activation == Activation::erf;
}

SmoothNetwork::SmoothNetwork(Index inputs, const std::vector<Index>& neurons, Index outputs,
                             const std::vector<Activation>& activations)
    : linear(outputs, inputs), constant(outputs, 1) {
  require(neurons.size() == activations.size(),
          "smooth network: one activation for every hidden layer");
  Index width = inputs;
  for (std::size_t l = 0; l < neurons.size(); ++l) {
    hidden.push_back({HostMatrix(neurons[l], width), HostMatrix(neurons[l], 1), activations[l]});
    width = neurons[l];
  }
  output = HostMatrix(outputs, width);
}

void check(const SmoothNetwork& network) {
  const Index d = network.inputs();
  const Index p = network.outputs();
  require(network.layers() == 1 || network.layers() == 2,
          "smooth network: one or two hidden layers, not " + std::to_string(network.layers()));
  require(d >= 1 && p >= 1, "smooth network: at least one input and one output");
  Index width = d;
  for (Index l = 0; l < network.layers(); ++l) {
    const SmoothNetwork::Layer& layer = network.hidden[static_cast<std::size_t>(l)];
    const std::string name = "of hidden layer " + std::to_string(l + 1);
    check_part(layer.weights, layer.weights.rows(), width, "weights " + name);
    width = layer.weights.rows();
    check_part(layer.bias, width, 1, "bias " + name);
  }
  check_part(network.output, p, width, "output");
  check_part(network.linear, p, d, "linear");
  check_part(network.constant, p, 1, "constant");
}

HostMatrix evaluate(Device& device, const SmoothNetwork& network, ConstHostView x) {
  check(network);
  require(x.cols == network.inputs(), "evaluate: points must have as many numbers as inputs");
  HostMatrix y(x.rows, network.outputs());
  if (x.rows == 0) return y;
  const DeviceSmoothNetwork there(device, network);
  const Index most = there.rows_at_once();
  for (Index top = 0; top < x.rows; top += most) {
    const Index count = std::min(most, x.rows - top);
    const DeviceMatrix points = upload(device, x.row_block(top, count));
    DeviceMatrix values(device, count, network.outputs());
    there.evaluate(points, values);
    device.copy_out(values, y.view().row_block(top, count));
  }
  return y;
}

}  // namespace crease
