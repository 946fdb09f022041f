// Smooth networks under PyTorch's names.
#include <crease/files.hpp>

#include <filesystem>

#include "src/files/network_parts.hpp"

namespace crease {
namespace {

constexpr const char* kActivation = "activation";
constexpr const char* kRelu = "relu";
constexpr double kFirstCode = 1;  // of an array in .npz, which has no place for words; 0 is relu

std::string list_of(const std::vector<Activation>& activations) {
  std::string list;
  for (const Activation activation : activations) {
    list += (list.empty() ? "" : ",") + to_string(activation);
  }
  return list;
}

std::vector<Activation> decoded(const Tensor& codes) {
  const auto known = static_cast<double>(activation_names().size());
  std::vector<Activation> activations;
  for (const double code : codes.values) {
    require(code >= kFirstCode && code < kFirstCode + known && code == static_cast<int>(code),
            "its array \"activation\" holds what is no code of an activation");
    activations.push_back(static_cast<Activation>(static_cast<int>(code - kFirstCode)));
  }
  return activations;
}

/// From the metadata, or an array of codes; empty where neither is there, or it is relu's.
std::vector<Activation> activations_in(const NetworkParts& parts, const TensorFile& file) {
  const auto told = file.metadata.find(kActivation);
  const std::string words = told == file.metadata.end() ? kRelu : told->second;
  std::vector<Activation> activations;
  if (words != kRelu) activations = activations_of(words);
  if (!parts.has(kActivation)) return activations;
  const std::vector<Activation> coded = decoded(parts.need(kActivation));
  if (told != file.metadata.end() && coded != activations) {
    parts.refuse("its activations are \"" + words + "\" in the metadata and \"" + list_of(coded) +
                 "\" as an array");
  }
  return coded;
}

std::string name_of(Index layer, const char* part) {
  return std::to_string(2 * layer) + "." + part;
}

}  // namespace

bool holds_smooth_network(const TensorFile& file) {
  if (!file.tensors.contains("0.weight")) return false;
  const auto told = file.metadata.find(kActivation);
  return told != file.metadata.end() ? told->second != kRelu : file.tensors.contains(kActivation);
}

SmoothNetwork load_smooth_network(const std::string& path) {
  return smooth_network_in(path, read_tensors(path));
}

SmoothNetwork smooth_network_in(const std::string& path, const TensorFile& file) {
  static const std::string kForm =
      "0.weight [k, d] and 2.weight [p, k], or 2.weight [m, k] and 4.weight [p, m], and the "
      "activations of a smooth network";
  const NetworkParts parts(path, file, kForm);
  try {
    const std::vector<Activation> activations = activations_in(parts, file);
    const auto layers = static_cast<Index>(activations.size());
    if (layers < 1 || layers > 2) {
      parts.refuse("it names " + std::to_string(layers) +
                   " smooth activations; expected one or two, as many as hidden layers");
    }
    std::vector<std::string> names = {"skip.weight", kActivation};
    std::vector<Index> sizes;
    Index numbers = 0;
    for (Index l = 0; l <= layers; ++l) {
      const Tensor& weight = parts.need_matrix(name_of(l, "weight"));
      if (l == 0) sizes.push_back(weight.shape[1]);
      sizes.push_back(weight.shape[0]);
      numbers += static_cast<Index>(weight.values.size());
      names.push_back(name_of(l, "weight"));
      names.push_back(name_of(l, "bias"));
    }
    parts.allow_only(names);
    if (const auto power = file.metadata.find("power"); power != file.metadata.end()) {
      parts.refuse("its metadata have the power " + power->second + "; smooth neurons have none");
    }
    const Index inputs = sizes.front();
    const Index outputs = sizes.back();
    if (inputs == 0) parts.refuse("it has no inputs");
    if (outputs == 0) parts.refuse("it has no outputs");
    parts.require_backed(outputs, inputs, numbers);
    SmoothNetwork network(inputs, {sizes.begin() + 1, sizes.end() - 1}, outputs, activations);
    for (Index l = 0; l <= layers; ++l) {
      const auto at = static_cast<std::size_t>(l);
      HostMatrix& weights = l < layers ? network.hidden[at].weights : network.output;
      HostMatrix& bias = l < layers ? network.hidden[at].bias : network.constant;
      parts.fill(name_of(l, "weight"), {sizes[at + 1], sizes[at]}, weights);
      if (parts.has(name_of(l, "bias"))) parts.fill(name_of(l, "bias"), {sizes[at + 1]}, bias);
    }
    if (parts.has("skip.weight")) parts.fill("skip.weight", {outputs, inputs}, network.linear);
    check(network);
    return network;
  } catch (const BadInput& error) {
    parts.refuse(error.what());
  }
}

void save_network(const std::string& path, const SmoothNetwork& network) {
  check(network);
  std::vector<Activation> activations;
  for (const SmoothNetwork::Layer& layer : network.hidden) activations.push_back(layer.activation);
  TensorFile file;
  file.metadata = {{"format", "crease"}, {kActivation, list_of(activations)}};
  Index width = network.inputs();
  std::vector<double> codes;
  for (Index l = 0; l < network.layers(); ++l) {
    const SmoothNetwork::Layer& layer = network.hidden[static_cast<std::size_t>(l)];
    const Index neurons = network.neurons(l);
    file.tensors[name_of(l, "weight")] = tensor_of(layer.weights, {neurons, width});
    file.tensors[name_of(l, "bias")] = tensor_of(layer.bias, {neurons});
    codes.push_back(kFirstCode + static_cast<int>(layer.activation));
    width = neurons;
  }
  const Index last = network.layers();
  file.tensors[name_of(last, "weight")] = tensor_of(network.output, {network.outputs(), width});
  file.tensors[name_of(last, "bias")] = tensor_of(network.constant, {network.outputs()});
  add_skip(network.linear, file);
  // PyTorch refuses arrays that it does not know, so only where there is no place for metadata.
  if (std::filesystem::path(path).extension() == ".npz") {
    file.tensors[kActivation] = {{last}, std::move(codes)};
  }
  write_tensors(path, file);
}

}  // namespace crease
