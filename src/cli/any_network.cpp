// Networks of either kind.
#include "src/cli/any_network.hpp"

#include <crease/files.hpp>

#include <memory>

#include "src/device_network.hpp"
#include "src/device_smooth_network.hpp"
#include "src/files/network_parts.hpp"

namespace crease {
namespace {

template <class OnDevice, class Network>
DeviceFunction function_of(Device& device, const Network& network) {
  const auto there = std::make_shared<const OnDevice>(device, network);
  return [there](ConstDeviceView x, DeviceView y) { there->evaluate(x, y); };
}

}  // namespace

AnyNetwork load_any_network(const std::string& path) {
  const TensorFile file = read_tensors(path);
  if (holds_smooth_network(file)) return smooth_network_in(path, file);
  return relu_network_in(path, file);
}

Index inputs_of(const AnyNetwork& network) {
  return std::visit([](const auto& each) { return each.inputs(); }, network);
}

Index outputs_of(const AnyNetwork& network) {
  return std::visit([](const auto& each) { return each.outputs(); }, network);
}

std::vector<Index> neurons_of(const AnyNetwork& network) {
  if (const auto* relu = std::get_if<ReluNetwork>(&network)) return {relu->neurons()};
  const SmoothNetwork& smooth = std::get<SmoothNetwork>(network);
  std::vector<Index> neurons;
  for (Index l = 0; l < smooth.layers(); ++l) neurons.push_back(smooth.neurons(l));
  return neurons;
}

std::vector<std::string> activations_of(const AnyNetwork& network) {
  const auto* smooth = std::get_if<SmoothNetwork>(&network);
  if (smooth == nullptr) return {"relu"};
  std::vector<std::string> names;
  for (const SmoothNetwork::Layer& layer : smooth->hidden) {
    names.push_back(to_string(layer.activation));
  }
  return names;
}

HostMatrix evaluate(Device& device, const AnyNetwork& network, ConstHostView x) {
  return std::visit([&](const auto& each) { return evaluate(device, each, x); }, network);
}

DeviceFunction upload_network(Device& device, const AnyNetwork& network) {
  if (const auto* relu = std::get_if<ReluNetwork>(&network)) {
    return function_of<DeviceNetwork>(device, *relu);
  }
  return function_of<DeviceSmoothNetwork>(device, std::get<SmoothNetwork>(network));
}

}  // namespace crease
