// Points of lines and fans, and what their answers say about gradients, on the CPU.
#include <cmath>
#include <vector>

#include "kernels/cpu/ops.hpp"

namespace crease {

void CpuOps::line_points(const Line& line, ConstDeviceView t, DeviceView out) {
#pragma omp parallel for num_threads(threads_for(out.rows* out.cols)) schedule(static)
  for (Index i = 0; i < out.rows; ++i) {
    const double step = t.data[i * t.ld];
    double* point = out.data + i * out.ld;
    for (Index c = 0; c < out.cols; ++c) {
      point[c] = line.origin.data[c] + step * line.direction.data[c];
    }
  }
}

void CpuOps::fan_points(const Fan& fan, DeviceView out) {
  const Index q = fan.directions.rows;
#pragma omp parallel for num_threads(threads_for(out.rows* out.cols)) schedule(static)
  for (Index row = 0; row < out.rows; ++row) {
    const double* center = fan.centers.data + row / q * fan.centers.ld;
    const double* direction = fan.directions.data + row % q * fan.directions.ld;
    const double step = fan.steps.data[row / q * fan.steps.ld + row % q];
    double* point = out.data + row * out.ld;
    for (Index c = 0; c < out.cols; ++c) point[c] = center[c] + step * direction[c];
  }
}

void CpuOps::divided_differences(ConstDeviceView values, ConstDeviceView centers,
                                 ConstDeviceView steps, DeviceView out) {
  const Index q = steps.cols;
  const Index p = centers.cols;
#pragma omp parallel for num_threads(threads_for(out.rows* out.cols)) schedule(static)
  for (Index row = 0; row < out.rows; ++row) {
    const Index i = row / p;
    const Index o = row % p;
    const double center = centers.data[i * centers.ld + o];
    for (Index j = 0; j < q; ++j) {
      const double value = values.data[(i * q + j) * values.ld + o];
      out.data[row * out.ld + j] = (value - center) / steps.data[i * steps.ld + j];
    }
  }
}

void CpuOps::safest_steps(ConstDeviceView offsets, ConstDeviceView slopes_t,
                          ConstDeviceView variance, ConstDeviceView first,
                          ConstDeviceView center_noise, DeviceView steps, DeviceView noise) {
  constexpr int kSteps = 7;
  const Index k = offsets.cols;
  const Index q = slopes_t.cols;
#pragma omp parallel num_threads(threads_for(steps.rows* k* q* kSteps))
  {
    std::vector<double> crossed(static_cast<std::size_t>(q));
#pragma omp for schedule(static)
    for (Index i = 0; i < steps.rows; ++i) {
      const double own = center_noise.data[i * center_noise.ld];
      double step = first.data[i * first.ld];
      for (int level = 0; level < kSteps; ++level, step *= 0.25) {
        std::fill(crossed.begin(), crossed.end(), 0.0);
        for (Index r = 0; r < k; ++r) {
          const double offset = offsets.data[i * offsets.ld + r];
          const double cost = variance.data[r * variance.ld];
          const double* slopes = slopes_t.data + r * slopes_t.ld;
          for (Index j = 0; j < q; ++j) {
            crossed[static_cast<std::size_t>(j)] +=
                offset * (offset + step * slopes[j]) < 0.0 ? cost : 0.0;
          }
        }
        for (Index j = 0; j < q; ++j) {
          const double error = std::sqrt(own * own + crossed[static_cast<std::size_t>(j)]) / step;
          double& best = noise.data[i * noise.ld + j];
          if (level == 0 || error < best) {
            best = error;
            steps.data[i * steps.ld + j] = step;
          }
        }
      }
    }
  }
}

}  // namespace crease
