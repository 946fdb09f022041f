// Weighted Gram matrices on the CPU.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr Index kChunkNumbers = Index{1} << 21;  // 16 MiB
constexpr Index kLeastRows = 128;                // of a chunk: fewer make the product slow

}  // namespace

void CpuOps::rough_gram(ConstDeviceView z, double beta, DeviceView g) {
  const Index q = z.cols;
  const Index chunk = std::min(z.rows, std::max(kChunkNumbers / q, kLeastRows));
  std::vector<float> rough(static_cast<std::size_t>(chunk * q));
  std::vector<float> sum(static_cast<std::size_t>(q * q), 0.0F);
  for (Index top = 0; top < z.rows; top += chunk) {
    const Index rows = std::min(chunk, z.rows - top);
#pragma omp parallel for num_threads(threads_for(rows* q)) schedule(static)
    for (Index i = 0; i < rows; ++i) {
      const double* from = z.data + (top + i) * z.ld;
      float* row = rough.data() + i * q;
      for (Index j = 0; j < q; ++j) row[j] = static_cast<float>(from[j]);
    }
    openblas_set_num_threads(threads_for(rows * q * q));
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, blas_size(q), blas_size(rows), 1.0F,
                rough.data(), blas_size(q), 1.0F, sum.data(), blas_size(q));
  }
#pragma omp parallel for num_threads(threads_for(q* q)) schedule(static)
  for (Index i = 0; i < q; ++i) {
    double* row = g.data + i * g.ld;
    const float* from = sum.data() + i * q;
    for (Index j = 0; j <= i; ++j) row[j] = (beta == 0.0 ? 0.0 : beta * row[j]) + from[j];
  }
}

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
