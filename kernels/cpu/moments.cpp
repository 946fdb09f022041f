// Products of columns, Hermite polynomials, rectified powers and diagonals, on the CPU.
#include "kernels/moments.hpp"

#include <cmath>

#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr Index kPerElement = 8;  // elementary operations of a polynomial or a power

}  // namespace

void CpuOps::row_products(ConstDeviceView a, ConstDeviceView b, DeviceView out) {
#pragma omp parallel for num_threads(threads_for(out.rows* out.cols)) schedule(static)
  for (Index i = 0; i < out.rows; ++i) {
    const double* right = b.data + i * b.ld;
    for (Index s = 0; s < a.cols; ++s) {
      const double left = a.data[i * a.ld + s];
      double* to = out.data + i * out.ld + s * b.cols;
      for (Index j = 0; j < b.cols; ++j) to[j] = left * right[j];
    }
  }
}

void CpuOps::multiply_elements(ConstDeviceView a, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    const double* factors = a.data + i * a.ld;
    double* row = y.data + i * y.ld;
    for (Index j = 0; j < y.cols; ++j) row[j] *= factors[j];
  }
}

void CpuOps::hermite(Index order, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kPerElement* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    for (Index j = 0; j < y.cols; ++j) row[j] = hermite_of(order, row[j]);
  }
}

void CpuOps::rectified_power(double power, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kPerElement* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    for (Index j = 0; j < y.cols; ++j) row[j] = rectified_power_of(power, row[j]);
  }
}

void CpuOps::rectified_slope(double power, double least, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kPerElement* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    if (power == 1) {  // without a branch: signs are random
      for (Index j = 0; j < y.cols; ++j) {
        const double step = row[j] > 0 ? 1.0 : 0.0;
        row[j] = row[j] != row[j] ? row[j] : step;
      }
      continue;
    }
    for (Index j = 0; j < y.cols; ++j) row[j] = rectified_slope_of(power, least, row[j]);
  }
}

void CpuOps::clip_columns(ConstDeviceView bounds, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    for (Index j = 0; j < y.cols; ++j) {
      const double low = bounds.data[j];
      const double high = bounds.data[bounds.ld + j];
      if (row[j] < low) row[j] = low;
      if (row[j] > high) row[j] = high;
    }
  }
}

void CpuOps::drop_beyond(ConstDeviceView bounds, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    for (Index j = 0; j < y.cols; ++j) {
      if (std::fabs(row[j]) > bounds.data[j]) row[j] = 0;
    }
  }
}

void CpuOps::symmetrize(DeviceView g) {
#pragma omp parallel for num_threads(threads_for(g.rows* g.rows)) schedule(static)
  for (Index i = 0; i < g.rows; ++i) {
    for (Index j = i + 1; j < g.rows; ++j) g.data[i * g.ld + j] = g.data[j * g.ld + i];
  }
}

void CpuOps::diagonal(ConstDeviceView g, DeviceView out) {
  for (Index j = 0; j < g.rows; ++j) out.data[j] = g.data[j * g.ld + j];
}

void CpuOps::add_to_diagonal(ConstDeviceView values, DeviceView g) {
  for (Index j = 0; j < g.rows; ++j) g.data[j * g.ld + j] += values.data[j];
}

}  // namespace crease
