// A network with one hidden layer under PyTorch's names.
#include <crease/files.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

namespace crease {
namespace {

constexpr const char* kPower = "power";

/// The shortest decimal number that reads back as the same double.
std::string text_of(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, error == std::errc{} ? end : text};
}

std::string text_of(const std::vector<Index>& shape) {
  std::string text = "[";
  for (const Index size : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  return text.append("]");
}

/// The tensors of one file, asked for by name and shape.
class Parts {
 public:
  Parts(const std::string& path, const TensorFile& file) : path_(path), file_(file) {}

  bool has(const std::string& name) const { return file_.tensors.contains(name); }

  const Tensor& need(const std::string& name) const {
    if (!has(name)) {
      refuse("it has no \"" + name +
             "\"; expected 0.weight [k, d] and 2.weight [p, k] of "
             "Sequential(Linear, ReLU, Linear)");
    }
    return file_.tensors.at(name);
  }

  /// Copies tensor `name` into `part`; `shape` as the file must have it.
  void fill(const std::string& name, const std::vector<Index>& shape, HostMatrix& part) const {
    const Tensor& tensor = need(name);
    if (tensor.shape != shape) {
      refuse("\"" + name + "\" has the shape " + text_of(tensor.shape) + "; expected " +
             text_of(shape));
    }
    for (const double value : tensor.values) {
      if (!std::isfinite(value)) refuse("\"" + name + "\" holds NaN or infinity");
    }
    std::copy(tensor.values.begin(), tensor.values.end(), part.data());
  }

  /// From the metadata, or an array of one number; 1 where neither is there.
  double power() const {
    std::optional<double> power;
    if (const auto told = file_.metadata.find(kPower); told != file_.metadata.end()) {
      const std::string& text = told->second;
      const char* end = text.data() + text.size();
      power.emplace();
      const auto [stopped, error] = std::from_chars(text.data(), end, *power);
      if (error != std::errc{} || stopped != end) refuse_power("\"" + text + "\"");
    }
    if (has(kPower)) {
      const Tensor& array = need(kPower);
      if (array.values.size() != 1) refuse_power("an array " + text_of(array.shape));
      if (power && *power != array.values[0]) {
        refuse("its power is " + text_of(*power) + " in the metadata and " +
               text_of(array.values[0]) + " as an array");
      }
      power = array.values[0];
    }
    if (!power) return 1;
    if (!std::isfinite(*power) || *power <= 0) refuse_power(text_of(*power));
    return *power;
  }

  [[noreturn]] void refuse_power(const std::string& what) const {
    refuse("its power is " + what + "; expected one finite number above 0");
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw FileError(path_ + " is not a network crease knows: " + what);
  }

 private:
  const std::string& path_;
  const TensorFile& file_;
};

Tensor tensor_of(const HostMatrix& matrix, std::vector<Index> shape) {
  return {std::move(shape), {matrix.data(), matrix.data() + matrix.size()}};
}

}  // namespace

ReluNetwork load_network(const std::string& path) {
  const TensorFile file = read_tensors(path);
  const Parts parts(path, file);

  // A deeper network has these names too, and reading two of its layers would be silently wrong.
  static const std::vector<std::string> kNames = {"0.weight", "0.bias",      "2.weight",
                                                  "2.bias",   "skip.weight", kPower};
  for (const auto& [name, tensor] : file.tensors) {
    if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) {
      parts.refuse("\"" + name +
                   "\" is no part of it; expected 0.weight, 0.bias, 2.weight, 2.bias, "
                   "skip.weight and power only");
    }
  }
  const auto activation = file.metadata.find("activation");
  if (activation != file.metadata.end() && activation->second != "relu") {
    parts.refuse("its activation is \"" + activation->second + "\"; expected relu");
  }
  const double power = parts.power();

  const Tensor& hidden = parts.need("0.weight");
  const Tensor& output = parts.need("2.weight");
  for (const auto& [name, tensor] : {std::pair("0.weight", &hidden), {"2.weight", &output}}) {
    if (tensor->shape.size() != 2) {
      parts.refuse("\"" + std::string(name) + "\" has the shape " + text_of(tensor->shape) +
                   "; expected a matrix");
    }
  }
  const Index neurons = hidden.shape[0];
  const Index inputs = hidden.shape[1];
  const Index outputs = output.shape[0];
  if (inputs == 0) parts.refuse("it has no inputs: 0.weight is " + text_of(hidden.shape));
  if (outputs == 0) parts.refuse("it has no outputs: 2.weight is " + text_of(output.shape));

  // p d numbers are allocated whether the file has them or not, and a weight with few or no numbers
  // may claim any size.
  constexpr Index kMostWithoutNumbers = Index{1} << 20;
  constexpr Index kMostPerNumber = 1024;
  Index linear = 0;
  const bool counted = !__builtin_mul_overflow(outputs, inputs, &linear);
  const auto numbers = static_cast<Index>(hidden.values.size() + output.values.size());
  const bool backed = linear <= kMostWithoutNumbers + kMostPerNumber * numbers ||
                      (parts.has("skip.weight") &&
                       static_cast<Index>(parts.need("skip.weight").values.size()) == linear);
  if (!counted || !backed) {
    parts.refuse("its sizes are too large for the numbers it has: " + std::to_string(outputs) +
                 " outputs of " + std::to_string(inputs) + " inputs");
  }
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
  const HostMatrix& linear = network.linear;
  if (std::any_of(linear.data(), linear.data() + linear.size(),
                  [](double value) { return value != 0.0; })) {
    file.tensors["skip.weight"] = tensor_of(linear, {p, d});
  }
  if (network.power != 1) {
    file.metadata[kPower] = text_of(network.power);
    // PyTorch refuses arrays that it does not know, so only where there is no place for metadata.
    if (std::filesystem::path(path).extension() == ".npz") {
      file.tensors[kPower] = {{}, {network.power}};
    }
  }
  write_tensors(path, file);
}

}  // namespace crease
