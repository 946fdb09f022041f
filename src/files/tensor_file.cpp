// Which format a file has, and matrices by name.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "src/files/element.hpp"
#include "src/files/formats.hpp"
#include "src/files/tensor_stream.hpp"

namespace crease {
namespace {

enum class Format { safetensors, npz };

Format format_by_name(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".npz") return Format::npz;
  if (extension == ".safetensors") return Format::safetensors;
  throw FileError("cannot write " + path + ": expected a name ending in .safetensors or .npz");
}

/// A zip archive begins with a member, or, empty, with its directory's end.
bool looks_like_zip(const InputFile& file) {
  if (file.size() < 4) return false;
  char first[4];
  file.read(0, first, 4);
  const std::string magic(first, 4);
  return magic == "PK\x03\x04" || magic == "PK\x05\x06";
}

Format format_of(const InputFile& file) {
  if (file.size() == 0) {
    throw FileError("cannot read " + file.path() + ": it is empty; expected .safetensors or .npz");
  }
  return looks_like_zip(file) ? Format::npz : Format::safetensors;
}

}  // namespace

TensorFile read_tensors(const std::string& path) {
  const InputFile file(path);
  return format_of(file) == Format::npz ? read_npz(file) : read_safetensors(file);
}

std::unique_ptr<TensorStream> open_tensor(const InputFile& file, const std::string& name) {
  auto stream = format_of(file) == Format::npz ? open_npz_array(file, name)
                                               : open_safetensors_tensor(file, name);
  if (!stream) {
    throw FileError(file.path() + " has no array \"" + name + "\"; expected " + name +
                    (name == "y" ? " [n, p]" : " [n, d]"));
  }
  return stream;
}

Tensor rest_of(TensorStream& stream) {
  Tensor tensor{stream.shape(), {}, std::string(stream.type())};
  tensor.values.reserve(static_cast<std::size_t>(stream.left()));
  stream.read(stream.left(), tensor.values);
  return tensor;
}

void write_tensors(const std::string& path, const TensorFile& file) {
  const Format format = format_by_name(path);
  for (const auto& [name, tensor] : file.tensors) {
    const Index count = count_of(tensor.shape, sizeof(double));
    if (count < 0 || count != static_cast<Index>(tensor.values.size())) {
      throw FileError("cannot write " + path + ": the shape of \"" + name +
                      "\" does not match its numbers");
    }
  }
  AtomicFile to(path);
  format == Format::npz ? write_npz(to, file) : write_safetensors(to, file);
  to.commit();
}

void require_tensors_writable(const std::string& path) {
  format_by_name(path);
  require_writable(path);
}

HostMatrix load_matrix(const std::string& path, const std::string& name) {
  const InputFile file(path);
  const Tensor tensor = rest_of(*open_tensor(file, name));
  if (tensor.shape.size() != 1 && tensor.shape.size() != 2) {
    throw FileError(path + ": \"" + name + "\" has " + std::to_string(tensor.shape.size()) +
                    " dimensions; expected 1 or 2");
  }
  if (!std::all_of(tensor.values.begin(), tensor.values.end(),
                   [](double value) { return std::isfinite(value); })) {
    throw FileError(path + ": \"" + name + "\" holds NaN or infinity");
  }
  HostMatrix matrix(tensor.shape[0], tensor.shape.size() == 2 ? tensor.shape[1] : 1);
  std::copy(tensor.values.begin(), tensor.values.end(), matrix.data());
  return matrix;
}

void save_matrix(const std::string& path, const std::string& name, ConstHostView matrix) {
  Tensor tensor{{matrix.rows, matrix.cols}, {}};
  tensor.values.reserve(static_cast<std::size_t>(matrix.rows * matrix.cols));
  for (Index i = 0; i < matrix.rows; ++i) {
    for (Index j = 0; j < matrix.cols; ++j) tensor.values.push_back(matrix(i, j));
  }
  write_tensors(path, {{{name, std::move(tensor)}}, {}});
}

}  // namespace crease
