// Smooth activations and their first two derivatives, for host and device alike.
#pragma once

#include <crease/smooth_network.hpp>

#include <cmath>

#include "kernels/host_device.hpp"

namespace crease {

inline constexpr double kRootHalf = 0.70710678118654752440;       // 1 / sqrt(2)
inline constexpr double kRootTwoPiInverse = 0.39894228040143268;  // 1 / sqrt(2 pi)
inline constexpr double kTwoOverRootPi = 1.12837916709551257390;  // 2 / sqrt(pi)

/// e^-|z| / (1 + e^-|z|)^2: the slope of the sigmoid, without cancellation far out.
CREASE_HOST_DEVICE inline double sigmoid_slope(double z) {
  const double e = std::exp(-std::fabs(z));
  return e / ((1 + e) * (1 + e));
}

CREASE_HOST_DEVICE inline double sigmoid_of(double z) {
  const double e = std::exp(-std::fabs(z));
  return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/// The standard normal's density and its mass below z.
CREASE_HOST_DEVICE inline double normal_density(double z) {
  return kRootTwoPiInverse * std::exp(-0.5 * z * z);
}
CREASE_HOST_DEVICE inline double normal_mass(double z) {
  return 0.5 * std::erfc(-kRootHalf * z);
}

/// g(z), g'(z) or g''(z) for derivative = 0, 1, 2. NaN stays NaN.
CREASE_HOST_DEVICE inline double activation_at(Activation activation, int derivative, double z) {
  switch (activation) {
    case Activation::tanh: {
      if (derivative == 0) return std::tanh(z);
      const double slope = 4 * sigmoid_slope(2 * z);
      return derivative == 1 ? slope : -2 * std::tanh(z) * slope;
    }
    case Activation::sigmoid: {
      if (derivative == 0) return sigmoid_of(z);
      const double slope = sigmoid_slope(z);
      return derivative == 1 ? slope : -std::tanh(0.5 * z) * slope;
    }
    case Activation::softplus:
      if (derivative == 0) return (z > 0 ? z : 0.0) + std::log1p(std::exp(-std::fabs(z)));
      return derivative == 1 ? sigmoid_of(z) : sigmoid_slope(z);
    case Activation::gelu:
      if (derivative == 0) return z * normal_mass(z);
      if (derivative == 1) return normal_mass(z) + z * normal_density(z);
      return normal_density(z) * (2 - z * z);
    case Activation::sin:
      if (derivative == 1) return std::cos(z);
      return derivative == 0 ? std::sin(z) : -std::sin(z);
    case Activation::erf: {
      if (derivative == 0) return std::erf(z);
      const double slope = kTwoOverRootPi * std::exp(-z * z);
      return derivative == 1 ? slope : -2 * z * slope;
    }
  }
  return z;
}

}  // namespace crease
