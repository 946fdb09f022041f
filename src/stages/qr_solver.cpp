// Least squares by TSQR.
#include "src/stages/qr_solver.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kZeroColumn = 1e-12;  // of the longest column: shorter ones count as zero
constexpr Index kChunkColumns = 4;     // rows of a chunk per column: R costs little beside them

/// 1 / norm of every column, 0 for a zero column; [1, q].
HostMatrix inverse_norms(const HostMatrix& norms) {
  double largest = 0;
  for (Index j = 0; j < norms.cols(); ++j) largest = std::max(largest, norms(0, j));
  HostMatrix factors(1, norms.cols());
  for (Index j = 0; j < norms.cols(); ++j) {
    if (norms(0, j) > kZeroColumn * largest) factors(0, j) = 1 / norms(0, j);
  }
  return factors;
}

/// Below it, relative to the largest, a singular value is rounding: q u, and a few u in any case.
double relative_cutoff(Index q) {
  return static_cast<double>(std::max<Index>(q, 16)) * kRounding;
}

/// r [q, q] with unit columns, right [q, p].
QrResult end_on_host(HostMatrix r, HostMatrix right) {
  const Index q = r.rows();
  const Index p = right.cols();
  QrResult result{HostMatrix(q, p), 0, 0};
  if (q == 0) return result;
  lapack_int rank = 0;
  std::vector<lapack_int> pivots(static_cast<std::size_t>(q), 0);
  const auto size = static_cast<lapack_int>(q);
  const auto columns = static_cast<lapack_int>(p);
  const double cutoff = relative_cutoff(q);
  const lapack_int info = LAPACKE_dgelsy(LAPACK_ROW_MAJOR, size, size, columns, r.data(), size,
                                         right.data(), columns, pivots.data(), cutoff, &rank);
  if (info != 0) throw Error("dgelsy failed with " + std::to_string(info));
  result.rank = rank;
  // dgelsy leaves the pivoted triangular factor: its diagonal falls like the singular values.
  const double last = rank > 0 ? std::abs(r(rank - 1, rank - 1)) : 0;
  result.condition = last > 0 ? std::abs(r(0, 0)) / last : 0;
  result.coefficients = std::move(right);
  return result;
}

QrResult end_on_device(Device& device, DeviceView r, ConstDeviceView right) {
  const Index q = r.rows;
  const Index p = right.cols;
  DeviceMatrix left_t(device, q, q);
  DeviceMatrix vectors(device, q, q);
  DeviceMatrix values(device, 1, q);
  const double perturbation = svd(device, r, left_t, values, vectors);
  DeviceMatrix projected(device, q, p);
  multiply(device, left_t, Transpose::no, right, Transpose::no, 1.0, 0.0, projected);
  const HostMatrix s = download(device, values);
  QrResult result;
  const double largest = q > 0 ? s(0, 0) : 0;
  const double cutoff = std::max(relative_cutoff(q) * largest, perturbation);
  HostMatrix inverse(q, 1);
  for (Index i = 0; i < q && s(0, i) > cutoff; ++i, ++result.rank) inverse(i, 0) = 1 / s(0, i);
  result.condition = result.rank > 0 ? largest / s(0, result.rank - 1) : 0;
  scale_rows(device, upload(device, inverse), projected);
  DeviceMatrix z(device, q, p);
  multiply(device, vectors, Transpose::yes, projected, Transpose::no, 1.0, 0.0, z);
  result.coefficients = download(device, z);
  return result;
}

}  // namespace

DeviceMatrix triangular_factor(Device& device, const LeastSquaresProblem& problem) {
  const Index q = problem.z.cols();
  const Index p = problem.y.cols;
  const Index width = q + p;
  const Index count = problem.y.rows;
  const Index chunk =
      std::max<Index>(1, std::min({problem.z.chunk_rows(), count, kChunkColumns * width}));
  DeviceMatrix stacked(device, width + chunk, width);
  fill(device, 0.0, stacked);
  for (Index row = 0; row < count; row += chunk) {
    const Index rows = std::min(chunk, count - row);
    const DeviceView block = stacked.view().row_block(width, rows);
    copy(device, problem.z.chunk(problem.first + row, rows), block.col_block(0, q));
    copy(device, problem.y.row_block(row, rows), block.col_block(q, p));
    triangularize(device, stacked.view().row_block(0, width + rows));
  }
  DeviceMatrix r(device, width, width);
  copy(device, stacked.view().row_block(0, width), r);
  return r;
}

QrResult solve_by_qr(Device& device, const LeastSquaresProblem& problem, Index most_host_columns) {
  const Index q = problem.z.cols();
  const Index p = problem.y.cols;
  DeviceMatrix factor = triangular_factor(device, problem);
  const DeviceView r = factor.view().row_block(0, q).col_block(0, q);
  const DeviceView right = factor.view().row_block(0, q).col_block(q, p);
  DeviceMatrix norms(device, 1, q);
  column_norms(device, r, norms);
  const HostMatrix factors = inverse_norms(download(device, norms));
  scale_columns(device, upload(device, factors), r);
  QrResult result = q <= most_host_columns
                        ? end_on_host(download(device, r), download(device, right))
                        : end_on_device(device, r, right);
  for (Index j = 0; j < q; ++j) {
    for (Index o = 0; o < p; ++o) result.coefficients(j, o) *= factors(0, j);
  }
  return result;
}

}  // namespace crease
