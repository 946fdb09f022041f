// Networks on fans, on the CPU.
#include <algorithm>
#include <vector>

#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

/// max(z, 0) that lets NaN through: an overflow inside a network must show in its answer.
double relu(double z) {
  return z < 0.0 ? 0.0 : z;
}

// The sums of a centre over this many directions stay in the first cache. Centres are innermost, so
// that the slopes along these directions stay in the second.
constexpr Index kDirections = 256;

}  // namespace

void CpuOps::relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t, ConstDeviceView output,
                          ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView steps,
                          DeviceView out) {
  const Index k = offsets.cols;
  const Index q = steps.cols;
  const Index p = out.cols;
  const Index parts = (q + kDirections - 1) / kDirections;
#pragma omp parallel num_threads(threads_for(steps.rows* k* q*(p + 1)))
  {
    std::vector<double> active(static_cast<std::size_t>(kDirections));
    std::vector<double> sums(static_cast<std::size_t>(p * kDirections));
#pragma omp for schedule(static)
    for (Index part = 0; part < parts * steps.rows; ++part) {
      const Index i = part % steps.rows;
      const Index left = part / steps.rows * kDirections;
      const Index count = std::min(kDirections, q - left);
      const double* step = steps.data + i * steps.ld + left;
      for (Index o = 0; o < p; ++o) {
        for (Index j = 0; j < count; ++j) {
          sums[static_cast<std::size_t>(o * count + j)] =
              constant.data[i * constant.ld + o] + step[j] * tilt.data[(left + j) * tilt.ld + o];
        }
      }
      for (Index r = 0; r < k; ++r) {
        const double offset = offsets.data[i * offsets.ld + r];
        const double* slopes = slopes_t.data + r * slopes_t.ld + left;
        // Directions are innermost, so that the sum over neurons keeps its order when it is
        // vectorised.
        if (p == 1) {
          const double u = output.data[r];
          double* __restrict sum = sums.data();
          for (Index j = 0; j < count; ++j) sum[j] += u * relu(offset + step[j] * slopes[j]);
          continue;
        }
        double* __restrict on = active.data();
        for (Index j = 0; j < count; ++j) on[j] = relu(offset + step[j] * slopes[j]);
        for (Index o = 0; o < p; ++o) {
          const double u = output.data[o * output.ld + r];
          double* __restrict sum = sums.data() + o * count;
          for (Index j = 0; j < count; ++j) sum[j] += u * on[j];
        }
      }
      for (Index j = 0; j < count; ++j) {
        for (Index o = 0; o < p; ++o) {
          out.data[(i * q + left + j) * out.ld + o] = sums[static_cast<std::size_t>(o * count + j)];
        }
      }
    }
  }
}

}  // namespace crease
