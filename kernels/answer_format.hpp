// A number brought into a format, and the noise of an answer; one text for host and device, from
// + - * / alone, so that both agree bit for bit.
#pragma once

#include <crease/oracle.hpp>

#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/gaussian_sample.hpp"
#include "kernels/host_device.hpp"

namespace crease {

inline constexpr double kTooLarge = std::numeric_limits<double>::infinity();

CREASE_HOST_DEVICE inline std::uint64_t bits_of(double x) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// x >= 0 to the nearest whole number, ties to even; x itself from 2^52 on.
CREASE_HOST_DEVICE inline double nearest_whole(double x) {
  return x < 0x1p52 ? (x + 0x1p52) - 0x1p52 : x;
}

/// The nearest number with a significand of `digits` bits and no exponent below `lowest`, ties to
/// even; infinity where that is above `largest`.
CREASE_HOST_DEVICE inline double to_binary(double x, int digits, int lowest, double largest) {
  const double size = x < 0 ? -x : x;
  if (!(size > 0 && size < kTooLarge)) return x;
  int exponent = static_cast<int>(bits_of(size) >> 52) - 1023;
  if (exponent < lowest) exponent = lowest;
  const std::uint64_t step_bits = static_cast<std::uint64_t>(exponent - (digits - 1) + 1023) << 52;
  double step = 0;  // from one number of the format to the next; a power of two
  std::memcpy(&step, &step_bits, sizeof step);
  double rounded = nearest_whole(size / step) * step;
  if (rounded > largest) rounded = kTooLarge;
  return x < 0 ? -rounded : rounded;
}

CREASE_HOST_DEVICE inline double to_float32(double x) {
  return to_binary(x, 24, -126, 0x1.fffffep127);
}
CREASE_HOST_DEVICE inline double to_float16(double x) {
  return to_binary(x, 11, -14, 65504);
}

/// The nearest multiple of 1 / scale, ties to even.
CREASE_HOST_DEVICE inline double to_decimals(double x, double scale) {
  const double size = x < 0 ? -x : x;
  const double scaled = size * scale;
  if (!(scaled < 0x1p52)) return x;
  const double rounded = nearest_whole(scaled) / scale;
  return x < 0 ? -rounded : rounded;
}

/// 10^n, exactly; 0 <= n <= Imperfection::kMostDecimals.
inline double power_of_ten(int n) {
  double power = 1;
  for (int i = 0; i < n; ++i) power *= 10;
  return power;
}

/// scale = 10^decimals; matters to decimals alone.
CREASE_HOST_DEVICE inline double in_format(double x, Imperfection::Kind kind, double scale) {
  switch (kind) {
    case Imperfection::Kind::float32:
      return to_float32(x);
    case Imperfection::Kind::float16:
      return to_float16(x);
    case Imperfection::Kind::decimals:
      return to_decimals(x, scale);
    default:
      return x;
  }
}

/// Finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of x changes every bit.
CREASE_HOST_DEVICE inline std::uint64_t scrambled(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Of the p numbers in row i of n.
CREASE_HOST_DEVICE inline std::uint64_t answer_hash(const double* row, Index p, Index i, Index n) {
  std::uint64_t hash = scrambled(static_cast<std::uint64_t>(i));
  hash = scrambled(hash ^ static_cast<std::uint64_t>(n));
  for (Index o = 0; o < p; ++o) hash = scrambled(hash ^ bits_of(row[o]));
  return hash;
}

/// The stream of fill_gaussian that add_answer_noise takes; no stage of a learner uses it.
inline constexpr std::uint64_t kAnswerNoiseStream = 0xa05e0000;

/// Adds the noise to row i of y.
CREASE_HOST_DEVICE inline void add_noise_to_row(std::uint64_t seed, double deviation, DeviceView y,
                                                Index i) {
  double* row = y.data + i * y.ld;
  const std::uint64_t hash = answer_hash(row, y.cols, i, y.rows);
  for (Index pair = 0; 2 * pair < y.cols; ++pair) {
    const NormalPair normals =
        normal_pair(seed, kAnswerNoiseStream, hash, static_cast<std::uint64_t>(pair));
    row[2 * pair] += deviation * normals.first;
    if (2 * pair + 1 < y.cols) row[2 * pair + 1] += deviation * normals.second;
  }
}

}  // namespace crease
