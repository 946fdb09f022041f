// Integrals of hinges relu(g - b) under a standard normal g: one text for host and device code.
#pragma once

#include <cmath>

#include "kernels/host_device.hpp"

namespace crease {

/// phi(z), the density of Z ~ N(0, 1).
CREASE_HOST_DEVICE inline double gaussian_density(double z) {
  return 0.39894228040143267794 * std::exp(-0.5 * z * z);
}

/// Q(z) = P(Z > z).
CREASE_HOST_DEVICE inline double gaussian_tail(double z) {
  return 0.5 * std::erfc(0.70710678118654752440 * z);
}

/// The ratios r_n = I_n / I_{n-1} of the repeated integrals I_n(z) = E max(Z - z, 0)^n / n!, n = 0
/// to 2 and I_{-1} = phi, for z >= 1. From (n + 1) I_{n+1} = I_{n-1} - z I_n:
/// r_n = 1 / (z + (n + 1) r_{n+1}), run backwards from its fixed point. An error in the first ratio
/// falls like exp(-2 z sqrt(2 n)).
struct TailRatios {
  double r0, r1, r2;
};
CREASE_HOST_DEVICE inline TailRatios tail_ratios(double z) {
  constexpr int kDepth = 250;  // e^-45 at z = 1
  double ratio = (std::sqrt(z * z + 4.0 * (kDepth + 2)) - z) / (2.0 * (kDepth + 2));
  for (int n = kDepth; n > 2; --n) ratio = 1.0 / (z + (n + 1) * ratio);
  TailRatios ratios{};
  ratios.r2 = 1.0 / (z + 3.0 * ratio);
  ratios.r1 = 1.0 / (z + 2.0 * ratios.r2);
  ratios.r0 = 1.0 / (z + ratios.r1);
  return ratios;
}

// ----------------------------------------------------------------------------------------------
// Hermite series:  E relu(g1 - b1) relu(g2 - b2) = sum_m rho^m c_m(b1) c_m(b2)  at correlation rho,
//   c_0 = E relu(g - b),  c_1 = Q(b),  c_m = phi(b) He_{m-2}(b) / sqrt(m!).

/// The series is used for |rho| up to here: 0.75^kHermiteTerms = 6e-15.
inline constexpr double kSeriesReach = 0.75;
inline constexpr int kHermiteTerms = 114;

/// From here on phi underflows: a neuron is affine, or silent.
inline constexpr double kFarthestThreshold = 40.0;

/// Terms for |rho| <= largest <= kSeriesReach. By Cramer's bound on He_n what is left out after M
/// of them is below 0.19 exp(-(b1^2 + b2^2) / 4) |rho|^M / (M (M - 1) (1 - |rho|)) < 1e-18.
CREASE_HOST_DEVICE inline int hermite_terms(double largest) {
  if (largest >= kSeriesReach) return kHermiteTerms;
  return 3 + static_cast<int>(-32.0 / std::log(largest));  // log(0) is -infinity: 3 terms
}

/// A neuron relu(<w, x> + bias) with |w| = length, as the Gram matrix needs it.
struct GaussianNeuron {
  double threshold;  // -bias / length within +-kFarthestThreshold; 0 where there are no weights
  double length;     // |w|
  double mean;       // E relu
  double active;     // |w| P(relu > 0): E x relu = active * w / |w|
  double square;     // E relu^2
};

CREASE_HOST_DEVICE inline GaussianNeuron gaussian_neuron(double length, double bias) {
  if (length == 0.0) {
    const double constant = bias < 0.0 ? 0.0 : bias;  // NaN stays
    return {0.0, 0.0, constant, 0.0, constant * constant};
  }
  double b = -bias / length;
  if (b > kFarthestThreshold) b = kFarthestThreshold;
  if (b < -kFarthestThreshold) b = -kFarthestThreshold;
  const double density = gaussian_density(b);
  const double tail = gaussian_tail(b);
  GaussianNeuron neuron{b, length, 0.0, length * tail, 0.0};
  if (b >= 1.0) {  // where the formulas below cancel
    const TailRatios ratios = tail_ratios(b);
    neuron.mean = length * (ratios.r1 * ratios.r0 * density);
    neuron.square = 2.0 * ratios.r2 * neuron.mean * length;
  } else {
    neuron.mean = length * density + bias * tail;
    neuron.square = (length * length + bias * bias) * tail + length * bias * density;
  }
  return neuron;
}

/// c[m * stride], m < kHermiteTerms, times |w|: E relu relu' = sum_m rho^m c_m c'_m.
CREASE_HOST_DEVICE inline void hermite_coefficients(const GaussianNeuron& neuron, double* c,
                                                    long long stride) {
  const double b = neuron.threshold;
  c[0] = neuron.mean;
  c[stride] = neuron.active;
  // h_n = phi He_n / sqrt(n!), by its recurrence: stable forwards.
  double before = 0.0;
  double h = neuron.length == 0.0 ? 0.0 * neuron.mean : neuron.length * gaussian_density(b);
  double root = 0.0;
  for (int m = 2; m < kHermiteTerms; ++m) {
    c[m * stride] = h / std::sqrt(static_cast<double>(m) * (m - 1));
    const double next_root = std::sqrt(static_cast<double>(m - 1));
    const double next = (b * h - root * before) / next_root;
    before = h;
    h = next;
    root = next_root;
  }
}

// ----------------------------------------------------------------------------------------------
// Quadrature, for any rho.

/// Covariance of relu(g1 - b1) and relu(g2 - b2), less the part their linear components share
/// (rho Q(b1) Q(b2)), for unit normals of correlation rho; and its derivative by rho:
///   value = int_0^rho (rho - t) phi2(b1, b2; t) dt,   slope = int_0^rho phi2(b1, b2; t) dt.
/// Orientation is free: (rho, b1) and (-rho, -b1) have the same value.
struct Coupling {
  double value;
  double slope;
};

/// half_tangent = tan(angle / 2) for the acute angle between the two normals' lines:
/// sqrt((1 - |rho|) / (1 + |rho|)), or better where the normals are at hand. The slope is right to
/// 1e-6 where half_tangent is below 4e-6, the value and otherwise the slope to a few eps.
///
/// With t = cos(psi) and x = tan(psi / 2) the density becomes
///   exp(-(b1 - b2)^2 (1 + x^2)^2 / (8 x^2) - b1 b2 (1 + x^2) / 2) / (pi (1 + x^2)) dx
/// over [half_tangent, 1]. At x = 0 it has an essential singularity: panels that double in width
/// away from it stay as far from it as they are wide. 20 Gauss-Legendre nodes to each. What lies
/// below 4e-6 adds less than (4e-6)^3 to the value.
CREASE_HOST_DEVICE inline Coupling coupling(double rho, double half_tangent, double b1, double b2) {
  constexpr double kAt[10] = {0.0034357004074525376069, 0.018014036361043104366,
                              0.043882785874337047066,  0.080441514088890588303,
                              0.12683404676992460369,   0.18197315963674248727,
                              0.244566499024586451,     0.31314695564229021966,
                              0.38610707442917746096,   0.46173673943325133312};
  constexpr double kWeight[10] = {0.0088070035695760591559, 0.020300714900193470666,
                                  0.031336024167054531785,  0.041638370788352374362,
                                  0.050965059908620217518,  0.059097265980759208656,
                                  0.065844319224588313449,  0.071048054659191025665,
                                  0.074586493236301873394,  0.076376693565362925349};
  constexpr double kSmallest = 4e-6;
  constexpr double kPi = 3.14159265358979323846;
  const double sign = rho < 0.0 ? -1.0 : 1.0;
  const double first = sign * b1;
  const double difference = 0.125 * (first - b2) * (first - b2);
  const double product = 0.5 * first * b2;
  const double start = half_tangent * half_tangent;
  double low = half_tangent > kSmallest ? half_tangent : kSmallest;
  double value = 0.0;
  double slope = 0.0;
  while (low < 1.0) {
    const double high = 2.0 * low < 1.0 ? 2.0 * low : 1.0;
    const double width = high - low;
    for (int node = 0; node < 20; ++node) {
      const int pair = node < 10 ? node : 19 - node;
      const double x = node < 10 ? low + width * kAt[pair] : high - width * kAt[pair];
      const double squared = x * x;
      const double more = 1.0 + squared;
      const double density =
          std::exp(-difference * (more * more) / squared - product * more) / more;
      const double weight = width * kWeight[pair] * density;
      slope += weight;
      value += weight * (squared - start) / more;
    }
    low = high;
  }
  return {2.0 * value / ((1.0 + start) * kPi), sign * slope / kPi};
}

/// The coupling's value at a scalar product of unit normals, rounded or not. What it has lost to
/// rounding near 1 costs no more than that rounding: the slope is below 1/4.
CREASE_HOST_DEVICE inline double coupling_at(double rho, double b1, double b2) {
  double along = std::abs(rho);
  if (along > 1.0) along = 1.0;
  const double half_tangent = std::sqrt((1.0 - along) / (1.0 + along));
  return coupling(rho < 0.0 ? -along : along, half_tangent, b1, b2).value;
}

/// E relu relu' of two neurons whose normals have the scalar product rho, rounded or not.
CREASE_HOST_DEVICE inline double nearly_parallel_moment(const GaussianNeuron& a,
                                                        const GaussianNeuron& b, double rho) {
  const double clamped = rho > 1.0 ? 1.0 : rho < -1.0 ? -1.0 : rho;
  return a.mean * b.mean + clamped * (a.active * b.active) +
         a.length * b.length * coupling_at(rho, a.threshold, b.threshold);
}

}  // namespace crease
