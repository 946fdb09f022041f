// What holds of every file of arrays that is read at all.
#pragma once

#include <crease/files.hpp>

#include "tests/fuzz/fuzzed_file.hpp"

namespace crease::fuzz {

/// As many numbers as the shape says.
inline void check_tensors(const TensorFile& file) {
  for (const auto& [name, tensor] : file.tensors) {
    Index count = 1;
    for (const Index size : tensor.shape) {
      promise(size >= 0, "a size is not negative");
      promise(!__builtin_mul_overflow(count, size, &count), "the sizes can be multiplied");
    }
    promise(count == static_cast<Index>(tensor.values.size()), "the shape holds all numbers");
  }
}

}  // namespace crease::fuzz
