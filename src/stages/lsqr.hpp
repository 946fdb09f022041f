// LSQR in double precision on a preconditioned matrix, all of it on the device.
#pragma once

#include "src/stages/rows.hpp"

namespace crease {

/// Which rows of Z take part, and their answers: min |Z z - y| over rows first .. first + y.rows -
/// 1.
struct LeastSquaresProblem {
  RowSource& z;
  Index first;
  ConstDeviceView y;  // [n, p]
};

/// z = D L^-T s: unit columns, then a Cholesky factor of their Gram matrix or of one close to it.
struct Preconditioner {
  ConstDeviceView factors;  // [q, 1], the diagonal of D
  ConstDeviceView l;        // [q, q], lower triangle
};

struct LsqrResult {
  DeviceMatrix coefficients;  // [q, p]
  Index iterations = 0;
  bool converged = false;
};

/// min |Z z - y|^2 + ridge |z|^2, all columns of y at once, each with its own scalars (Paige and
/// Saunders 1982, in the coordinates of the preconditioner). A column stops when its normal
/// equations hold: |A^T r| <= tolerance |A^T y|, A the preconditioned matrix, by the recurrence of
/// the method; after more than 8 iterations that is held against the rows once, and iterated on
/// from there where it was too good by more than 16. Vectors and scalars stay on the device; one
/// number per column is read after each iteration, and an iteration is one recording. Scratch: (n +
/// 5 q) p + 512 q numbers.
///
/// ridge  >= 0; where it is above 0, the preconditioner should be one of Z^T Z + ridge I
LsqrResult lsqr(Device& device, const LeastSquaresProblem& problem,
                const Preconditioner& preconditioner, double ridge, double tolerance,
                Index most_iterations);

}  // namespace crease
