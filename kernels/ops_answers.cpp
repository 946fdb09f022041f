// The checks of kernels/ops_answers.hpp, once, for every backend.
#include "kernels/ops.hpp"

#include <cmath>

#include "kernels/view_checks.hpp"

namespace crease {

void round_answers(Device& device, const Imperfection& format, DeviceView y) {
  using Kind = Imperfection::Kind;
  require(format.kind != Kind::noise, "round_answers: noise is no rounding");
  require(format.decimals >= 0 && format.decimals <= Imperfection::kMostDecimals,
          "round_answers: decimals must be between 0 and 22");
  if (is_empty(y) || format.kind == Kind::float64) return;
  device.ops().round_answers(format, y);
}

void add_answer_noise(Device& device, Seed seed, double deviation, DeviceView y) {
  require(std::isfinite(deviation) && deviation >= 0,
          "add_answer_noise: deviation must be finite and not negative");
  if (is_empty(y)) return;
  device.ops().add_answer_noise(seed, deviation, y);
}

void softmax(Device& device, bool logarithms, DeviceView y) {
  if (is_empty(y)) return;
  device.ops().softmax(logarithms, y);
}

void log_odds(Device& device, const OddsFormat& format, DeviceView y) {
  require(y.cols % 2 == 0 && y.cols >= 4, "log_odds: y must have 2 p columns, p >= 2");
  const auto good = [](double x) { return std::isfinite(x) && x >= 0; };
  require(good(format.half_unit) && good(format.rounding) && good(format.smallest),
          "log_odds: q, u and the smallest probability must be finite and not negative");
  if (is_empty(y)) return;
  device.ops().log_odds(format, y);
}

}  // namespace crease
