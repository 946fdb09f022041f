// Softmax, and centred log-odds, of one row; one text for host and device.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/host_device.hpp"
#include "kernels/ops.hpp"

namespace crease {

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kNoInformation = std::numeric_limits<double>::infinity();

CREASE_HOST_DEVICE inline void softmax_of_row(bool logarithms, Index p, double* y) {
  double largest = y[0];
  bool finite = true;
  for (Index o = 0; o < p; ++o) {
    finite = finite && y[o] - y[o] == 0;
    if (y[o] > largest) largest = y[o];
  }
  double sum = 0;
  for (Index o = 0; o < p; ++o) sum += std::exp(y[o] - largest);
  const double log_sum = std::log(sum);
  for (Index o = 0; o < p; ++o) {
    const double below = y[o] - largest;
    y[o] = !finite ? kNoNumber : logarithms ? below - log_sum : std::exp(below) / sum;
  }
}

/// What stands in place of the first sigma of a row that is none of probabilities.
inline constexpr double kNumberIsWrong = 0;
inline constexpr double kSumIsWrong = 1;

/// y [2 p], as in log_odds.
CREASE_HOST_DEVICE inline void log_odds_of_row(const OddsFormat& format, Index p, double* y) {
  constexpr double kU = 0x1p-53;
  double* const sigma = y + p;
  const double q = format.half_unit;
  const double slack = kOddsSlack + static_cast<double>(p) * q;
  double wrong = 0;
  bool is_wrong = false;
  bool silent = false;
  double sum = 0;
  for (Index o = 0; o < p; ++o) {
    const double v = y[o];
    const bool in_range = format.logarithms ? v <= slack : v >= 0 && v <= 1 + slack;
    if (!in_range && !is_wrong) {
      is_wrong = true;
      wrong = v;
    }
    silent = silent || (format.logarithms ? v == -kNoInformation : v <= format.smallest);
    sum += format.logarithms ? std::exp(v) : v;
  }
  const bool sum_is_wrong = !is_wrong && !(std::abs(sum - 1) <= slack);
  if (is_wrong || sum_is_wrong || silent) {
    for (Index o = 0; o < p; ++o) {
      y[o] = is_wrong || sum_is_wrong ? kNoNumber : 0.0;
      sigma[o] = kNoInformation;
    }
    if (is_wrong || sum_is_wrong) {
      sigma[0] = is_wrong ? kNumberIsWrong : kSumIsWrong;
      sigma[1] = is_wrong ? wrong : sum;
    }
    return;
  }
  double mean = 0;
  double mean_square = 0;
  for (Index o = 0; o < p; ++o) {
    const double relative = format.logarithms ? q : q / y[o];
    const double u = format.rounding;
    if (!format.logarithms) y[o] = std::log(y[o]);
    sigma[o] = format.logarithms ? std::sqrt(q * q + u * u) + u * std::abs(y[o])
                                 : std::sqrt(relative * relative + 4 * u * u) + kU * std::abs(y[o]);
    mean += y[o] / static_cast<double>(p);
    mean_square += sigma[o] * sigma[o] / static_cast<double>(p);
  }
  for (Index o = 0; o < p; ++o) {
    y[o] -= mean;
    sigma[o] = std::sqrt(sigma[o] * sigma[o] + mean_square / static_cast<double>(p));
  }
}

}  // namespace crease
