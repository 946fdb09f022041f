// The two least-squares solvers: `stream` (Gram matrix, then LSQR) and `qr` (TSQR, then rank).
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/fit.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

// The shift of 10 u trace keeps the condition of the factor below about 1e7 whatever that of Z:
// from here on it says nothing about Z any more.
constexpr double kStreamCondition = 1e6;
constexpr Index kLsqrIterations = 60;
constexpr double kTiny = std::numeric_limits<double>::min();

/// 1 / norm of every column of Z, 0 for a zero column; [1, q].
HostMatrix inverse_norms(const HostMatrix& norms) {
  double largest = 0;
  for (Index j = 0; j < norms.cols(); ++j) largest = std::max(largest, norms(0, j));
  HostMatrix factors(1, norms.cols());
  for (Index j = 0; j < norms.cols(); ++j) {
    if (norms(0, j) > 1e-12 * largest) factors(0, j) = 1 / norms(0, j);
  }
  return factors;
}

double norm_of(Device& device, ConstDeviceView column) {
  DeviceMatrix norm(device, 1, column.cols);
  column_norms(device, column, norm);
  return download(device, norm)(0, 0);
}

void scale(Device& device, double factor, DeviceView column) {
  const HostMatrix factors(1, 1, factor);
  scale_columns(device, upload(device, factors), column);
}

/// Z D L^-T and its transpose, applied chunk by chunk.
class Preconditioned {
 public:
  Preconditioned(Device& device, FeatureRows& z, Index first, Index count, ConstDeviceView factors,
                 ConstDeviceView l)
      : device_(device), z_(z), first_(first), count_(count), factors_(factors), l_(l) {}

  /// D L^-T v; v [q, 1] on the host.
  DeviceMatrix unscaled(const HostMatrix& v) {
    DeviceMatrix w = upload(device_, v);
    solve_triangular(device_, l_, Transpose::yes, w);
    scale_columns(device_, factors_, {w.view().data, 1, w.rows(), w.rows()});
    return w;
  }

  /// u = Z D L^-T v + beta u.
  void forward(const HostMatrix& v, double beta, DeviceView u) {
    const DeviceMatrix w = unscaled(v);
    for (Index row = 0; row < count_; row += z_.chunk_rows()) {
      const Index rows = std::min(z_.chunk_rows(), count_ - row);
      multiply(device_, z_.chunk(first_ + row, rows), Transpose::no, w, Transpose::no, 1.0, beta,
               u.row_block(row, rows));
    }
  }

  /// L^-1 D Z^T u.
  HostMatrix backward(ConstDeviceView u) {
    DeviceMatrix w(device_, l_.rows, 1);
    for (Index row = 0; row < count_; row += z_.chunk_rows()) {
      const Index rows = std::min(z_.chunk_rows(), count_ - row);
      multiply(device_, z_.chunk(first_ + row, rows), Transpose::yes, u.row_block(row, rows),
               Transpose::no, 1.0, row == 0 ? 0.0 : 1.0, w);
    }
    scale_columns(device_, factors_, {w.view().data, 1, w.rows(), w.rows()});
    solve_triangular(device_, l_, Transpose::no, w);
    return download(device_, w);
  }

 private:
  Device& device_;
  FeatureRows& z_;
  Index first_;
  Index count_;
  ConstDeviceView factors_;
  ConstDeviceView l_;
};

double norm(const HostMatrix& v) {
  return std::sqrt(dot(v.data(), v.data(), v.size()));
}

/// LSQR (Paige and Saunders 1982) on the preconditioned matrix; y is used up. Returns the solution
/// in the coordinates of the preconditioner. Stops when the normal equations hold to rounding.
HostMatrix lsqr(Device& device, Preconditioned& a, DeviceView u, Index q) {
  HostMatrix x(q, 1);
  double beta = norm_of(device, u);
  if (!(beta > kTiny)) return x;
  scale(device, 1 / beta, u);
  HostMatrix v = a.backward(u);
  double alpha = norm(v);
  if (!(alpha > kTiny)) return x;
  for (Index i = 0; i < q; ++i) v(i, 0) /= alpha;
  HostMatrix w = v;
  double phi_bar = beta;
  double rho_bar = alpha;
  const double start = alpha * beta;
  for (Index iteration = 0; iteration < kLsqrIterations; ++iteration) {
    a.forward(v, -alpha, u);
    beta = norm_of(device, u);
    if (beta > kTiny) scale(device, 1 / beta, u);
    HostMatrix next = beta > kTiny ? a.backward(u) : HostMatrix(q, 1);
    for (Index i = 0; i < q; ++i) next(i, 0) -= beta * v(i, 0);
    alpha = norm(next);
    v = std::move(next);
    if (alpha > kTiny) {
      for (Index i = 0; i < q; ++i) v(i, 0) /= alpha;
    }
    const double rho = std::hypot(rho_bar, beta);
    const double c = rho_bar / rho;
    const double s = beta / rho;
    const double theta = s * alpha;
    rho_bar = -c * alpha;
    const double phi = c * phi_bar;
    phi_bar *= s;
    for (Index i = 0; i < q; ++i) {
      x(i, 0) += phi / rho * w(i, 0);
      w(i, 0) = v(i, 0) - theta / rho * w(i, 0);
    }
    if (!(phi_bar * alpha * std::abs(c) > 4 * kRounding * start) || !(alpha > kTiny)) break;
  }
  return x;
}

