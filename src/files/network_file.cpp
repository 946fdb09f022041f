// A network with one hidden layer under PyTorch's names.
#include <crease/files.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "src/files/network_parts.hpp"

namespace crease {
namespace {

constexpr const char* kPower = "power";

/// The shortest decimal number that reads back as the same double.
std::string decimal_of(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, error == std::errc{} ? end : text};
}

/// From the metadata, or an array of one number; 1 where neither is there.
double power_of(const NetworkParts& parts, const TensorFile& file) {
  const auto refuse_power = [&](const std::string& what) {
    parts.refuse("its power is " + what + "; expected one finite number above 0");
  };
  std::optional<double> power;
  if (const auto told = file.metadata.find(kPower); told != file.metadata.end()) {
    const std::string& text = told->second;
    const char* end = text.data() + text.size();
    power.emplace();
    const auto [stopped, error] = std::from_chars(text.data(), end, *power);
    if (error != std::errc{} || stopped != end) refuse_power("\"" + text + "\"");
  }
  if (parts.has(kPower)) {
    const Tensor& array = parts.need(kPower);
    if (array.values.size() != 1) refuse_power("an array " + text_of(array.shape));
    if (power && *power != array.values[0]) {
      parts.refuse("its power is " + decimal_of(*power) + " in the metadata and " +
                   decimal_of(array.values[0]) + " as an array");
    }
    power = array.values[0];
  }
  if (!power) return 1;
  if (!std::isfinite(*power) || *power <= 0) refuse_power(decimal_of(*power));
  return *power;
}

}  // namespace

ReluNetwork load_network(const std::string& path) {
  return relu_network_in(path, read_tensors(path));
}

ReluNetwork relu_network_in(const std::string& path, const TensorFile& file) {
  static const std::string kForm =
      "0.weight [k, d] and 2.weight [p, k] of Sequential(Linear, ReLU, Linear)";
  const NetworkParts parts(path, file, kForm);
  parts.allow_only({"0.weight", "0.bias", "2.weight", "2.bias", "skip.weight", kPower});
  const auto activation = file.metadata.find("activation");
  if (activation != file.metadata.end() && activation->second != "relu") {
    parts.refuse("its activation is \"" + activation->second + "\"; expected relu");
  }
  const double power = power_of(parts, file);

  parts.need("0.weight");
  parts.need("2.weight");
  const Tensor& hidden = parts.need_matrix("0.weight");
  const Tensor& output = parts.need_matrix("2.weight");
  const Index neurons = hidden.shape[0];
  const Index inputs = hidden.shape[1];
  const Index outputs = output.shape[0];
  if (inputs == 0) parts.refuse("it has no inputs: 0.weight is " + text_of(hidden.shape));
  if (outputs == 0) parts.refuse("it has no outputs: 2.weight is " + text_of(output.shape));
  parts.require_backed(outputs, inputs,
                       static_cast<Index>(hidden.values.size() + output.values.size()));
  ReluNetwork network(inputs, neurons, outputs);
  parts.fill("0.weight", {neurons, inputs}, network.weights);
  parts.fill("2.weight", {outputs, neurons}, network.output);
  if (parts.has("0.bias")) parts.fill("0.bias", {neurons}, network.bias);
  if (parts.has("2.bias")) parts.fill("2.bias", {outputs}, network.constant);
  if (parts.has("skip.weight")) parts.fill("skip.weight", {outputs, inputs}, network.linear);
  network.power = power;
  try {
    check(network);
  } catch (const BadInput& error) {
    parts.refuse(error.what());
  }
  return network;
}

void save_network(const std::string& path, const ReluNetwork& network) {
  check(network);
  const Index d = network.inputs();
  const Index k = network.neurons();
  const Index p = network.outputs();
  TensorFile file;
  file.metadata = {{"format", "crease"}, {"activation", "relu"}};
  file.tensors["0.weight"] = tensor_of(network.weights, {k, d});
  file.tensors["0.bias"] = tensor_of(network.bias, {k});
  file.tensors["2.weight"] = tensor_of(network.output, {p, k});
  file.tensors["2.bias"] = tensor_of(network.constant, {p});
  add_skip(network.linear, file);
  if (network.power != 1) {
    file.metadata[kPower] = decimal_of(network.power);
    // PyTorch refuses arrays that it does not know, so only where there is no place for metadata.
    if (std::filesystem::path(path).extension() == ".npz") {
      file.tensors[kPower] = {{}, {network.power}};
    }
  }
  write_tensors(path, file);
}

}  // namespace crease
