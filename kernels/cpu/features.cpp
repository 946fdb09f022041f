// ReLU features on the CPU, of points that are given or Gaussian.
#include <omp.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

/// max(z, 0) that lets NaN through: an overflow inside a network must show in its answer.
double relu(double z) {
  return z < 0.0 ? 0.0 : z;
}

// A block of at most 8 MiB: bias and ReLU find it in the cache that the product left it in. Whole
// rows: parts of rows lie in memory at distances that are often powers of two, and evict one
// another. At least 64 rows, or the product of a block is slow.
constexpr Index kBlockNumbers = Index{1} << 20;
constexpr Index kMostRows = 256;
constexpr Index kFewRows = 64;

/// Rows of a block: every thread gets some, where there are enough.
Index rows_of_block(DeviceView out, int threads) {
  const Index share = (out.rows + threads - 1) / threads;
  return std::min(std::clamp(kBlockNumbers / out.cols, kFewRows, kMostRows),
                  std::max(share, kFewRows / 2));
}

/// out = relu(x weights^T + bias) by one thread.
void block_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                    DeviceView out) {
  for (Index i = 0; i < out.rows; ++i) {
    double* row = out.data + i * out.ld;
    for (Index r = 0; r < out.cols; ++r) row[r] = bias.data[r * bias.ld];
  }
  if (x.cols > 0) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(out.rows),
                static_cast<int>(out.cols), static_cast<int>(x.cols), 1.0, x.data,
                static_cast<int>(x.ld), weights.data, static_cast<int>(weights.ld), 1.0, out.data,
                static_cast<int>(out.ld));
  }
  for (Index i = 0; i < out.rows; ++i) {
    double* row = out.data + i * out.ld;
    for (Index r = 0; r < out.cols; ++r) row[r] = relu(row[r]);
  }
}

/// Blocks of rows, each by one thread with a BLAS of one thread; `points(top, count)` is the block
/// of x that starts at row `top`.
template <class Points>
void features_by_blocks(Index d, ConstDeviceView weights, ConstDeviceView bias, DeviceView out,
                        int threads, Index block, const Points& points) {
  for (const Index side : {d, out.cols, weights.ld, out.ld}) blas_size(side);
  openblas_set_num_threads(1);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (Index top = 0; top < out.rows; top += block) {
    const Index count = std::min(block, out.rows - top);
    block_features(points(top, count), weights, bias, out.row_block(top, count));
  }
}

}  // namespace

void CpuOps::relu_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                           DeviceView out) {
  blas_size(x.ld);
  const int threads = threads_for(out.rows * out.cols * (x.cols + 1));
  const Index block = rows_of_block(out, threads);
  features_by_blocks(x.cols, weights, bias, out, threads, block,
                     [&](Index top, Index count) { return x.row_block(top, count); });
}

void CpuOps::gaussian_features(Seed seed, std::uint64_t stream, Index first_row,
                               ConstDeviceView weights, ConstDeviceView bias, DeviceView out) {
  constexpr Index kNormal = 16;  // elementary operations
  const Index d = weights.cols;
  const int threads = threads_for(out.rows * (out.cols * (d + 1) + kNormal * d));
  const Index block = rows_of_block(out, threads);
  std::vector<double> points(static_cast<std::size_t>(threads * block * d));
  features_by_blocks(d, weights, bias, out, threads, block, [&](Index top, Index count) {
    const DeviceView x{points.data() + omp_get_thread_num() * block * d, count, d, d};
    fill_gaussian(seed, stream, first_row + top, 1.0, x);  // by this thread: no teams within teams
    return ConstDeviceView(x);
  });
}

}  // namespace crease
