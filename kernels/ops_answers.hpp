// What becomes of answers: formats, noise, softmax and its log-odds.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>
#include <crease/oracle.hpp>

namespace crease {

// ----------------------------------------------------------------------------------------------
// answers

/// y <- each number of y in the format: float32, float16 or decimals (<crease/oracle.hpp>);
/// decimals are round(y 10^n) / 10^n with both operations rounded once, and y itself from 2^52
/// 10^-n on. NaN stays NaN; infinity is what a float32 or float16 has for numbers too large.
///
/// y [n, p]    format.kind  float64 changes nothing; noise is refused (add_answer_noise)
/// Bits.
void round_answers(Device& device, const Imperfection& format, DeviceView y);

/// y[i, o] <- y[i, o] + deviation * z, z = normals of fill_gaussian at row h, column o of a stream
/// of their own; h is a hash of i, n and the p numbers in row i of y before.
///
/// y [n, p]    deviation  finite, >= 0
/// Bits.
void add_answer_noise(Device& device, Seed seed, double deviation, DeviceView y);

// ----------------------------------------------------------------------------------------------
// odds

/// Rows of logits become probabilities, or their logarithms:
///   y[i, o] <- exp(y[i, o] - m) / s,  or  (y[i, o] - m) - log(s),
/// m the largest of the row, s = sum_o exp(y[i, o] - m) in ascending o. A row that holds NaN or
/// infinity becomes NaN throughout.
///
/// y [n, p]
/// exp and log are each library's: twins agree within 8 (p + 2) eps of the largest magnitude of a
/// row's results.
void softmax(Device& device, bool logarithms, DeviceView y);

/// How numbers that stand for probabilities were written (LogOddsOptions in <crease/oracle.hpp>).
struct OddsFormat {
  bool logarithms = false;  // the numbers are log p_o, otherwise p_o
  double half_unit = 0;     // q, half a unit of the last decimal; 0 without decimals
  double rounding = 0;      // u, relative, of a number in this format
  double smallest = 0;      // p_o <= this says nothing; of probabilities alone
};

/// Rows of probabilities become centred log-odds z, beside their standard deviations:
///   z_o = log p_o - mean_o log p_o,   sigma_o = sqrt(e_o^2 + mean_o(e_o^2) / p),
///   e_o = sqrt(q^2 / p_o^2 + 4 u^2) + 2^-53 |log p_o|     of probabilities,
///   e_o = sqrt(q^2 + u^2) + u |log p_o|                   of their logarithms;
/// the second term of sigma is the error of the mean, which carries that of the rarest output. A
/// row with p_o <= smallest, or log p_o = -infinity, says nothing: z = 0, sigma = infinity
/// throughout. A row that is no row of probabilities becomes NaN, with what is wrong in place of
/// the first two sigmas, and infinity in the others: (0, v) for a number v outside [0, 1] (a
/// logarithm above 0), (1, s) for a sum s of the p_o that is off 1 by more than kOddsSlack + p q;
/// numbers may be beyond their range by that slack too.
///
/// y [n, 2 p], p >= 2; on entry the numbers stand in the first p columns, and the others are not
/// read; on return (z, sigma).
/// exp and log are each library's: twins agree in z within 8 (p + 2) eps max_o |log p_o|, in sigma
/// within 16 (p + 2) eps sigma.
void log_odds(Device& device, const OddsFormat& format, DeviceView y);

/// How far the sum of probabilities may be off 1.
inline constexpr double kOddsSlack = 1e-3;

}  // namespace crease
