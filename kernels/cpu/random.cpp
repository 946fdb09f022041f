// Gaussian numbers from a counter, on the CPU.
#include "kernels/cpu/ops.hpp"
#include "kernels/gaussian_sample.hpp"

namespace crease {
namespace {

constexpr Index kNormal = 16;  // elementary operations

}  // namespace

void CpuOps::fill_gaussian(Seed seed, std::uint64_t stream, Index first_row, double scale,
                           DeviceView out) {
#pragma omp parallel for num_threads(threads_for(kNormal* out.rows* out.cols)) schedule(static)
  for (Index i = 0; i < out.rows; ++i) {
    double* row = out.data + i * out.ld;
    const auto row_number = static_cast<std::uint64_t>(first_row + i);
    for (Index pair = 0; 2 * pair < out.cols; ++pair) {
      const NormalPair normals =
          normal_pair(seed.value, stream, row_number, static_cast<std::uint64_t>(pair));
      row[2 * pair] = scale * normals.first;
      if (2 * pair + 1 < out.cols) row[2 * pair + 1] = scale * normals.second;
    }
  }
}

}  // namespace crease
