// A pair of standard normals from a counter: Philox4x32-10, then Box-Muller from + - * / sqrt
// alone, so that host and device agree bit for bit (a library's log and sin do not).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include <Random123/philox.h>

#include "kernels/host_device.hpp"

namespace crease {

struct NormalPair {
  double first;
  double second;
};

/// log(x) for x in [2^-53, 1], error below 4 ulp (2 is the worst met): x = m 2^e with m in
/// [sqrt(1/2), sqrt(2)), and log m = 2 atanh(s), s = (m - 1) / (m + 1), by its series.
CREASE_HOST_DEVICE inline double portable_log(double x) {
  // x = mantissa 2^exponent with the mantissa in [1/2, 1), exactly; x is normal.
  std::uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  int exponent = static_cast<int>(bits >> 52) - 1022;
  bits = (bits & 0x000fffffffffffffULL) | 0x3fe0000000000000ULL;
  double mantissa = 0.0;
  std::memcpy(&mantissa, &bits, sizeof mantissa);
  if (mantissa < 0.70710678118654752440) {
    mantissa *= 2.0;
    exponent -= 1;
  }
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  const double z = s * s;
  double series = 1.0 / 23.0;
  series = series * z + 1.0 / 21.0;
  series = series * z + 1.0 / 19.0;
  series = series * z + 1.0 / 17.0;
  series = series * z + 1.0 / 15.0;
  series = series * z + 1.0 / 13.0;
  series = series * z + 1.0 / 11.0;
  series = series * z + 1.0 / 9.0;
  series = series * z + 1.0 / 7.0;
  series = series * z + 1.0 / 5.0;
  series = series * z + 1.0 / 3.0;
  const double log_mantissa = 2.0 * s + 2.0 * s * (series * z);
  return exponent * 0.69314718055994530942 + log_mantissa;
}

/// cos and sin of 2 pi turn for turn in [0, 1), each with an error below 4 ulp (2.3 is the worst
/// met): reduced to an eighth of a turn, then Taylor series.
CREASE_HOST_DEVICE inline void portable_cos_sin(double turn, double& cosine, double& sine) {
  const double eighths = turn * 8.0;
  const int octant = static_cast<int>(eighths);
  const bool mirrored = (octant & 1) != 0;
  const double part = eighths - octant;  // exact
  const double angle = (mirrored ? 1.0 - part : part) * 0.78539816339744830962;
  const double z = angle * angle;
  double c = -1.0 / 6402373705728000.0;
  c = c * z + 1.0 / 20922789888000.0;
  c = c * z - 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = c * z - 1.0 / 2.0;
  c = c * z + 1.0;
  double s = -1.0 / 121645100408832000.0;
  s = s * z + 1.0 / 355687428096000.0;
  s = s * z - 1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z - 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  s = s * z + 1.0;
  s *= angle;
  // An odd octant is seen from its far end, where the roles of cos and sin are swapped in the
  // middle of a quarter.
  const int quarter = octant >> 1;
  const double quarter_cos = mirrored ? s : c;
  const double quarter_sin = mirrored ? c : s;
  cosine = quarter == 0   ? quarter_cos
           : quarter == 1 ? -quarter_sin
           : quarter == 2 ? -quarter_cos
                          : quarter_sin;
  sine = quarter == 0   ? quarter_sin
         : quarter == 1 ? quarter_cos
         : quarter == 2 ? -quarter_sin
                        : -quarter_cos;
}

/// The normals of columns 2 * pair and 2 * pair + 1 of a row: counter = (row, pair), key = seed;
/// stream below 2^32. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
/// 2011; Box and Muller 1958.
CREASE_HOST_DEVICE inline NormalPair normal_pair(std::uint64_t seed, std::uint64_t stream,
                                                 std::uint64_t row, std::uint64_t pair) {
  r123::Philox4x32 philox;
  r123::Philox4x32::ctr_type counter = {
      {static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32),
       static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(stream)}};
  r123::Philox4x32::key_type key = {
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
  const r123::Philox4x32::ctr_type bits = philox(counter, key);
  // (0, 1]: never log(0); 53 bits each.
  const std::uint64_t high = (static_cast<std::uint64_t>(bits[0]) << 21) | (bits[1] >> 11);
  const std::uint64_t low = (static_cast<std::uint64_t>(bits[2]) << 21) | (bits[3] >> 11);
  const double u = (static_cast<double>(high) + 1.0) * 0x1p-53;
  const double turn = static_cast<double>(low) * 0x1p-53;
  const double radius = std::sqrt(-2.0 * portable_log(u));
  double cosine = 0.0;
  double sine = 0.0;
  portable_cos_sin(turn, cosine, sine);
  return {radius * cosine, radius * sine};
}

}  // namespace crease
