// Exact Gaussian integrals of a known network.
#pragma once

#include <crease/network.hpp>

namespace crease {

/// E F(x) for x ~ N(0, I); [p, 1]. Throws BadInput as check() does.
HostMatrix gaussian_mean(const ReluNetwork& network);

/// Root of the summed variances of the outputs under N(0, I), without sampling. O(k^2 (d + p)).
///
/// The covariance of relu(g1 - b1) and relu(g2 - b2) at correlation rho is rho Q(b1) Q(b2) +
/// int_0^rho (rho - t) phi2(b1, b2; t) dt: the first part adds up to the best affine approximation,
/// the integral is a Gauss-Legendre sum. Neurons whose normals agree to 1e-5 (up to sign) are
/// integrated together, as the function of one variable that they add up to, so what cancels among
/// parallel neurons costs nothing. Accuracy, with S = sum of |u_j| |w_j|:
///   - in general the variance is right to a few eps S^2: relative error about 1e-15 where neurons
///     do not cancel, and a result below about 1e-8 S is the rounding floor;
///   - bumps and other networks that cancel among parallel neurons, directions at least 0.3 apart:
///     right to a few eps S (measured on bumps: relative error 4e-14 at width 1e-3, 3e-12 at 1e-5,
///     2e-8 at 1e-7); normals that agree only nearly add (angle)^3 S^2 to the variance.
/// A neuron with |bias| > 12 |w| counts as the affine function it is to 1e-32. Throws BadInput as
/// check() does.
double gaussian_standard_deviation(const ReluNetwork& network);

}  // namespace crease
