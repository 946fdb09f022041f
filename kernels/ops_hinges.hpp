// Sums of absolute values: their Jacobian, row by row or as products that never build it.
//
// Read "kernels/ops.hpp" first, and include that: what all contracts share is said there.
#pragma once

#include <crease/device.hpp>

#include <memory>

namespace crease {

/// y = |y|; NaN stays NaN. Bits.
void absolute(Device& device, DeviceView y);

/// Rows of the Jacobian of F(x) = sum_i c_i |<V_i, x1>| + A x1, x1 = (x, 1), patterns fixed, for
/// one of its p outputs:
///   out[n, i w + j]           = s(z[n, i]) directions[i, o] x1[n, j]   i < k, j <= d;
///                               s(z) = -1 where z < 0, else 1
///   out[n, i w + d + 1 + o']  = o' = o ? |z[n, i]| : 0                 only where p > 1
///   out[n, (k + o') w + j]    = o' = o ? x1[n, j] : 0                  o' < p; 0 beyond j = d
///
/// z           [n, k]  <V_i, x1_n>
/// x           [n, d]
/// directions  [k, p]  c_i / |c_i|; 1 where p = 1
/// output      o, 0 <= o < p
/// out         [n, (k + p) w],  w = d + 1 where p = 1, else d + 1 + p
///
/// Bits.
void hinge_jacobian_rows(Device& device, ConstDeviceView z, ConstDeviceView x,
                         ConstDeviceView directions, Index output, DeviceView out);

/// The same Jacobian J [n p, (k + p) w] of many rows, each times its weight, never built: products
/// in single precision, for solvers that only need a direction. A vector of unknowns is a matrix
/// u [k + p, w], whose unused corner (rows from k on, columns from d + 1 on) does not count and
/// comes out as 0. Signs are kept as bits.
class HingeJacobian {
 public:
  HingeJacobian() = default;
  virtual ~HingeJacobian() = default;
  HingeJacobian(const HingeJacobian&) = delete;
  HingeJacobian& operator=(const HingeJacobian&) = delete;

  /// out[i, :] = (J^T J u)[i, :] + shifts[i] u[i, :].   u, out [k + p, w], shifts [k + p, 1]. In
  /// single precision: within 2^-23 (n + k + d + p + 16) times the same sum of |terms|. Allocates
  /// nothing.
  virtual void normal_product(ConstDeviceView u, ConstDeviceView shifts, DeviceView out) = 0;

  /// out = scale J^T r, where r [n, p] already holds the weights once. Same rounding, and
  /// scale * r must be of a size that single precision holds.
  virtual void back_product(ConstDeviceView r, double scale, DeviceView out) = 0;

  /// g[i, j] = sum of S_i S_j over the first `rows` rows, S_k = 1; no weights.   g [k + 1, k + 1].
  /// rows < 2^24. Exact.
  virtual void sign_gram(Index rows, DeviceView g) = 0;
};

/// J at x, scales c along `directions`, hyperplanes V.
///
/// x           [n, d]  must outlive the result
/// planes      [k, d + 1]
/// directions  [k, p]  as above
/// weights     empty (all 1), [n, 1] or [n, p]
/// hold        keep x1 in single precision (4 n (d + 1) bytes) and, where p > 1, |z| (4 n k bytes);
///             else both are made again in every product
///
/// Signs are those of z in single precision.
std::unique_ptr<HingeJacobian> linearize_hinges(Device& device, ConstDeviceView x,
                                                ConstDeviceView planes, ConstDeviceView directions,
                                                ConstDeviceView weights, bool hold);

}  // namespace crease
