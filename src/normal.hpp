// The standard normal distribution, accurate far into its tail.
#pragma once

namespace crease {

/// phi(z), the density of Z ~ N(0, 1).
double normal_density(double z);

/// Q(z) = P(Z > z). Relative error a few eps wherever the result is a normal number.
double normal_tail(double z);

/// The z with Q(z) = q: Newton steps on log Q, which is concave. q = 0 gives infinity, q = 1 minus
/// infinity; relative error of Q(z) a few eps * z^2. Throws BadInput unless 0 <= q <= 1.
double inverse_normal_tail(double q);

struct TailMoments {
  double first = 0;   // E max(Z - z, 0)   = phi(z) - z Q(z)
  double second = 0;  // E max(Z - z, 0)^2 = (1 + z^2) Q(z) - z phi(z)
};

/// Relative error a few eps for every z: those differences cancel in the tail (by z^4 / 2 at z), so
/// from z = 1 on the ratios of successive moments come from their continued fraction instead.
/// z = -infinity gives infinity, z = infinity gives 0.
TailMoments tail_moments(double z);

}  // namespace crease
