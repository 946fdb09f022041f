// What iterative solvers are made of: scaled columns, the states of LSQR and of conjugate
// gradients, the singular value decomposition, recorded work.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>

#include <functional>
#include <memory>

namespace crease {

/// z[i, :] *= factors[i].   factors [n, 1], z [n, q]. Bits.
void scale_rows(Device& device, ConstDeviceView factors, DeviceView z);

/// y[:, j] += (scale * factors[j]) * x[:, j].   factors [1, q], x and y [n, q], scale finite. Bits.
void add_scaled(Device& device, double scale, ConstDeviceView factors, ConstDeviceView x,
                DeviceView y);

/// norms[j] = Euclidean norm of column j of z, and the column is divided by it; a column whose norm
/// is below the smallest normal number becomes 0, and so does its norm.
///
/// z [n, q], norms [1, q]. Sum(n), and n + 1 for z.
void normalize_columns(Device& device, DeviceView z, DeviceView norms);

/// z[:, j] /= norms[j], or 0 where norms[j] is 0.   norms [1, q], z [n, q]. Bits.
void divide_columns(Device& device, ConstDeviceView norms, DeviceView z);

/// There and back in one pass over z: y += z x, then back = beta * back + z^T y; beta = 0 ignores
/// what was in back. A step of LSQR takes both products, and reading z is what costs.
///
/// z [n, q], x [q, p], y [n, p], back [q, p]. Sum(q + 1) for y, sum(n + 1) for back from that y.
void multiply_and_back(Device& device, ConstDeviceView z, ConstDeviceView x, DeviceView y,
                       double beta, DeviceView back);

/// A Gram matrix as that of unit columns, shifted: with the diagonal g_jj as it came,
///   factors[j] = 1 / sqrt(g_jj) where g_jj > cutoff * largest of all, else 0
///   g[i, j] <- (factors[i] * g[i, j]) * factors[j] below the diagonal, 1 + shift on it.
/// A column that is left out is then one of the unit matrix, times 1 + shift.
///
/// cutoff, shift  >= 0, finite
/// g              [q, q] lower triangle; what is above is left alone
/// factors        [q, 1]
///
/// Bits.
void unit_diagonal(Device& device, double cutoff, double shift, DeviceView g, DeviceView factors);

/// The rows of the state of LSQR (Paige and Saunders 1982), one column per right-hand side.
enum class LsqrRow : Index {
  alpha,        // in: norm of the new v
  beta,         // in: norm of the new u
  rho_bar,      // in and out
  phi_bar,      // in and out: norm of the residual
  minus_alpha,  // out: -alpha
  step,         // out: phi / rho, what of w is added to x; 0 for a column that has stopped
  minus_ratio,  // out: -theta / rho, what of w stays in the next; 0 for a column that has stopped
  left,         // out: norm of A^T residual
  limit,        // left at which a column stops
  running,      // 1, or 0 once left <= limit
};
inline constexpr Index kLsqrRows = 10;

/// The state after the first u and v: rho_bar = alpha, phi_bar = beta, left = alpha * beta, limit =
/// tolerance * left, step = minus_ratio = 0, running unless left is 0.   state [kLsqrRows, p].
/// Bits.
void lsqr_begin(Device& device, double tolerance, DeviceView state);

/// The next plane rotation of LSQR, from alpha and beta of this iteration: rho = sqrt(rho_bar^2 +
/// beta^2), c = rho_bar / rho, s = beta / rho, theta = s alpha, phi = c phi_bar; then rho_bar = -c
/// alpha, phi_bar = s phi_bar, left = |phi_bar alpha c|. A column with rho = 0 stops without a
/// step.   state [kLsqrRows, p]. Bits.
void lsqr_rotate(Device& device, DeviceView state);

/// The scalars of conjugate gradients for A x = b (Hestenes and Stiefel 1952), one column per
/// system.
enum class CgRow : Index {
  product,     // <residual, preconditioned residual>
  curvature,   // in of cg_step: <q, A q>
  next,        // in of cg_turn: the new product
  step,        // out of cg_step: product / curvature; 0 for a column that has stopped
  minus_step,  // out of cg_step
  ratio,       // out of cg_turn: next / product; 0 for a column that has stopped
  limit,       // product at which a column stops
  running,     // 1, or 0 once product <= limit, or where a curvature is not positive
};
inline constexpr Index kCgRows = 8;

/// limit = tolerance^2 product, running where product > 0.   state [kCgRows, p]. Bits.
void cg_begin(Device& device, double tolerance, DeviceView state);

/// step and minus_step from product and curvature; a column whose curvature is not above 0 stops
/// without a step.   state [kCgRows, p]. Bits.
void cg_step(Device& device, DeviceView state);

/// ratio from next and product, then product = next, and whether the column runs on.
/// state [kCgRows, p]. Bits.
void cg_turn(Device& device, DeviceView state);

/// Singular value decomposition a = left_t^T diag(values) right of a square matrix; a is used up.
///
/// left_t  [q, q]  rows are left singular vectors
/// values  [1, q]  largest first
/// right   [q, q]  rows are right singular vectors
///
/// Returns how far beyond rounding the values may be off (a library that perturbs singular matrices
/// says so; else 0). Waits. Residual: |left_t^T diag right - a| <= 10 q eps |a| + q times what is
/// returned, rows orthonormal to 10 q eps.
double svd(Device& device, DeviceView a, DeviceView left_t, DeviceView values, DeviceView right);

/// Work that was written down once and can be done again as a whole.
class Recording {
 public:
  Recording() = default;
  virtual ~Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// Queues the work once more; waits for nothing.
  virtual void replay() = 0;
};

/// Writes `work` down without doing it: the same primitives on the same memory at every replay. On
/// CUDA it becomes a graph, which costs one launch; on the CPU, and on a stream that refuses to be
/// captured, replay() calls `work` again. So `work` may be called now and later: it may queue
/// primitives that do not wait, but neither allocate matrices, nor upload or download, nor depend
/// on anything that changes on the host. Must not outlive its device.
std::unique_ptr<Recording> record(Device& device, std::function<void()> work);

}  // namespace crease
