// The instruction set: the contract of every primitive, and the class a backend derives from.
//
// The free functions check their arguments once, for every backend, and call the backend's twin.
// Unless a contract says otherwise: shapes that do not fit throw BadInput before anything runs; an
// empty output does nothing; outputs overlap no input; nothing waits. "Bits": twins agree bit for
// bit. "Sum(n)": twins agree within 2 n eps * sum of |terms|.
#pragma once

#include <crease/device.hpp>
#include <crease/oracle.hpp>

#include <functional>
#include <memory>
#include <span>

namespace crease {

enum class Transpose { no, yes };

// ----------------------------------------------------------------------------------------------
// random

/// Standard normals times `scale`, a pure function of (seed, stream, first_row + i, j): any chunk
/// on any device regenerates any row.
///
/// seed       key of the counter generator (Philox4x32-10, Salmon et al. 2011); Box-Muller on its
/// output stream     separate streams are independent first_row  >= 0 scale      finite out [n, d]
///
/// Bits (only + - * / sqrt are used).
void fill_gaussian(Device& device, Seed seed, std::uint64_t stream, Index first_row, double scale,
                   DeviceView out);

// ----------------------------------------------------------------------------------------------
// points

/// out[i, :] = origin + t[i] * direction.   t [n, 1], out [n, d]. Bits.
void line_points(Device& device, const Line& line, ConstDeviceView t, DeviceView out);

/// out[i * q + j, :] = centers[i, :] + steps[i, j] * directions[j, :].   out [m * q, d]. Bits.
void fan_points(Device& device, const Fan& fan, DeviceView out);

/// Finite differences of a fan, one row per centre and output:
///   out[i * p + o, j] = (values[i * q + j, o] - centers[i, o]) / steps[i, j]
///
/// values [m * q, p], centers [m, p], steps [m, q] (not zero), out [m * p, q]. Bits.
void divided_differences(Device& device, ConstDeviceView values, ConstDeviceView centers,
                         ConstDeviceView steps, DeviceView out);

/// Finite-difference steps that cross few badly known hyperplanes. For centre i and direction j the
/// step s = first[i] * 4^-l, l = 0..6, that minimises
///   noise[i, j] = sqrt(center_noise[i]^2 + sum of variance[r] over r that s crosses) / s,
/// where s crosses r if offsets[i, r] * (offsets[i, r] + s * slopes_t[r, j]) < 0. The larger step
/// wins ties.
///
/// offsets       [m, k]  signed distance of centre i from hyperplane r
/// slopes_t      [k, q]  <w_r, direction_j>
/// variance      [k, 1]  squared error that crossing hyperplane r costs; >= 0
/// first         [m, 1]  > 0
/// center_noise  [m, 1]  >= 0
/// steps, noise  [m, q]  results
///
/// Twins agree bit for bit (the sum runs over r in order).
void safest_steps(Device& device, ConstDeviceView offsets, ConstDeviceView slopes_t,
                  ConstDeviceView variance, ConstDeviceView first, ConstDeviceView center_noise,
                  DeviceView steps, DeviceView noise);

// ----------------------------------------------------------------------------------------------
// relu

/// out[i, r] = max(<x_i, weights_r> + bias_r, 0).
///
/// x [n, d], weights [k, d], bias [k, 1], out [n, k]. Sum(d + 1).
void relu_features(Device& device, ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                   DeviceView out);

/// Features of Gaussian points that are never stored as a whole:
///   out[i, r] = max(<x_i, weights_r> + bias_r, 0),
/// where x [n, d] is what fill_gaussian(device, seed, stream, first_row, 1.0, x) writes, bit for
/// bit.
///
/// seed, stream, first_row  as in fill_gaussian
/// weights [k, d], bias [k, 1], out [n, k]. Sum(d + 1).
void gaussian_features(Device& device, Seed seed, std::uint64_t stream, Index first_row,
                       ConstDeviceView weights, ConstDeviceView bias, DeviceView out);

/// A network on a fan, in the fan's own coordinates:
///   out[i * q + j, o] = constant[i, o] + s * tilt[j, o] + sum_r output[o, r] * max(offsets[i, r] +
///   s * slopes_t[r, j], 0), s = steps[i, j]
///
/// offsets [m, k], slopes_t [k, q], output [p, k], constant [m, p], tilt [q, p], steps [m, q], out
/// [m * q, p]. Sum(k + 2). A number of `output` that is not finite makes its output not finite
/// everywhere, be the neuron on or off.
void relu_fan_sum(Device& device, ConstDeviceView offsets, ConstDeviceView slopes_t,
                  ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                  ConstDeviceView steps, DeviceView out);

// ----------------------------------------------------------------------------------------------
// lines

/// A network along several lines, in the lines' own coordinates (rank 1; no points are built). For
/// the points i of line l, first[l] <= i < first[l + 1],
///   out[i, o] = constant[l, o] + t[i] * tilt[l, o] + sum_r output[o, r] * max(offsets[r, l] + t[i]
///   * slopes[r, l], 0)
///
/// offsets, slopes  [k, m]  weights * origin + bias, weights * direction, one column a line
/// output           [p, k]
/// constant, tilt   [m, p]
/// first            [m + 1] on the host, ascending from 0 to n
/// t                [n, 1]
/// out              [n, p]
///
/// Sum(k + 2). Lines with many points are cut at their sorted kinks, and the neurons of a piece
/// come from prefix sums in double-double; sizes alone decide. There, with u = 2^-53 and S the sum
/// of all |terms|, the error is below u |out| + (6 k + 20) u^2 S, and below u |output[o, r]
/// offsets[r, l]| more for a neuron whose kink rounds to t[i]. Where that way gives no finite
/// number, the point is summed up directly: NaN and infinity come out as that sum makes them.
void relu_lines_sum(Device& device, ConstDeviceView offsets, ConstDeviceView slopes,
                    ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                    std::span<const Index> first, ConstDeviceView t, DeviceView out);

// ----------------------------------------------------------------------------------------------
// pairs

/// out[i, j] = Euclidean norm of a_i - b_j.   a [m, d], b [n, d], out [m, n]. Sum(d).
void pair_distances(Device& device, ConstDeviceView a, ConstDeviceView b, DeviceView out);

// ----------------------------------------------------------------------------------------------
// dense

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

// ----------------------------------------------------------------------------------------------
// solve

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

// ----------------------------------------------------------------------------------------------
// hinges

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

// ----------------------------------------------------------------------------------------------
// gaussian

/// Exact second moments of ReLU features under N(0, I), lower triangle and diagonal (what is above
/// is left alone):
///   g = E z z^T,   z = [relu(weights x + bias), x, 1]  or  z = [relu(weights x + bias), 1].
///
/// weights [k, d], bias [k, 1], g [q, q] with q = k + d + 1, or q = k + 1 without inputs. A row of
/// weights that is all zero is the constant max(bias, 0).
///
/// Neurons i and j are right to (2 d + 200) eps (s_i s_j + a_i a_j), where s_i^2 = E relu_i^2 and
/// a_i^2 = |w_i|^2 P(relu_i > 0); so are the other entries with s = a = 1 for the constant and for
/// an input. A neuron further than 13 from the origin and silent there: times (b / 13)^2, b its
/// distance. Scratch: k (d + 119) numbers.
///
/// Source: the Hermite expansion of relu(g - b) (Mehler's formula) for correlations up to 0.75,
/// quadrature of E relu relu = E relu E relu + rho P P + int (rho - t) phi2(t) dt beyond.
void gaussian_gram(Device& device, ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                   DeviceView g);

/// Covariances of hinges relu(<n_i, x> - b_i) times their jumps, less what their best affine
/// approximations share, row by row below the diagonal:
///   sums[i] = sum of <J_i, J_j> K(b_i, b_j; <n_i, n_j>) over j < i with group[j] != group[i],
///   K(b, c; rho) = int_0^rho (rho - t) phi2(b, c; t) dt;   sums[i] = 0 for i < first.
///
/// normals    [k, d]  unit rows n_i
/// thresholds [k, 1]  b_i
/// jumps      [k, p]  J_i
/// groups     [k, 1]  numbers that are compared
/// first      0 <= first <= k
/// sums       [k, 1]  result
///
/// Right to (2 d + 2 p + k + 200) eps sum of |J_i| |J_j|. Scratch: k 117 numbers, and 2^25 or 4 k,
/// whichever is more.
void gaussian_coupling_sums(Device& device, ConstDeviceView normals, ConstDeviceView thresholds,
                            ConstDeviceView jumps, ConstDeviceView groups, Index first,
                            DeviceView sums);

// ----------------------------------------------------------------------------------------------
// moments

/// The product of every column of a with every column of b, row by row (the Kronecker product of
/// their rows):
///   out[i, s d + j] = a[i, s] * b[i, j].
/// So out^T b = the sums of a_s x x^T over rows x of b, one above the other: weighted Gram
/// matrices, whatever the signs of the weights, from one read of b.
///
/// a [n, r], b [n, d], out [n, r d]. Bits.
void row_products(Device& device, ConstDeviceView a, ConstDeviceView b, DeviceView out);

/// y[i, j] *= a[i, j].   Same shape. Bits.
void multiply_elements(Device& device, ConstDeviceView a, DeviceView y);

/// y <- He_order(y), Hermite polynomials of the probabilists: He_0 = 1, He_1 = z, He_{l+1} = z He_l
/// - l He_{l-1}. 0 <= order <= kMostHermite. Bits.
void hermite(Device& device, Index order, DeviceView y);

inline constexpr Index kMostHermite = 32;

/// y <- max(y, 0)^power; NaN stays NaN.   power > 0, finite. Bits for the powers 1, 2 and 1/2;
/// others are each library's: steps(4).
void rectified_power(Device& device, double power, DeviceView y);

/// y <- the derivative of that, power max(y, least)^(power - 1) where y > 0, else 0; NaN stays NaN.
/// For powers below 1 the slope has no bound: least >= 0 gives it one. Bits for the powers 1,
/// 3/2, 2 and 3; others steps(5).
void rectified_slope(Device& device, double power, double least, DeviceView y);

/// y[i, j] <- bounds[0, j] where it is below, bounds[1, j] where it is above; NaN stays NaN.
/// bounds [2, p], y [n, p]. Bits.
void clip_columns(Device& device, ConstDeviceView bounds, DeviceView y);

/// y[i, j] <- 0 where |y[i, j]| > bounds[0, j]; NaN stays NaN.   bounds [1, p], y [n, p]. Bits.
void drop_beyond(Device& device, ConstDeviceView bounds, DeviceView y);

/// g[i, j] <- g[j, i] for j > i: what is above the diagonal becomes what is below.   g [q, q].
/// Bits.
void symmetrize(Device& device, DeviceView g);

/// out[0, j] = g[j, j].   g [q, q], out [1, q]. Bits.
void diagonal(Device& device, ConstDeviceView g, DeviceView out);

/// g[j, j] += values[0, j].   values [1, q], g [q, q]. Bits.
void add_to_diagonal(Device& device, ConstDeviceView values, DeviceView g);

// ----------------------------------------------------------------------------------------------
// answers

/// y <- each number of y in the format: float32, float16 or decimals (<crease/oracle.hpp>);
/// decimals are round(y 10^n) / 10^n with both operations rounded once, and y itself from 2^52
/// 10^-n on. NaN stays NaN; infinity is what a float32 or float16 has for numbers too large.
///
/// y [n, p]    format.kind  float64 changes nothing; noise is refused (add_answer_noise)
/// Bits.
void round_answers(Device& device, const Imperfection& format, DeviceView y);

/// y[i, o] <- y[i, o] + deviation * z, z = normals of fill_gaussian at row h, column o of a stream
/// of their own; h is a hash of i, n and the p numbers in row i of y before.
///
/// y [n, p]    deviation  finite, >= 0
/// Bits.
void add_answer_noise(Device& device, Seed seed, double deviation, DeviceView y);

// ----------------------------------------------------------------------------------------------
// odds

/// Rows of logits become probabilities, or their logarithms:
///   y[i, o] <- exp(y[i, o] - m) / s,  or  (y[i, o] - m) - log(s),
/// m the largest of the row, s = sum_o exp(y[i, o] - m) in ascending o. A row that holds NaN or
/// infinity becomes NaN throughout.
///
/// y [n, p]
/// exp and log are each library's: twins agree within 8 (p + 2) eps of the largest magnitude of a
/// row's results.
void softmax(Device& device, bool logarithms, DeviceView y);

/// How numbers that stand for probabilities were written (LogOddsOptions in <crease/oracle.hpp>).
struct OddsFormat {
  bool logarithms = false;  // the numbers are log p_o, otherwise p_o
  double half_unit = 0;     // q, half a unit of the last decimal; 0 without decimals
  double rounding = 0;      // u, relative, of a number in this format
  double smallest = 0;      // p_o <= this says nothing; of probabilities alone
};

/// Rows of probabilities become centred log-odds z, beside their standard deviations:
///   z_o = log p_o - mean_o log p_o,   sigma_o = sqrt(e_o^2 + mean_o(e_o^2) / p),
///   e_o = sqrt(q^2 / p_o^2 + 4 u^2) + 2^-53 |log p_o|     of probabilities,
///   e_o = sqrt(q^2 + u^2) + u |log p_o|                   of their logarithms;
/// the second term of sigma is the error of the mean, which carries that of the rarest output. A
/// row with p_o <= smallest, or log p_o = -infinity, says nothing: z = 0, sigma = infinity
/// throughout. A row that is no row of probabilities becomes NaN, with what is wrong in place of
/// the first two sigmas, and infinity in the others: (0, v) for a number v outside [0, 1] (a
/// logarithm above 0), (1, s) for a sum s of the p_o that is off 1 by more than kOddsSlack + p q;
/// numbers may be beyond their range by that slack too.
///
/// y [n, 2 p], p >= 2; on entry the numbers stand in the first p columns, and the others are not
/// read; on return (z, sigma).
/// exp and log are each library's: twins agree in z within 8 (p + 2) eps max_o |log p_o|, in sigma
/// within 16 (p + 2) eps sigma.
void log_odds(Device& device, const OddsFormat& format, DeviceView y);

/// How far the sum of probabilities may be off 1.
inline constexpr double kOddsSlack = 1e-3;

// ----------------------------------------------------------------------------------------------
// backends

/// One pure virtual per primitive, same contract, arguments already checked and outputs not empty.
class Ops {
 public:
  virtual ~Ops() = default;

