// Distances between all pairs of rows, on the CPU.
#include <cmath>

#include "kernels/cpu/ops.hpp"

namespace crease {

void CpuOps::pair_distances(ConstDeviceView a, ConstDeviceView b, DeviceView out) {
#pragma omp parallel for num_threads(threads_for(out.rows* out.cols* a.cols)) schedule(static)
  for (Index i = 0; i < out.rows; ++i) {
    const double* from = a.data + i * a.ld;
    for (Index j = 0; j < out.cols; ++j) {
      const double* to = b.data + j * b.ld;
      double sum = 0.0;
      for (Index c = 0; c < a.cols; ++c) sum += (from[c] - to[c]) * (from[c] - to[c]);
      out.data[i * out.ld + j] = std::sqrt(sum);
    }
  }
}

}  // namespace crease
