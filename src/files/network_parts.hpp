// The tensors of one file, asked for by name and shape, and refused in words.
#pragma once

#include <crease/files.hpp>

#include <string>
#include <vector>

namespace crease {

/// "[2, 3]"
std::string text_of(const std::vector<Index>& shape);

class NetworkParts {
 public:
  /// `form`: the names that are expected, for refusals. All three must outlive it.
  NetworkParts(const std::string& path, const TensorFile& file, const std::string& form)
      : path_(path), file_(file), form_(form) {}

  bool has(const std::string& name) const { return file_.tensors.contains(name); }
  const Tensor& need(const std::string& name) const;
  /// The same, of two dimensions.
  const Tensor& need_matrix(const std::string& name) const;

  /// Throws unless every tensor is one of these: a deeper network has the same first names, and
  /// reading two of its layers would be silently wrong.
  void allow_only(const std::vector<std::string>& names) const;

  /// Copies tensor `name` into `part`; `shape` as the file must have it.
  void fill(const std::string& name, const std::vector<Index>& shape, HostMatrix& part) const;

  /// p d numbers of a linear part are allocated whether the file has them or not, and a weight with
  /// few or no numbers may claim any size: throws where the `numbers` it has do not back them.
  void require_backed(Index outputs, Index inputs, Index numbers) const;

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  const std::string& path_;
  const TensorFile& file_;
  const std::string& form_;
};

/// load_network() and load_smooth_network() of what has been read from `path`.
ReluNetwork relu_network_in(const std::string& path, const TensorFile& file);
SmoothNetwork smooth_network_in(const std::string& path, const TensorFile& file);

Tensor tensor_of(const HostMatrix& matrix, std::vector<Index> shape);

/// Of a linear part that is not zero.
void add_skip(const HostMatrix& linear, TensorFile& file);

}  // namespace crease
