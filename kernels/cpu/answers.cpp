// Answers brought into a format, and their noise, on the CPU.
#include "kernels/answer_format.hpp"
#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr Index kRounding = 8;  // elementary operations
constexpr Index kNoise = 24;

}  // namespace

void CpuOps::round_answers(const Imperfection& format, DeviceView y) {
  const double scale = power_of_ten(format.decimals);
  const auto kind = format.kind;
#pragma omp parallel for num_threads(threads_for(kRounding* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) {
    double* row = y.data + i * y.ld;
    for (Index o = 0; o < y.cols; ++o) row[o] = in_format(row[o], kind, scale);
  }
}

void CpuOps::add_answer_noise(Seed seed, double deviation, DeviceView y) {
#pragma omp parallel for num_threads(threads_for(kNoise* y.rows* y.cols)) schedule(static)
  for (Index i = 0; i < y.rows; ++i) add_noise_to_row(seed.value, deviation, y, i);
}

}  // namespace crease
