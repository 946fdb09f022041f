// OpenBLAS as the CPU twins call it.
#pragma once

#include <cblas.h>
#include <crease/types.hpp>

#include <limits>
#include <string>

/// OpenBLAS has one thread count for the whole process: each call sets it for its own device.
extern "C" void openblas_set_num_threads(int threads);

namespace crease {

/// A size as this BLAS takes it. Throws DeviceError where it is too large.
inline int blas_size(Index n) {
  if (n > std::numeric_limits<int>::max()) {
    throw DeviceError("cpu: a matrix with a side of " + std::to_string(n) +
                      " is too large for this BLAS");
  }
  return static_cast<int>(n);
}

}  // namespace crease
