// Networks along lines, on the CPU.
#include <vector>

#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

/// max(z, 0) that lets NaN through: an overflow inside a network must show in its answer.
double relu(double z) {
  return z < 0.0 ? 0.0 : z;
}

}  // namespace

void CpuOps::relu_line_sum(ConstDeviceView offsets, ConstDeviceView slopes, ConstDeviceView output,
                           ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView t,
                           DeviceView out) {
  const Index k = offsets.rows;
  const Index p = out.cols;
#pragma omp parallel num_threads(threads_for(out.rows* k*(p + 1)))
  {
    std::vector<double> active(static_cast<std::size_t>(k));
#pragma omp for schedule(static)
    for (Index i = 0; i < out.rows; ++i) {
      const double step = t.data[i * t.ld];
      for (Index r = 0; r < k; ++r) {
        const double z = offsets.data[r * offsets.ld] + step * slopes.data[r * slopes.ld];
        active[static_cast<std::size_t>(r)] = relu(z);
      }
      for (Index o = 0; o < p; ++o) {
        const double* u = output.data + o * output.ld;
        double sum = constant.data[o] + step * tilt.data[o];
        for (Index r = 0; r < k; ++r) sum += u[r] * active[static_cast<std::size_t>(r)];
        out.data[i * out.ld + o] = sum;
      }
    }
  }
}

}  // namespace crease
