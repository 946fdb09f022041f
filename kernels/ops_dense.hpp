// Dense matrices: products, norms, Gram matrices, factors.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>

namespace crease {

enum class Transpose { no, yes };

/// c = alpha * op(a) * op(b) + beta * c; beta = 0 ignores what was in c, NaN included. An inner
/// size of 0 counts as a zero product. Sum(inner size + 1).
void multiply(Device& device, ConstDeviceView a, Transpose transpose_a, ConstDeviceView b,
              Transpose transpose_b, double alpha, double beta, DeviceView c);

/// y[i, :] += row.   row [1, p], y [n, p]. Bits.
void add_row(Device& device, ConstDeviceView row, DeviceView y);

/// y -= a.   Same shape. Bits.
void subtract(Device& device, ConstDeviceView a, DeviceView y);

/// y = a, also between views of different stride. Same shape. Bits.
void copy(Device& device, ConstDeviceView a, DeviceView y);

/// y = value everywhere. Bits.
void fill(Device& device, double value, DeviceView y);

/// The first row of y with an element that is not finite, or -1. Waits.
Index first_non_finite_row(Device& device, ConstDeviceView y);

/// Replaces the rows of a square matrix by an orthonormal basis: a = L * Q with L lower triangular
/// and a positive diagonal, and a <- Q. Gaussian rows give a Haar-distributed Q. Residual: |Q Q^T -
/// I| <= 10 d eps. DeviceError where a vendor library refuses.
void orthonormal_rows(Device& device, DeviceView a);

/// out[0, j] = Euclidean norm of column j of z.   z [n, q], out [1, q]. Sum(n).
void column_norms(Device& device, ConstDeviceView z, DeviceView out);

/// z[:, j] *= factors[0, j]. Bits.
void scale_columns(Device& device, ConstDeviceView factors, DeviceView z);

/// g = beta * g + z^T z, lower triangle and diagonal (what is above is left alone).
/// z [n, q], g [q, q]. beta = 0 ignores what was in the lower triangle. Sum(n + 1).
void gram(Device& device, ConstDeviceView z, double beta, DeviceView g);

/// g = beta * g + z^T diag(weights) z, lower triangle and diagonal (what is above is left alone).
/// z [n, q], weights [n, 1] >= 0 and finite, g [q, q]. beta = 0 ignores what was in the lower
/// triangle. A row of weight 0 counts as a row of zeros; where z is not finite, or a weight is
/// negative or not finite, the result is not finite (weights are not read by the host). Rows enter
/// scaled by the root of their weight, in chunks of at most 64 MiB. Sum(n + 3).
void weighted_gram(Device& device, ConstDeviceView z, ConstDeviceView weights, double beta,
                   DeviceView g);

/// Cholesky factor of a symmetric matrix given by its lower triangle: g = L L^T, L in place, what
/// is above left alone. Returns false where a pivot is not positive (then g holds rubbish). Waits.
/// Residual: |L L^T - g| <= 10 q eps |g|.
bool cholesky(Device& device, DeviceView g);

/// x <- L^-1 x, or L^-T x with Transpose::yes.   l [q, q] lower triangular, x [q, m]. Residual.
void solve_triangular(Device& device, ConstDeviceView l, Transpose transpose, DeviceView x);

/// Householder QR, R only: a [n, q] with n >= q becomes [R; 0], R upper triangular, R^T R = a^T a.
/// The signs of R's rows are free: twins may differ. Residual: |R^T R - a^T a| <= 10 n eps |a^T a|.
void triangularize(Device& device, DeviceView a);

}  // namespace crease
