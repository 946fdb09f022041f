// Smooth activations and second differences on the CPU.
#include "kernels/activations.hpp"
#include "kernels/cpu/ops.hpp"
#include "kernels/second_difference.hpp"

namespace crease {
namespace {

constexpr Index kPerActivation = 32;  // elementary operations
constexpr Index kPerDifference = 16;

}  // namespace

void CpuOps::activate(Activation activation, int derivative, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kPerActivation* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    for (Index j = 0; j < y.cols; ++j) row[j] = activation_at(activation, derivative, row[j]);
  }
}

void CpuOps::second_differences(ConstDeviceView values, double step, DeviceView out) {
  const Index dimensions = dimensions_of(out.cols);
#pragma omp parallel for num_threads(threads_for(kPerDifference* out.rows* out.cols)) \
    schedule(static)
  for (Index i = 0; i < out.rows; ++i) {
    for (Index c = 0; c < out.cols; ++c) {
      out.data[i * out.ld + c] =
          second_difference(values.data + i * values.ld, dimensions, c, step);
    }
  }
}

}  // namespace crease
