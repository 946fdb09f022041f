// A network file of either kind, as what both kinds have in common: a function.
#pragma once

#include <crease/network.hpp>
#include <crease/smooth_network.hpp>

#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace crease {

using AnyNetwork = std::variant<ReluNetwork, SmoothNetwork>;

/// Throws FileError as load_network() and load_smooth_network() do.
AnyNetwork load_any_network(const std::string& path);

Index inputs_of(const AnyNetwork& network);
Index outputs_of(const AnyNetwork& network);

/// Of every hidden layer, from the input on.
std::vector<Index> neurons_of(const AnyNetwork& network);
/// "relu" or "tanh" ..., one a hidden layer.
std::vector<std::string> activations_of(const AnyNetwork& network);

/// y = F(x) for x [n, d]; y [n, p].
HostMatrix evaluate(Device& device, const AnyNetwork& network, ConstHostView x);

/// y [n, p] <- F(x [n, d]) with the network in the device's memory; must not outlive the device.
using DeviceFunction = std::function<void(ConstDeviceView x, DeviceView y)>;
DeviceFunction upload_network(Device& device, const AnyNetwork& network);

}  // namespace crease
