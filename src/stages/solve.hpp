// Least squares over the rows of a matrix: min |Z z - y|, by the solver that fits.
#pragma once

#include <optional>
#include <string>

#include "src/stages/lsqr.hpp"
#include "src/stages/qr_solver.hpp"

namespace crease {

/// Where the analytic preconditioner pays: at least this many columns and rows per column (below,
/// the Gram matrix of the rows costs less than the iterations it saves).
inline constexpr Index kAnalyticColumns = 8192;
inline constexpr Index kAnalyticRows = 4;

enum class SolveMethod { automatic, stream, analytic, qr };

/// "automatic", "stream", "analytic", "qr"; method_named throws BadInput on any other word.
std::string name_of(SolveMethod method);
SolveMethod method_named(const std::string& name);

struct SolveOptions {
  SolveMethod method = SolveMethod::automatic;

  /// LSQR stops where |A^T r| <= tolerance |A^T y|, A the preconditioned matrix; 0: at rounding.
  double tolerance = 0;
  Index most_iterations = 200;

  /// [n, 1], >= 0: min sum_i weights_i |<z_i, c> - y_i|^2; empty: all 1.
  ConstDeviceView weights = {};
  /// Scratch for one chunk of weighted rows.
  Index most_bytes = Index{1} << 30;

  /// The norm bound W of equation (7) of Chen, Klivans and Meka 2021: |z| <= radius, over all
  /// outputs (Frobenius). Must be above 0.
  std::optional<double> radius;
  /// The bound is chosen: the first quarter of the rows is held out, the others are fitted along
  /// the path of ridges; the largest norm is taken whose held-out error is within 10 % of the
  /// least.
  bool choose_radius = false;

  /// Where automatic takes analytic, and where the end of qr stays on the host.
  Index analytic_columns = kAnalyticColumns;
  Index most_host_columns = kMostHostColumns;
};

/// min_z |Z z - y|, one solution per column of y.
struct LeastSquaresSolution {
  HostMatrix coefficients;  // [q, p]
  std::string solver;       // "stream", "analytic" or "qr"
  std::string reason;       // why this one
  Index rank = 0;
  double condition = 0;  // of Z with unit columns, estimated from its triangular factor
  Index iterations = 0;  // of LSQR; 0 for qr
  double ridge = 0;      // multiplier of the norm bound; 0 where it does not bind or there is none
  double radius = 0;     // the norm bound in force; 0 where there is none
};

/// The solvers:
///   stream    Gram matrix in chunks, Cholesky factor of it with unit columns, shifted by 10 u
///             trace; LSQR over Z with that as preconditioner. Backward stable to a condition of
///             about 1e7; beyond it loses the directions below the shift (2e-12 to 3e-11 of y where
///             y lies in the span).
///   analytic  the same with the exact Gram matrix of the features under N(0, I) instead: no
///             product of Z with itself. For Gaussian rows without weights and without a norm
///             bound, n >= 2 q; (1 + sqrt(q / n)) / (1 - sqrt(q / n)) is the condition that is
///             left.
///   qr        TSQR, then a rank-revealing step on R: any condition, exact duplicates, n < q; of
///             minimum norm, in unit columns, where the rank is not full.
///
/// automatic: qr where there are fewer rows than columns; analytic for Gaussian rows with n >= 4 q
/// and q >= kAnalyticColumns; else stream; and qr after these where the condition of their factor
/// exceeds kStreamCondition, or LSQR does not converge. `reason` says which it was.
///
/// A norm bound makes it a trust region: z = argmin |Z z - y|^2 + ridge |z|^2 with |z| = radius,
/// where the plain solution is longer. stream finds the ridge by Newton steps on the secular
/// equation with a Cholesky factor of Z^T Z + ridge I each, and ends with LSQR on that; the ridge
/// is at least 10 u trace(Z^T Z). qr takes it from the singular values of R.
///
/// Throws BadInput on shapes that do not fit, on weights that are negative or not finite, and on
/// analytic where it cannot be had; Error where a named solver breaks down (Z not finite).
LeastSquaresSolution solve_least_squares(Device& device, const LeastSquaresProblem& problem,
                                         const SolveOptions& options = {});

/// The same for a matrix in memory. z [n, q], y [n, p].
LeastSquaresSolution solve_least_squares(Device& device, ConstDeviceView z, ConstDeviceView y,
                                         const SolveOptions& options = {});

/// The shift keeps the condition of the factor below about 1e7 whatever that of Z: from here on it
/// says nothing about Z any more.
inline constexpr double kStreamCondition = 1e6;

}  // namespace crease
