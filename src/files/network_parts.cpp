// Parts of networks in files.
#include "src/files/network_parts.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace crease {

std::string text_of(const std::vector<Index>& shape) {
  std::string text = "[";
  for (const Index size : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  return text.append("]");
}

const Tensor& NetworkParts::need(const std::string& name) const {
  if (!has(name)) refuse("it has no \"" + name + "\"; expected " + form_);
  return file_.tensors.at(name);
}

const Tensor& NetworkParts::need_matrix(const std::string& name) const {
  const Tensor& tensor = need(name);
  if (tensor.shape.size() != 2) {
    refuse("\"" + name + "\" has the shape " + text_of(tensor.shape) + "; expected a matrix");
  }
  return tensor;
}

void NetworkParts::allow_only(const std::vector<std::string>& names) const {
  for (const auto& [name, tensor] : file_.tensors) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string all;
    for (std::size_t i = 0; i < names.size(); ++i) {
      all += (i == 0 ? "" : i + 1 < names.size() ? ", " : " and ") + names[i];
    }
    refuse("\"" + name + "\" is no part of it; expected " + all + " only");
  }
}

void NetworkParts::fill(const std::string& name, const std::vector<Index>& shape,
                        HostMatrix& part) const {
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

void NetworkParts::require_backed(Index outputs, Index inputs, Index numbers) const {
  constexpr Index kMostWithoutNumbers = Index{1} << 20;
  constexpr Index kMostPerNumber = 1024;
  Index linear = 0;
  const bool counted = !__builtin_mul_overflow(outputs, inputs, &linear);
  const bool backed =
      linear <= kMostWithoutNumbers + kMostPerNumber * numbers ||
      (has("skip.weight") && static_cast<Index>(need("skip.weight").values.size()) == linear);
  if (counted && backed) return;
  refuse("its sizes are too large for the numbers it has: " + std::to_string(outputs) +
         " outputs of " + std::to_string(inputs) + " inputs");
}

void NetworkParts::refuse(const std::string& what) const {
  throw FileError(path_ + " is not a network crease knows: " + what);
}

Tensor tensor_of(const HostMatrix& matrix, std::vector<Index> shape) {
  return {std::move(shape), {matrix.data(), matrix.data() + matrix.size()}};
}

void add_skip(const HostMatrix& linear, TensorFile& file) {
  if (std::any_of(linear.data(), linear.data() + linear.size(),
                  [](double value) { return value != 0.0; })) {
    file.tensors["skip.weight"] = tensor_of(linear, {linear.rows(), linear.cols()});
  }
}

}  // namespace crease
