// Symmetric matrices as vectors, and their leading singular vectors.
#include "src/stages/symmetric_span.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kOffDiagonal = std::numbers::sqrt2;

// Of the largest singular value. A row of the basis is off by eps over its share of it; down to
// here rows are so near orthonormal that a Cholesky factor of their products makes them so.
constexpr double kClearValue = 1e-9;
constexpr double kLeastLeft = 1e-3;  // of a row, to be more than what the rows before it span

/// rows^T.
DeviceMatrix turned(Device& device, ConstDeviceView rows) {
  DeviceMatrix out(device, rows.cols, rows.rows);
  multiply(device, rows, Transpose::yes, upload(device, identity(rows.rows)), Transpose::no, 1.0,
           0.0, out);
  return out;
}

/// row less its parts along the first `count` rows of basis, of unit length; false where less than
/// `least` of it is left. Twice: once leaves rounding of what was taken away.
bool make_orthonormal(const HostMatrix& basis, Index count, double least, double* row) {
  const Index n = basis.cols();
  const double before = std::sqrt(dot(row, row, n));
  for (int pass = 0; pass < 2; ++pass) {
    for (Index k = 0; k < count; ++k) {
      const double along = dot(basis.row(k), row, n);
      for (Index j = 0; j < n; ++j) row[j] -= along * basis(k, j);
    }
  }
  const double length = std::sqrt(dot(row, row, n));
  if (!(length > least * before)) return false;
  for (Index j = 0; j < n; ++j) row[j] /= length;
  return true;
}

/// Gram-Schmidt from the first row on; unit vectors stand in for rows that the others span.
HostMatrix orthonormal_in_order(HostMatrix rows) {
  const Index n = rows.cols();
  const double unit_left = 0.5 / std::sqrt(static_cast<double>(n));  // one always leaves more
  Index unit = 0;
  for (Index k = 0; k < rows.rows(); ++k) {
    bool made = make_orthonormal(rows, k, kLeastLeft, rows.row(k));
    while (!made) {
      std::fill_n(rows.row(k), n, 0.0);
      rows(k, unit++) = 1;
      made = make_orthonormal(rows, k, unit_left, rows.row(k));
    }
  }
  return rows;
}

/// Right singular vectors diag(values)^-1 left rows, left [m, N].
HostMatrix right_vectors(Device& device, ConstDeviceView left, ConstDeviceView rows,
                         const std::vector<double>& values) {
  const Index m = left.rows;
  DeviceMatrix basis(device, m, rows.cols);
  multiply(device, left, Transpose::no, rows, Transpose::no, 1.0, 0.0, basis);
  if (values[static_cast<std::size_t>(m - 1)] > kClearValue * values.front()) {
    HostMatrix inverse(m, 1);
    for (Index k = 0; k < m; ++k) inverse(k, 0) = 1 / values[static_cast<std::size_t>(k)];
    scale_rows(device, upload(device, inverse), basis);
    DeviceMatrix products(device, m, m);
    multiply(device, basis, Transpose::no, basis, Transpose::yes, 1.0, 0.0, products);
    if (cholesky(device, products)) {
      solve_triangular(device, products, Transpose::no, basis);
      return download(device, basis);
    }
  }
  return orthonormal_in_order(download(device, basis));
}

}  // namespace

HostMatrix symmetric_matrix(const double* numbers, Index dimensions) {
  HostMatrix matrix(dimensions, dimensions);
  for (Index i = 0; i < dimensions; ++i) {
    matrix(i, i) = *numbers++;
    for (Index j = i + 1; j < dimensions; ++j) {
      matrix(i, j) = matrix(j, i) = *numbers++ / kOffDiagonal;
    }
  }
  return matrix;
}

std::vector<double> symmetric_square(const double* u, Index dimensions) {
  std::vector<double> numbers;
  numbers.reserve(static_cast<std::size_t>(symmetric_size(dimensions)));
  for (Index i = 0; i < dimensions; ++i) {
    numbers.push_back(u[i] * u[i]);
    for (Index j = i + 1; j < dimensions; ++j) numbers.push_back(kOffDiagonal * u[i] * u[j]);
  }
  return numbers;
}

Index symmetric_dimensions(Index numbers) {
  const auto dimensions =
      static_cast<Index>(std::sqrt(2.0 * static_cast<double>(std::max<Index>(numbers, 0)) + 0.25));
  require(numbers >= 1 && symmetric_size(dimensions) == numbers,
          "symmetric matrices have D (D + 1) / 2 numbers");
  return dimensions;
}

SymmetricSpan symmetric_span(Device& device, ConstDeviceView rows, Index m) {
  require(rows.rows >= 1, "symmetric_span: there must be a matrix");
  symmetric_dimensions(rows.cols);
  const Index q = std::min(rows.rows, rows.cols);
  require(m >= 0 && m <= q, "symmetric_span: a basis of no more than min(N, n) rows");
  const bool wide = rows.rows < rows.cols;
  DeviceMatrix tall;
  if (wide) {
    tall = turned(device, rows);
  } else {
    tall = DeviceMatrix(device, rows.rows, rows.cols);
    copy(device, rows, tall);
  }
  triangularize(device, tall);
  DeviceMatrix left_t(device, q, q), values(device, 1, q), right(device, q, q);
  svd(device, tall.view().row_block(0, q), left_t, values, right);
  SymmetricSpan span;
  const HostMatrix there = download(device, values);
  span.values.assign(there.data(), there.data() + q);
  if (m == 0) {
    span.basis = HostMatrix(0, rows.cols);
  } else if (wide) {  // rows^T = Q R: what is right of R is left of rows
    span.basis = right_vectors(device, right.view().row_block(0, m), rows, span.values);
  } else {
    span.basis = download(device, right.view().row_block(0, m));
  }
  return span;
}

}  // namespace crease
