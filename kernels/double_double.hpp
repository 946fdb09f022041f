// Sums of two doubles as one number of about 106 bits: one text for host and device.
//
// Every operation is a fixed sequence of roundings to nearest: no compiler may fuse or reorder it
// (-ffp-contract=off, -fmad=false), and the one fused multiply-add is asked for by name.
#pragma once

#include <cmath>

#include "kernels/host_device.hpp"

namespace crease {

/// high + low with high = the sum rounded to a double.
struct DoubleDouble {
  double high;
  double low;
};

/// a + b exactly (Knuth), unless it overflows.
CREASE_HOST_DEVICE inline DoubleDouble exact_sum(double a, double b) {
  const double sum = a + b;
  const double from_b = sum - a;
  const double from_a = sum - from_b;
  return {sum, (a - from_a) + (b - from_b)};
}

/// a + b exactly where |a| >= |b| or a = 0 (Dekker).
CREASE_HOST_DEVICE inline DoubleDouble exact_sum_ordered(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

/// a * b exactly, unless it overflows or its last bit is below 2^-1074.
CREASE_HOST_DEVICE inline DoubleDouble exact_product(double a, double b) {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}

/// a + b to within 3.1 u^2 |a + b|, u = 2^-53, signs as they may be. Source: Joldes, Muller,
/// Popescu, "Tight and rigorous error bounds for basic building blocks of double-word arithmetic",
/// ACM TOMS 2017, Algorithm 6.
CREASE_HOST_DEVICE inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble high = exact_sum(a.high, b.high);
  const DoubleDouble low = exact_sum(a.low, b.low);
  const DoubleDouble sum = exact_sum_ordered(high.high, high.low + low.high);
  return exact_sum_ordered(sum.high, low.low + sum.low);
}

/// a * b to within 2 u^2 |a b|. Source: the same, Algorithm 9.
CREASE_HOST_DEVICE inline DoubleDouble operator*(DoubleDouble a, double b) {
  const DoubleDouble product = exact_product(a.high, b);
  return exact_sum_ordered(product.high, std::fma(a.low, b, product.low));
}

CREASE_HOST_DEVICE inline DoubleDouble operator-(DoubleDouble a) {
  return {-a.high, -a.low};
}

}  // namespace crease
