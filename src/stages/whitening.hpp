// Inputs of any mean and covariance made ones of mean 0 and covariance I.
#pragma once

#include <optional>

#include "src/stages/hyperplanes.hpp"

namespace crease {

/// The Cholesky factor L of a covariance [d, d] and L^-1, both lower triangular: L^-1 x has the
/// covariance I. No value where there is no factor.
struct TriangularWhitening {
  HostMatrix factor;
  HostMatrix inverse;
};
std::optional<TriangularWhitening> triangular_whitening(Device& device,
                                                        const HostMatrix& covariance);

/// x = mean + L z with the sample mean and covariance L L^T of given points. A direction in which
/// they do not vary to 1e-6 of the widest coordinate is left as it is, shrunk to that.
class Whitening {
 public:
  /// x [n, d], n >= 1. Waits. BadInput where x is not finite.
  Whitening(Device& device, ConstDeviceView x);

  /// z, [n, d].
  DeviceMatrix points(Device& device, ConstDeviceView x) const;

  /// The same function of z, and of x.
  Hyperplanes into(const Hyperplanes& of_x) const;
  Hyperplanes back(const Hyperplanes& of_z) const;

 private:
  Hyperplanes turned(const Hyperplanes& network, const HostMatrix& matrix,
                     const std::vector<double>& shift) const;

  std::vector<double> mean_;
  HostMatrix factor_;   // L
  HostMatrix inverse_;  // L^-1
};

}  // namespace crease
