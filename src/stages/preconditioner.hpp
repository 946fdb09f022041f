// Gram matrices of rows, and their Cholesky factors as preconditioners.
#pragma once

#include <optional>

#include "src/stages/lsqr.hpp"

namespace crease {

/// Z^T Z of the rows of a problem, lower triangle, 0 above; [q, q].
DeviceMatrix gram_of(Device& device, const LeastSquaresProblem& problem);

/// E[z z^T] of Gaussian features, from closed forms; lower triangle, 0 above; [q, q].
DeviceMatrix population_gram(Device& device, const RowSource::GaussianFeatures& features);

/// A view of the diagonal of a square matrix, as a column.
DeviceView diagonal(DeviceView g);

/// D and L with D g D + 10 u q I = L L^T, where D makes the columns of unit length.
struct GramFactor {
  DeviceMatrix factors;  // [q, 1], 0 for a column that is zero
  DeviceMatrix l;        // [q, q], 0 above the diagonal
  Index rank = 0;        // columns that are not zero
  double condition = 0;  // of L, estimated; nothing above 1e7 can be told from anything else

  Preconditioner preconditioner() const { return {factors, l}; }
};

/// The factor of a Gram matrix with zeros above its diagonal; g is used up. The shift of 10 u trace
/// lets the factorization of any Gram matrix that was summed up in float64 succeed; none where it
/// does not, which is where g is not finite. The condition is estimated by power and inverse
/// iteration with four random vectors on the device: below the true one, rarely by more than 2.
std::optional<GramFactor> factor_gram(Device& device, DeviceMatrix g);

/// Largest over smallest singular value of a lower triangular matrix with zeros above, estimated as
/// in factor_gram.
double triangular_condition(Device& device, ConstDeviceView l);

}  // namespace crease