/// Condition of a triangular factor in the 1-norm, estimated by LAPACK; L as stored, row-major,
/// lower.
double triangular_condition(const HostMatrix& l) {
  double reciprocal = 0;
  const auto q = static_cast<lapack_int>(l.rows());
  const lapack_int info =
      LAPACKE_dtrcon(LAPACK_COL_MAJOR, '1', 'U', 'N', q, l.data(), q, &reciprocal);
  if (info != 0 || !(reciprocal > 0)) return std::numeric_limits<double>::infinity();
  return 1 / reciprocal;
}

}  // namespace

std::optional<LeastSquaresSolution> solve_by_stream(Device& device, FeatureRows& z, Index first,
                                                    Index count, ConstDeviceView y) {
  const Index q = z.cols();
  DeviceMatrix g(device, q, q);
  fill(device, 0.0, g);
  for (Index row = 0; row < count; row += z.chunk_rows()) {
    const Index rows = std::min(z.chunk_rows(), count - row);
    gram(device, z.chunk(first + row, rows), row == 0 ? 0.0 : 1.0, g);
  }
  HostMatrix g_on_host = download(device, g);
  HostMatrix norms(1, q);
  for (Index j = 0; j < q; ++j) norms(0, j) = std::sqrt(g_on_host(j, j));
  const HostMatrix factors = inverse_norms(norms);
  // 10 u trace: enough for Cholesky to succeed on any Gram matrix that was computed in float64.
  const double shift = 10 * kRounding * static_cast<double>(q);
  for (Index i = 0; i < q; ++i) {
    for (Index j = 0; j <= i; ++j) g_on_host(i, j) *= factors(0, i) * factors(0, j);
    g_on_host(i, i) = factors(0, i) > 0 ? g_on_host(i, i) + shift : 1.0;
  }
  device.copy_in(g_on_host, g);
  if (!cholesky(device, g)) return std::nullopt;
  const double condition = triangular_condition(download(device, g));
  if (!(condition <= kStreamCondition)) return std::nullopt;

  LeastSquaresSolution solution{HostMatrix(q, y.cols), "stream", 0, condition};
  for (Index j = 0; j < q; ++j) solution.rank += factors(0, j) > 0 ? 1 : 0;
  const DeviceMatrix factors_on_device = upload(device, factors);
  Preconditioned a(device, z, first, count, factors_on_device, g);
  DeviceMatrix u(device, count, 1);
  for (Index o = 0; o < y.cols; ++o) {
    copy(device, y.col_block(o, 1), u);
    const HostMatrix column = download(device, a.unscaled(lsqr(device, a, u, q)));
    for (Index j = 0; j < q; ++j) solution.coefficients(j, o) = column(j, 0);
  }
  return solution;
}

LeastSquaresSolution solve_by_qr(Device& device, FeatureRows& z, Index first, Index count,
                                 ConstDeviceView y) {
  const Index q = z.cols();
  const Index p = y.cols;
  const Index width = q + p;
  // R <- R of [R; chunk] over [Z | y].
  const Index chunk = std::min(z.chunk_rows(), count);
  DeviceMatrix stacked(device, std::max(width + chunk, width), width);
  fill(device, 0.0, stacked);
  for (Index row = 0; row < count; row += chunk) {
    const Index rows = std::min(chunk, count - row);
    const DeviceView block = stacked.view().row_block(width, rows);
    copy(device, z.chunk(first + row, rows), block.col_block(0, q));
    copy(device, y.row_block(row, rows), block.col_block(q, p));
    triangularize(device, stacked.view().row_block(0, width + rows));
  }
  const HostMatrix r = download(device, stacked.view().row_block(0, width));
  HostMatrix norms(1, q);
  for (Index j = 0; j < q; ++j) {
    double square = 0;
    for (Index i = 0; i <= j; ++i) square += r(i, j) * r(i, j);
    norms(0, j) = std::sqrt(square);
  }
  const HostMatrix factors = inverse_norms(norms);
  HostMatrix scaled(q, q);
  HostMatrix right(q, p);
  for (Index i = 0; i < q; ++i) {
    for (Index j = i; j < q; ++j) scaled(i, j) = r(i, j) * factors(0, j);
    for (Index o = 0; o < p; ++o) right(i, o) = r(i, q + o);
  }
  LeastSquaresSolution solution{HostMatrix(q, p), "qr", 0, 0};
  lapack_int rank = 0;
  std::vector<lapack_int> pivots(static_cast<std::size_t>(q), 0);
  const auto size = static_cast<lapack_int>(q);
  const auto columns = static_cast<lapack_int>(p);
  const double cutoff = static_cast<double>(q) * kRounding;
  const lapack_int info = LAPACKE_dgelsy(LAPACK_ROW_MAJOR, size, size, columns, scaled.data(), size,
                                         right.data(), columns, pivots.data(), cutoff, &rank);
  if (info != 0) throw Error("dgelsy failed with " + std::to_string(info));
  solution.rank = rank;
  // dgelsy leaves the pivoted triangular factor: its diagonal falls like the singular values.
  const double last = rank > 0 ? std::abs(scaled(rank - 1, rank - 1)) : 0;
  solution.condition = last > 0 ? std::abs(scaled(0, 0)) / last : 0;
  for (Index j = 0; j < q; ++j) {
    for (Index o = 0; o < p; ++o) solution.coefficients(j, o) = right(j, o) * factors(0, j);
  }
  return solution;
}

}  // namespace crease
