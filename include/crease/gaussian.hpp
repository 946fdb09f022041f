// Exact Gaussian integrals of a known network.
//
// All of them throw BadInput as check() does. Powers other than 1 (up to 64: beyond, second moments
// leave the range of double for no use) are integrated by
//   E f_p(<v, x>) f_q(<w, x>) = 2^((p+q)/2) Gamma((p+q)/2 + 1) / (2 pi) |v|^p |w|^q
//                               int_0^L sin^q(a) sin^p(L - a) da,   L = pi - angle(v, w),
// f_p(z) = max(z, 0)^p: polar coordinates in the plane of v and w, where the radius is a Gamma
// function, and a is the angle from the edge of one half-plane. For p = q = 1, 2, ... these are
// the arc-cosine kernels of Cho and Saul 2009. The integral is a double exponential (tanh-sinh)
// sum, which does not mind the singular ends of powers that are no whole numbers.
#pragma once

#include <crease/device.hpp>
#include <crease/network.hpp>

#include <vector>

namespace crease {

/// E F(x) for x ~ N(0, I); [p, 1]. Throws BadInput as check() does, and on a power above 64.
HostMatrix gaussian_mean(const ReluNetwork& network);

/// Root of the summed variances of the outputs under N(0, I), without sampling. O(k^2 (d + p)),
/// most of it one matrix product on the device; without one, on a CPU device of its own.
///
/// The covariance of relu(g1 - b1) and relu(g2 - b2) at correlation rho is rho Q(b1) Q(b2) +
/// int_0^rho (rho - t) phi2(b1, b2; t) dt: the first part adds up to the best affine approximation,
/// the integral is a Hermite series up to |rho| = 0.75 and a Gauss-Legendre sum beyond. Neurons
/// whose normals agree to 1e-5 (up to sign) are integrated together, as the function of one
/// variable that they add up to, so what cancels among parallel neurons costs nothing. Accuracy,
/// with S = sum of |u_j| |w_j|:
///   - in general the variance is right to a few eps S^2: relative error about 1e-15 where neurons
///     do not cancel, and a result below about 1e-8 S is the rounding floor;
///   - bumps and other networks that cancel among parallel neurons, directions at least 0.3 apart:
///     right to a few eps S (measured on bumps: relative error 4e-14 at width 1e-3, 3e-12 at 1e-5,
///     2e-8 at 1e-7); normals that agree only nearly add (angle)^3 S^2 to the variance.
/// A neuron with |bias| > 12 |w| counts as the affine function it is to 1e-32. Powers other than 1
/// are summed over all pairs of neurons, on the host, and are of the first kind, with |u_j|
/// |w_j|^power sqrt(E f^2) for |u_j| |w_j|: a result below about 1e-8 of that sum is the rounding
/// floor. Throws BadInput as check() does, and on a power above 64.
double gaussian_standard_deviation(const ReluNetwork& network);
double gaussian_standard_deviation(Device& device, const ReluNetwork& network);

/// The square of it.
double gaussian_variance(const ReluNetwork& network);
double gaussian_variance(Device& device, const ReluNetwork& network);

/// E z z^T for z = [relu(weights x + bias), x, 1], x ~ N(0, I): symmetric, k + d + 1 wide, right to
/// (2 d + 200) eps of the roots of its diagonal. Throws BadInput as check() does, and where the
/// power is not 1.
HostMatrix gaussian_gram(const ReluNetwork& network);
HostMatrix gaussian_gram(Device& device, const ReluNetwork& network);

/// sqrt(E |F(x) - G(x)|^2) for x ~ N(0, I).
struct GaussianDistance {
  double value = 0;
  double floor = 0;      // exact values below it would be rounding
  bool sampled = false;  // the value is from 32768 fixed points, right to a few percent
};

/// The norm of F - G as one network: neurons with the same weights and bias first become one (their
/// outputs subtract), so a distance that stands in outputs alone keeps its relative accuracy;
/// hyperplanes that agree to 1e-5 are integrated as the function that they add up to. With S = sum
/// of |u| |w| of what is left:
///   floor^2 = 10 eps sum of |J_i| |J_j| over the pairs that are added hinge by hinge, + (64 eps
///             S')^2, S' = S + sum |u| |bias| + |linear| + |constant|.
/// The first term is there where hyperplanes differ by more than 1e-5, or are near others at an
/// angle below 0.3. Above the floor the value is right to 5 %, in practice far better (hyperplanes
/// moved by t, 1e-8 <= t <= 1e-5: to about t; weights scaled: to eps over the change). Below it, or
/// where more than 4096 pairs of hyperplanes are that near, the value is sampled, always at the
/// same points; what is left of the floor is the rounding of F and G.
///
/// Powers other than 1, and different ones: floor = sqrt(100 eps) S + 64 eps S', S = sum of |J|
/// sqrt(E f^2), J = u |w|^power, of what is left (of both networks where their powers differ), S' =
/// S + what biases and affine parts add to it above. Below the floor the value is sampled, and so
/// it is where one network has power 1 with biases, a linear part or a constant and the other one
/// has another power. Throws BadInput as check() does, on different d or p, and on a
/// power above 64.
GaussianDistance gaussian_distance(const ReluNetwork& f, const ReluNetwork& g);
GaussianDistance gaussian_distance(Device& device, const ReluNetwork& f, const ReluNetwork& g);

/// The best approximation of F under N(0, I) by some of its own neurons and an affine function: the
/// output coefficients, linear part and constant that minimise E |F - G|^2, exactly, from the Gram
/// matrix. `kept` holds different neurons of F, in any order; G has them in that order. Neurons
/// that depend on others to rounding share coefficients (ridge of 1e-14 of the scaled Gram matrix).
/// Throws BadInput as check() does, on a power other than 1, and on a neuron that is not there or
/// there twice.
ReluNetwork best_on_neurons(Device& device, const ReluNetwork& f, const std::vector<Index>& kept);

/// The same for any hyperplanes relu(weights x + bias): weights [m, d], bias [m, 1].
ReluNetwork best_on_hyperplanes(Device& device, const ReluNetwork& f, ConstHostView weights,
                                ConstHostView bias);

/// F with at most `neurons` of its neurons, coefficients as best_on_neurons() has them. First go
/// those that no input can tell from an affine function (dead, or further than 12 from the origin),
/// then, one by one, the neuron without which E |F - G|^2 grows least, all others adjusted: the
/// squared coefficients over the diagonal of the inverse Gram matrix. Of several on one hyperplane
/// all but one cost nothing. Deterministic; greedy, so not always the best choice. O(k^3). Throws
/// BadInput as check() does, on a power other than 1, and unless 0 <= neurons <= k.
ReluNetwork reduce_neurons(Device& device, const ReluNetwork& f, Index neurons);

}  // namespace crease
