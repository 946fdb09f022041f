// Weighted Gram matrices on the CPU.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr Index kChunkNumbers = Index{1} << 21;  // 16 MiB
constexpr Index kLeastRows = 128;                // of a chunk: fewer make the product slow

}  // namespace

void CpuOps::weighted_gram(ConstDeviceView z, ConstDeviceView weights, double beta, DeviceView g) {
  const Index q = z.cols;
  const Index chunk = std::min(z.rows, std::max(kChunkNumbers / q, kLeastRows));
  std::vector<double> scaled(static_cast<std::size_t>(chunk * q));
  if (z.rows == 0) gram(z, beta, g);
  for (Index top = 0; top < z.rows; top += chunk) {
    const DeviceView rows{scaled.data(), std::min(chunk, z.rows - top), q, q};
#pragma omp parallel for num_threads(threads_for(rows.rows* q)) schedule(static)
    for (Index i = 0; i < rows.rows; ++i) {
      const double root = std::sqrt(weights.data[(top + i) * weights.ld]);
      const double* from = z.data + (top + i) * z.ld;
      double* row = rows.data + i * q;
      for (Index j = 0; j < q; ++j) row[j] = root * from[j];
    }
    gram(rows, top == 0 ? beta : 1.0, g);
  }
}

}  // namespace crease
