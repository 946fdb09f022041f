// LSQR on the device.
#include "src/stages/lsqr.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/triangle.hpp"

namespace crease {
namespace {

constexpr Index kFew = 8;        // iterations after which the recurrence still tells the truth
constexpr double kTooGood = 16;  // times the limit

/// A = [Z; sqrt(ridge) I] D L^-T, applied chunk by chunk.
class Preconditioned {
 public:
  Preconditioned(Device& device, const LeastSquaresProblem& problem,
                 const Preconditioner& preconditioner, double ridge)
      : device_(device),
        problem_(problem),
        factors_(preconditioner.factors),
        triangle_(device, preconditioner.l, problem.y.cols),
        root_(std::sqrt(ridge)),
        ones_(device, 1, problem.y.cols) {
    fill(device_, 1.0, ones_);
  }

  /// s <- D L^-T s.
  void to_coefficients(DeviceView s) {
    triangle_.solve(Transpose::yes, s);
    scale_rows(device_, factors_, s);
  }

  /// u += A s, then back = A^T u, in one pass over the rows; s is used up.
  void there_and_back(DeviceView s, DeviceView u, DeviceView back) {
    to_coefficients(s);
    for_chunks([&](Index row, Index rows, ConstDeviceView z) {
      multiply_and_back(device_, z, s, u.row_block(row, rows), row == 0 ? 0.0 : 1.0, back);
    });
    if (root_ > 0) {
      const DeviceView below = u.row_block(problem_.y.rows, s.rows);
      add_scaled(device_, root_, ones_, s, below);
      add_scaled(device_, root_, ones_, below, back);
    }
    scale_rows(device_, factors_, back);
    triangle_.solve(Transpose::no, back);
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
  ConstDeviceView factors_;
  Triangle triangle_;
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
  DeviceMatrix back(device, q, p);
  DeviceMatrix minus_w(device, q, p);
  DeviceMatrix state(device, kLsqrRows, p);
  const auto row = [&](LsqrRow which) {
    return state.view().row_block(static_cast<Index>(which), 1);
  };

  // From x, which is 0 at first: u = y - A x, v = A^T u, both of unit length; w = v.
  const auto begin = [&](bool again) {
    copy(device, problem.y, u.view().row_block(0, n));
    fill(device, 0.0, u.view().row_block(n, u.rows() - n));
    fill(device, 0.0, s);
    if (again) subtract(device, x, s);
    a.there_and_back(s, u, v);
    normalize_columns(device, u, row(LsqrRow::beta));
    divide_columns(device, row(LsqrRow::beta), v);
    normalize_columns(device, v, row(LsqrRow::alpha));
    fill(device, 0.0, minus_w);
    subtract(device, v, minus_w);
    lsqr_begin(device, tolerance, state);
  };
  const auto running = [&] {
    const HostMatrix flags = download(device, row(LsqrRow::running));
    return std::any_of(flags.data(), flags.data() + p, [](double flag) { return flag != 0; });
  };
  begin(false);
  if (!running()) {
    result.converged = true;
    return result;
  }
  DeviceMatrix limit(device, 1, p);
  copy(device, row(LsqrRow::limit), limit);

  const auto iteration = record(device, [&] {
    // beta u = A v - alpha u
    scale_columns(device, row(LsqrRow::minus_alpha), u);
    copy(device, v, s);
    a.there_and_back(s, u, back);
    normalize_columns(device, u, row(LsqrRow::beta));
    // alpha v = A^T u - beta v, where A^T was taken of beta u
    divide_columns(device, row(LsqrRow::beta), back);
    add_scaled(device, -1.0, row(LsqrRow::beta), v, back);
    copy(device, back, v);
    normalize_columns(device, v, row(LsqrRow::alpha));
    lsqr_rotate(device, state);
    // x += (phi / rho) w, w = v - (theta / rho) w
    add_scaled(device, -1.0, row(LsqrRow::step), minus_w, x);
    scale_columns(device, row(LsqrRow::minus_ratio), minus_w);
    subtract(device, v, minus_w);
  });
  for (bool again = false;; again = true) {
    result.converged = false;
    while (!result.converged && result.iterations < most_iterations) {
      iteration->replay();
      ++result.iterations;
      result.converged = !running();
    }
    if (again) {
      result.converged = true;  // it had already
      break;
    }
    if (!result.converged || result.iterations <= kFew) break;
    // What the recurrence says, held against the rows: after many iterations it is too good.
    begin(true);
    copy(device, limit, row(LsqrRow::limit));
    const HostMatrix now = download(device, state);
    bool good = true;
    for (Index o = 0; o < p; ++o) {
      good = good && !(now(static_cast<Index>(LsqrRow::left), o) >
                       kTooGood * now(static_cast<Index>(LsqrRow::limit), o));
    }
    if (good) break;
  }
  a.to_coefficients(x);
  return result;
}

}  // namespace crease
