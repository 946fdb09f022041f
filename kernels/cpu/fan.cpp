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

}  // namespace

void CpuOps::relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t, ConstDeviceView output,
                          ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView steps,
                          DeviceView out) {
  const Index k = offsets.cols;
  const Index q = steps.cols;
  const Index p = out.cols;
#pragma omp parallel num_threads(threads_for(steps.rows* k* q*(p + 1)))
  {
    std::vector<double> active(static_cast<std::size_t>(q));
    std::vector<double> sums(static_cast<std::size_t>(p * q));
#pragma omp for schedule(static)
    for (Index i = 0; i < steps.rows; ++i) {
      const double* step = steps.data + i * steps.ld;
      for (Index o = 0; o < p; ++o) {
        for (Index j = 0; j < q; ++j) {
          sums[static_cast<std::size_t>(o * q + j)] =
              constant.data[i * constant.ld + o] + step[j] * tilt.data[j * tilt.ld + o];
        }
      }
      // Directions are innermost, so that the sum over neurons keeps its order when it is
      // vectorised.
      for (Index r = 0; r < k; ++r) {
        const double offset = offsets.data[i * offsets.ld + r];
        const double* slopes = slopes_t.data + r * slopes_t.ld;
        for (Index j = 0; j < q; ++j) {
          const double z = offset + step[j] * slopes[j];
          active[static_cast<std::size_t>(j)] = relu(z);
        }
        for (Index o = 0; o < p; ++o) {
          const double u = output.data[o * output.ld + r];
          double* sum = sums.data() + o * q;
          for (Index j = 0; j < q; ++j) sum[j] += u * active[static_cast<std::size_t>(j)];
        }
      }
      for (Index j = 0; j < q; ++j) {
        for (Index o = 0; o < p; ++o) {
          out.data[(i * q + j) * out.ld + o] = sums[static_cast<std::size_t>(o * q + j)];
        }
      }
    }
  }
}

}  // namespace crease
