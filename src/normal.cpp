// The standard normal distribution: density, tail, inverse tail, moments of the tail.
#include "src/normal.hpp"

#include <crease/types.hpp>

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/gaussian_integral.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double normal_density(double z) {
  return gaussian_density(z);
}

double normal_tail(double z) {
  return gaussian_tail(z);
}

double inverse_normal_tail(double q) {
  require(q >= 0.0 && q <= 1.0, "inverse_normal_tail: q must be in [0, 1]");
  if (q == 0.0) return kInfinity;
  if (q == 1.0) return -kInfinity;
  if (q > 0.5) return -inverse_normal_tail(1.0 - q);  // exact difference
  // Chernoff: Q(z) <= exp(-z^2 / 2) / 2, so this start is not left of the root; log Q lies below
  // its tangents, so from there the steps only go left.
  double z = std::sqrt(-2.0 * std::log(2.0 * q));
  for (int step = 0; step < 100; ++step) {
    double tail_over_density = 0.0;
    double log_tail = 0.0;
    if (z >= 1.0) {
      tail_over_density = tail_ratios(z).r0;
      log_tail = std::log(tail_over_density) - 0.5 * z * z - 0.5 * std::log(2.0 * std::numbers::pi);
    } else {
      tail_over_density = normal_tail(z) / normal_density(z);
      log_tail = std::log(normal_tail(z));
    }
    const double next = z + (log_tail - std::log(q)) * tail_over_density;
    if (next >= z) break;
    z = next;
  }
  return z;
}

TailMoments tail_moments(double z) {
  if (z == kInfinity) return {0.0, 0.0};
  if (z == -kInfinity) return {kInfinity, kInfinity};
  const double density = normal_density(z);
  if (z >= 1.0) {
    const auto [r0, r1, r2] = tail_ratios(z);
    const double first = r1 * r0 * density;
    return {first, 2.0 * r2 * first};
  }
  const double tail = normal_tail(z);
  return {density - z * tail, (1.0 + z * z) * tail - z * density};
}

}  // namespace crease
