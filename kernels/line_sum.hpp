// A network along a line between two neighbouring kinks, in double-double: one text for the twins.
#pragma once

#include <limits>

#include "kernels/double_double.hpp"

namespace crease {

inline constexpr double kLargestNumber = std::numeric_limits<double>::max();
inline constexpr double kSmallestNormal = std::numeric_limits<double>::min();
inline constexpr double kNoKink = std::numeric_limits<double>::infinity();
inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

/// What the neurons of a stretch without kinks add up to: value + t * slope.
struct LinePiece {
  DoubleDouble value;
  DoubleDouble slope;
};

CREASE_HOST_DEVICE inline LinePiece operator+(const LinePiece& a, const LinePiece& b) {
  return {a.value + b.value, a.slope + b.slope};
}

/// Whether sums of this neuron may be cut at its kink. Every double t but the rounded kink itself
/// must be on the same side of it as of the exact one: a kink below 2^-1022 is rounded too coarsely
/// for that, and what is not finite has no sides.
CREASE_HOST_DEVICE inline bool is_sortable(double u, double offset, double slope) {
  return std::fabs(u) <= kLargestNumber && std::fabs(offset) <= kLargestNumber &&
         std::fabs(slope) <= kLargestNumber &&
         (offset == 0.0 || slope == 0.0 || std::fabs(offset / slope) >= kSmallestNormal);
}

/// Where relu(offset + t * slope) bends: infinity where that is nowhere, or beyond every double; no
/// NaN and no -0, which sorts as they should.
CREASE_HOST_DEVICE inline double kink_of(double offset, double slope) {
  if (slope == 0.0 || !is_sortable(0.0, offset, slope)) return kNoKink;
  return 0.0 - offset / slope;
}

/// What a neuron of weight u adds left of its kink, and everywhere if it is constant on the line.
/// One that is not sortable makes all pieces NaN.
CREASE_HOST_DEVICE inline LinePiece before_kink(double u, double offset, double slope) {
  if (!is_sortable(u, offset, slope)) {
    return {{kNoNumber, kNoNumber}, {kNoNumber, kNoNumber}};
  }
  if (slope < 0.0) return {exact_product(u, offset), exact_product(u, slope)};
  if (slope == 0.0 && offset > 0.0) return {exact_product(u, offset), {}};
  return {};
}

/// What changes there from left to right.
CREASE_HOST_DEVICE inline LinePiece across_kink(double u, double offset, double slope) {
  if (slope == 0.0) return {};
  const double sign = slope < 0.0 ? -1.0 : 1.0;
  return {exact_product(sign * u, offset), exact_product(sign * u, slope)};
}

/// constant + t * tilt + piece at t, rounded once.
CREASE_HOST_DEVICE inline double value_at(const LinePiece& piece, double constant, double tilt,
                                          double t) {
  const DoubleDouble affine = exact_product(t, tilt) + DoubleDouble{constant, 0.0};
  return ((affine + piece.value) + piece.slope * t).high;
}

}  // namespace crease
