// LSQR on the device.
#include "src/stages/lsqr.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"

namespace crease {
namespace {

/// A = [Z; sqrt(ridge) I] D L^-T, applied chunk by chunk.
class Preconditioned {
 public:
  Preconditioned(Device& device, const LeastSquaresProblem& problem,
                 const Preconditioner& preconditioner, double ridge)
      : device_(device),
        problem_(problem),
        preconditioner_(preconditioner),
        root_(std::sqrt(ridge)),
        ones_(device, 1, problem.y.cols) {
    fill(device_, 1.0, ones_);
  }

  /// s <- D L^-T s.
  void to_coefficients(DeviceView s) {
    solve_triangular(device_, preconditioner_.l, Transpose::yes, s);
    scale_rows(device_, preconditioner_.factors, s);
  }

  /// u += A s; s is used up.
  void add_image(DeviceView s, DeviceView u) {
    to_coefficients(s);
    for_chunks([&](Index row, Index rows, ConstDeviceView z) {
      multiply(device_, z, Transpose::no, s, Transpose::no, 1.0, 1.0, u.row_block(row, rows));
    });
    if (root_ > 0) add_scaled(device_, root_, ones_, s, u.row_block(problem_.y.rows, s.rows));
  }

  /// s = A^T u.
  void transposed(ConstDeviceView u, DeviceView s) {
    for_chunks([&](Index row, Index rows, ConstDeviceView z) {
      multiply(device_, z, Transpose::yes, u.row_block(row, rows), Transpose::no, 1.0,
               row == 0 ? 0.0 : 1.0, s);
    });
    if (root_ > 0) add_scaled(device_, root_, ones_, u.row_block(problem_.y.rows, s.rows), s);
    scale_rows(device_, preconditioner_.factors, s);
    solve_triangular(device_, preconditioner_.l, Transpose::no, s);
  }

 private:
  template <class Use>
  void for_chunks(Use use) {
    const Index count = problem_.y.rows;
    const Index chunk = std::max<Index>(1, problem_.z.chunk_rows());
    for (Index row = 0; row < count; row += chunk) {
      const Index rows = std::min(chunk, count - row);
      use(row, rows, problem_.z.chunk(problem_.first + row, rows));
    }
  }

  Device& device_;
  const LeastSquaresProblem& problem_;
  const Preconditioner& preconditioner_;
  double root_;
  DeviceMatrix ones_;
};

}  // namespace

LsqrResult lsqr(Device& device, const LeastSquaresProblem& problem,
                const Preconditioner& preconditioner, double ridge, double tolerance,
                Index most_iterations) {
  const Index n = problem.y.rows;
  const Index p = problem.y.cols;
  const Index q = problem.z.cols();
  require(ridge >= 0 && std::isfinite(ridge), "lsqr: the ridge must not be negative");
  require(problem.first >= 0 && problem.first + n <= problem.z.rows(),
          "lsqr: there must be one answer per row");
  require(preconditioner.l.rows == q && preconditioner.factors.rows == q,
          "lsqr: the preconditioner must be as wide as the rows");
  LsqrResult result{DeviceMatrix(device, q, p), 0, false};
  DeviceMatrix& x = result.coefficients;
  fill(device, 0.0, x);
  if (n == 0 || p == 0) {
    result.converged = true;
    return result;
  }
  Preconditioned a(device, problem, preconditioner, ridge);
  DeviceMatrix u(device, n + (ridge > 0 ? q : 0), p);
  DeviceMatrix v(device, q, p);
  DeviceMatrix s(device, q, p);
  DeviceMatrix minus_w(device, q, p);
  DeviceMatrix state(device, kLsqrRows, p);
  const auto row = [&](LsqrRow which) {
    return state.view().row_block(static_cast<Index>(which), 1);
  };

  copy(device, problem.y, u.view().row_block(0, n));
  fill(device, 0.0, u.view().row_block(n, u.rows() - n));
  normalize_columns(device, u, row(LsqrRow::beta));
  a.transposed(u, v);
  normalize_columns(device, v, row(LsqrRow::alpha));
  fill(device, 0.0, minus_w);
  subtract(device, v, minus_w);
  lsqr_begin(device, tolerance, state);
  const auto running = [&] {
    const HostMatrix flags = download(device, row(LsqrRow::running));
    return std::any_of(flags.data(), flags.data() + p, [](double flag) { return flag != 0; });
  };
  if (!running()) {
    result.converged = true;
    return result;
  }

  const auto iteration = record(device, [&] {
    // beta u = A v - alpha u
    scale_columns(device, row(LsqrRow::minus_alpha), u);
    copy(device, v, s);
    a.add_image(s, u);
    normalize_columns(device, u, row(LsqrRow::beta));
    // alpha v = A^T u - beta v
    a.transposed(u, s);
    add_scaled(device, -1.0, row(LsqrRow::beta), v, s);
    copy(device, s, v);
    normalize_columns(device, v, row(LsqrRow::alpha));
    lsqr_rotate(device, state);
    // x += (phi / rho) w, w = v - (theta / rho) w
    add_scaled(device, -1.0, row(LsqrRow::step), minus_w, x);
    scale_columns(device, row(LsqrRow::minus_ratio), minus_w);
    subtract(device, v, minus_w);
  });
  while (!result.converged && result.iterations < most_iterations) {
    iteration->replay();
    ++result.iterations;
    result.converged = !running();
  }
  a.to_coefficients(x);
  return result;
}

}  // namespace crease
