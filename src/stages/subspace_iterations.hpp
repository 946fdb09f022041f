// Iterations from many starts at once towards matrices of rank one in a subspace.
#pragma once

#include <crease/device.hpp>
#include <crease/matrix.hpp>

namespace crease {

/// A subspace of symmetric matrices with the orthonormal basis W_k, [m, D (D + 1) / 2] as vectors:
/// the basis as full matrices, here and on the device.
struct SymmetricSubspace {
  SymmetricSubspace(Device& on, const HostMatrix& basis);

  /// Starts at a time whose matrices stay where the device works fastest.
  Index at_once() const;

  /// u_i^T W_k u_i, [n, m], of every row of u [n, D].
  HostMatrix coordinates(const HostMatrix& u) const;

  Device& device;
  Index m;
  Index d;
  HostMatrix matrices;  // [m, D^2]
  DeviceMatrix there;   // the same
};

/// Every row u of points [n, D] <- normalised sum_k (u^T W_k u) W_k u, at most so many times:
/// rows that hardly move any more stay (the subspace power method, Kileel and Pereira 2019).
void power_iterations(const SymmetricSubspace& subspace, int iterations, HostMatrix& points);

/// Every M = sum_k C_k W_k, C a row of c [n, m], <- P_W(sgn(lambda) M + 2 gamma u u^T) / |.|, u the
/// eigenvector of its eigenvalue lambda of the largest modulus, at most so many times (projected
/// gradient ascent, Fornasier, Klock and Rauchensteiner 2019); the last u, [n, D].
HostMatrix ascent_directions(const SymmetricSubspace& subspace, double gamma, int iterations,
                             HostMatrix c);

}  // namespace crease