  virtual void fill_gaussian(Seed seed, std::uint64_t stream, Index first_row, double scale,
                             DeviceView out) = 0;
  virtual void line_points(const Line& line, ConstDeviceView t, DeviceView out) = 0;
  virtual void fan_points(const Fan& fan, DeviceView out) = 0;
  virtual void divided_differences(ConstDeviceView values, ConstDeviceView centers,
                                   ConstDeviceView steps, DeviceView out) = 0;
  virtual void safest_steps(ConstDeviceView offsets, ConstDeviceView slopes_t,
                            ConstDeviceView variance, ConstDeviceView first,
                            ConstDeviceView center_noise, DeviceView steps, DeviceView noise) = 0;
  virtual void relu_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                             DeviceView out) = 0;
  virtual void gaussian_features(Seed seed, std::uint64_t stream, Index first_row,
                                 ConstDeviceView weights, ConstDeviceView bias, DeviceView out) = 0;
  virtual void relu_lines_sum(ConstDeviceView offsets, ConstDeviceView slopes,
                              ConstDeviceView output, ConstDeviceView constant,
                              ConstDeviceView tilt, std::span<const Index> first, ConstDeviceView t,
                              DeviceView out) = 0;
  virtual void relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t,
                            ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                            ConstDeviceView steps, DeviceView out) = 0;
  virtual void pair_distances(ConstDeviceView a, ConstDeviceView b, DeviceView out) = 0;
  virtual void multiply(ConstDeviceView a, Transpose transpose_a, ConstDeviceView b,
                        Transpose transpose_b, double alpha, double beta, DeviceView c) = 0;
  virtual void add_row(ConstDeviceView row, DeviceView y) = 0;
  virtual void subtract(ConstDeviceView a, DeviceView y) = 0;
  virtual void copy(ConstDeviceView a, DeviceView y) = 0;
  virtual void fill(double value, DeviceView y) = 0;
  virtual Index first_non_finite_row(ConstDeviceView y) = 0;
  virtual void orthonormal_rows(DeviceView a) = 0;
  virtual void column_norms(ConstDeviceView z, DeviceView out) = 0;
  virtual void scale_columns(ConstDeviceView factors, DeviceView z) = 0;
  virtual void gram(ConstDeviceView z, double beta, DeviceView g) = 0;
  virtual void weighted_gram(ConstDeviceView z, ConstDeviceView weights, double beta,
                             DeviceView g) = 0;
  virtual bool cholesky(DeviceView g) = 0;
  virtual void solve_triangular(ConstDeviceView l, Transpose transpose, DeviceView x) = 0;
  virtual void triangularize(DeviceView a) = 0;
  virtual void scale_rows(ConstDeviceView factors, DeviceView z) = 0;
  virtual void add_scaled(double scale, ConstDeviceView factors, ConstDeviceView x,
                          DeviceView y) = 0;
  virtual void normalize_columns(DeviceView z, DeviceView norms) = 0;
  virtual void divide_columns(ConstDeviceView norms, DeviceView z) = 0;
  virtual void multiply_and_back(ConstDeviceView z, ConstDeviceView x, DeviceView y, double beta,
                                 DeviceView back) = 0;
  virtual void unit_diagonal(double cutoff, double shift, DeviceView g, DeviceView factors) = 0;
  virtual void lsqr_begin(double tolerance, DeviceView state) = 0;
  virtual void lsqr_rotate(DeviceView state) = 0;
  virtual void cg_begin(double tolerance, DeviceView state) = 0;
  virtual void cg_step(DeviceView state) = 0;
  virtual void cg_turn(DeviceView state) = 0;
  virtual double svd(DeviceView a, DeviceView left_t, DeviceView values, DeviceView right) = 0;
  virtual std::unique_ptr<Recording> record(std::function<void()> work) = 0;
  virtual void absolute(DeviceView y) = 0;
  virtual void hinge_jacobian_rows(ConstDeviceView z, ConstDeviceView x, ConstDeviceView directions,
                                   Index output, DeviceView out) = 0;
  virtual std::unique_ptr<HingeJacobian> linearize_hinges(ConstDeviceView x, ConstDeviceView planes,
                                                          ConstDeviceView directions,
                                                          ConstDeviceView weights, bool hold) = 0;
  virtual void gaussian_gram(ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                             DeviceView g) = 0;
  virtual void gaussian_coupling_sums(ConstDeviceView normals, ConstDeviceView thresholds,
                                      ConstDeviceView jumps, ConstDeviceView groups, Index first,
                                      DeviceView sums) = 0;
  virtual void row_products(ConstDeviceView a, ConstDeviceView b, DeviceView out) = 0;
  virtual void multiply_elements(ConstDeviceView a, DeviceView y) = 0;
  virtual void hermite(Index order, DeviceView y) = 0;
  virtual void rectified_power(double power, DeviceView y) = 0;
  virtual void rectified_slope(double power, double least, DeviceView y) = 0;
  virtual void clip_columns(ConstDeviceView bounds, DeviceView y) = 0;
  virtual void drop_beyond(ConstDeviceView bounds, DeviceView y) = 0;
  virtual void symmetrize(DeviceView g) = 0;
  virtual void diagonal(ConstDeviceView g, DeviceView out) = 0;
  virtual void add_to_diagonal(ConstDeviceView values, DeviceView g) = 0;
  virtual void round_answers(const Imperfection& format, DeviceView y) = 0;
  virtual void add_answer_noise(Seed seed, double deviation, DeviceView y) = 0;
  virtual void softmax(bool logarithms, DeviceView y) = 0;
  virtual void log_odds(const OddsFormat& format, DeviceView y) = 0;
};

}  // namespace crease
