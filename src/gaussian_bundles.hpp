// A network as hinges of one variable each, those of one direction together: what cancels among
// parallel neurons is known before anything is integrated.
#pragma once

#include <crease/network.hpp>

#include <vector>

namespace crease {

using Row = std::vector<double>;

/// Beyond, P(Z > z) < 2e-33: the neuron is affine.
inline constexpr double kFarthest = 12.0;

/// Neuron u relu(<w, x> + bias) = jump * relu(<normal, x> - threshold), |normal| = 1.
struct Hinge {
  Row normal;
  double threshold = 0;
  Row jump;  // u |w|, [p]
};

/// Hinges of one direction (to 1e-5), oriented alike, thresholds ascending.
struct Bundle {
  std::vector<Hinge> hinges;
  double variance = 0;      // of the bundle less its affine part, summed over the outputs
  bool cancelling = false;  // far less variance than its hinges have each
};

/// A bundle as the piecewise-linear function of one variable that it is, less its affine part, at
/// the nodes of a quadrature that resolves every piece: weight includes the normal density.
struct Profile {
  Row at, weight;
  std::vector<Row> value;  // by node, then by output
};

double dot(const Row& a, const Row& b);

/// |a - side * b|.
double separation(const Row& a, const Row& b, double side);

/// tan(angle / 2) between the lines along two unit vectors of scalar product rho.
double half_tangent(const Row& a, const Row& b, double rho);

/// The live neurons of a network.
std::vector<Hinge> hinges_of(const ReluNetwork& network);

/// Parallel hinges (within 1e-5 of the first of them, up to sign) in bundles, their variances
/// measured. Hinges beyond kFarthest must be gone.
std::vector<Bundle> bundles_of(std::vector<Hinge> hinges);

Profile profile_of(const Bundle& bundle);

/// Sum of |jump|.
double sum_of_norms(const Bundle& bundle);

}  // namespace crease
