// One array of a file, number by number, without reading the others.
#pragma once

#include <crease/files.hpp>

#include <memory>

#include "src/files/input_file.hpp"

namespace crease {

/// An array from its front, in row-major order. The file must outlive it. Everything throws
/// FileError that names the file and the array.
class TensorStream {
 public:
  TensorStream() = default;
  virtual ~TensorStream() = default;
  TensorStream(const TensorStream&) = delete;
  TensorStream& operator=(const TensorStream&) = delete;

  const std::vector<Index>& shape() const { return shape_; }
  std::string_view type() const { return type_; }
  Index left() const { return left_; }

  /// Appends the next `count` numbers; count <= left(). What a format checks at an array's end (its
  /// checksum, that nothing follows) is checked with its last number.
  virtual void read(Index count, std::vector<double>& values) = 0;

  /// The first number is the next one again.
  virtual void rewind() = 0;

 protected:
  std::vector<Index> shape_;
  std::string_view type_;  // as in Tensor
  Index left_ = 0;
};

/// All that is left of it, as a tensor.
Tensor rest_of(TensorStream& stream);

/// The array of that name in a .safetensors or .npz file. FileError where it is not there.
std::unique_ptr<TensorStream> open_tensor(const InputFile& file, const std::string& name);

std::unique_ptr<TensorStream> open_safetensors_tensor(const InputFile& file,
                                                      const std::string& name);
std::unique_ptr<TensorStream> open_npz_array(const InputFile& file, const std::string& name);

}  // namespace crease
