// Kernels of points.cu: lines and fans, and what their answers say about gradients.
#pragma once

#include <crease/matrix.hpp>
#include <crease/oracle.hpp>

#include "kernels/cuda/indexing.cuh"

namespace crease {

__global__ void line_points_kernel(Line line, ConstDeviceView t, DeviceView out) {
  for (Index i = first_row(); i < out.rows; i += row_step()) {
    const double step = t.data[i * t.ld];
    double* point = out.data + i * out.ld;
    for (Index c = first_col(); c < out.cols; c += col_step()) {
      point[c] = line.origin.data[c] + step * line.direction.data[c];
    }
  }
}

__global__ void fan_points_kernel(Fan fan, DeviceView out) {
  const Index q = fan.directions.rows;
  for (Index row = first_row(); row < out.rows; row += row_step()) {
    const double* center = fan.centers.data + row / q * fan.centers.ld;
    const double* direction = fan.directions.data + row % q * fan.directions.ld;
    const double step = fan.steps.data[row / q * fan.steps.ld + row % q];
    double* point = out.data + row * out.ld;
    for (Index c = first_col(); c < out.cols; c += col_step()) {
      point[c] = center[c] + step * direction[c];
    }
  }
}

__global__ void divided_differences_kernel(ConstDeviceView values, ConstDeviceView centers,
                                           ConstDeviceView steps, DeviceView out) {
  const Index q = steps.cols;
  const Index p = centers.cols;
  for (Index row = first_row(); row < out.rows; row += row_step()) {
    const Index i = row / p;
    const Index o = row % p;
    const double center = centers.data[i * centers.ld + o];
    for (Index j = first_col(); j < q; j += col_step()) {
      const double value = values.data[(i * q + j) * values.ld + o];
      out.data[row * out.ld + j] = (value - center) / steps.data[i * steps.ld + j];
    }
  }
}

constexpr int kSafestStepLevels = 7;

/// One thread per centre and direction: all levels in one pass over the hyperplanes.
__global__ void safest_steps_kernel(ConstDeviceView offsets, ConstDeviceView slopes_t,
                                    ConstDeviceView variance, ConstDeviceView first,
                                    ConstDeviceView center_noise, DeviceView steps,
                                    DeviceView noise) {
  for (Index i = first_row(); i < steps.rows; i += row_step()) {
    const double own = center_noise.data[i * center_noise.ld];
    for (Index j = first_col(); j < steps.cols; j += col_step()) {
      double step[kSafestStepLevels];
      double crossed[kSafestStepLevels];
      step[0] = first.data[i * first.ld];
      crossed[0] = 0.0;
      for (int level = 1; level < kSafestStepLevels; ++level) {
        step[level] = step[level - 1] * 0.25;
        crossed[level] = 0.0;
      }
      for (Index r = 0; r < offsets.cols; ++r) {
        const double offset = offsets.data[i * offsets.ld + r];
        const double slope = slopes_t.data[r * slopes_t.ld + j];
        const double cost = variance.data[r * variance.ld];
        for (int level = 0; level < kSafestStepLevels; ++level) {
          crossed[level] += offset * (offset + step[level] * slope) < 0.0 ? cost : 0.0;
        }
      }
      double best_step = step[0];
      double best = sqrt(own * own + crossed[0]) / step[0];
      for (int level = 1; level < kSafestStepLevels; ++level) {
        const double error = sqrt(own * own + crossed[level]) / step[level];
        if (error < best) {
          best = error;
          best_step = step[level];
        }
      }
      steps.data[i * steps.ld + j] = best_step;
      noise.data[i * noise.ld + j] = best;
    }
  }
}

}  // namespace crease
