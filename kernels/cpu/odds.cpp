// Softmax, and log-odds of probabilities, on the CPU.
#include "kernels/odds.hpp"

#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr Index kPerElement = 40;  // elementary operations

}  // namespace

void CpuOps::softmax(bool logarithms, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kPerElement* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) softmax_of_row(logarithms, y.cols, y.data + i * y.ld);
}

void CpuOps::log_odds(const OddsFormat& format, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kPerElement* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) log_odds_of_row(format, y.cols / 2, y.data + i * y.ld);
}

}  // namespace crease
