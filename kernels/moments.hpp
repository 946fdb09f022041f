// Single numbers of the moment primitives, for host and device alike.
#pragma once

#include <crease/types.hpp>

#include <cmath>

#include "kernels/host_device.hpp"

namespace crease {

/// He_order(z): He_0 = 1, He_1 = z, He_{l+1} = z He_l - l He_{l-1}.
CREASE_HOST_DEVICE inline double hermite_of(Index order, double z) {
  double before = 1;
  double at = z;
  if (order == 0) return before;
  for (Index l = 1; l < order; ++l) {
    const double next = z * at - static_cast<double>(l) * before;
    before = at;
    at = next;
  }
  return at;
}

/// z^power for z > 0; 1, 2 and 1/2 are rounded once.
CREASE_HOST_DEVICE inline double power_of(double power, double z) {
  if (power == 1) return z;
  if (power == 2) return z * z;
  if (power == 0.5) return std::sqrt(z);
  if (power == 0) return 1;
  return std::pow(z, power);
}

/// max(z, 0)^power; NaN stays NaN.
CREASE_HOST_DEVICE inline double rectified_power_of(double power, double z) {
  if (z > 0) return power_of(power, z);
  return z <= 0 ? 0.0 : z;
}

/// Its derivative, that of z < least taken at least: power max(z, least)^(power - 1) for z > 0.
CREASE_HOST_DEVICE inline double rectified_slope_of(double power, double least, double z) {
  if (z > 0) return power * power_of(power - 1, z < least ? least : z);
  return z <= 0 ? 0.0 : z;
}

}  // namespace crease
