// The subspace power method and projected gradient ascent, many starts at once.
#include "src/stages/subspace_iterations.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/symmetric_span.hpp"

namespace crease {
namespace {

constexpr Index kLeastAtOnce = 256;    // starts, for a product at full speed
constexpr int kBetweenChecks = 10;     // iterations of power
constexpr double kSettledStep = 1e-4;  // of a unit vector in one iteration: Newton does the rest
constexpr double kSettledAscent = 1e-7;

/// u <- normalised sum_k (u^T W_k u) W_k u, all rows of a block at once.
class PowerBlock {
 public:
  PowerBlock(const SymmetricSubspace& subspace, const HostMatrix& starts)
      : device_(subspace.device),
        basis_(subspace.there),
        u_(upload(device_, starts)),
        before_(device_, u_.rows(), u_.cols()),
        squares_(device_, u_.rows(), u_.cols() * u_.cols()),
        matrices_(device_, u_.rows(), squares_.cols()),
        c_(device_, u_.rows(), subspace.m),
        image_(device_, u_.rows(), u_.cols()),
        image_t_(device_, u_.cols(), u_.rows()),
        norms_(device_, 1, u_.rows()),
        row_ones_(upload(device_, HostMatrix(u_.rows(), u_.cols(), 1.0))),
        ones_(upload(device_, HostMatrix(u_.cols(), 1, 1.0))),
        identity_(upload(device_, identity(u_.cols()))) {}

  void iterate(int iterations) {
    for (int i = 0; i < iterations; ++i) {
      if (i + 1 == iterations) copy(device_, u_, before_);
      step();
    }
  }

  HostMatrix points() const { return download(device_, u_); }
  HostMatrix points_before() const { return download(device_, before_); }

 private:
  void step() {
    const Index n = u_.rows();
    const Index d = u_.cols();
    row_products(device_, u_, u_, squares_);
    multiply(device_, squares_, Transpose::no, basis_, Transpose::yes, 1.0, 0.0, c_);
    multiply(device_, c_, Transpose::no, basis_, Transpose::no, 1.0, 0.0, matrices_);
    row_products(device_, row_ones_, u_, squares_);  // u beside every row of its matrix
    multiply_elements(device_, squares_, matrices_);
    multiply(device_, {matrices_.view().data, n * d, d, d}, Transpose::no, ones_, Transpose::no,
             1.0, 0.0, {image_.view().data, n * d, 1, 1});
    // Columns can be normalised, so rows become columns and turn back.
    multiply(device_, identity_, Transpose::no, image_, Transpose::yes, 1.0, 0.0, image_t_);
    normalize_columns(device_, image_t_, norms_);
    multiply(device_, image_t_, Transpose::yes, identity_, Transpose::no, 1.0, 0.0, u_);
  }

  Device& device_;
  ConstDeviceView basis_;            // [m, D^2]
  DeviceMatrix u_, before_;          // [n, D]
  DeviceMatrix squares_, matrices_;  // [n, D^2]
  DeviceMatrix c_;                   // [n, m]
  DeviceMatrix image_, image_t_;     // [n, D], [D, n]
  DeviceMatrix norms_;
  DeviceMatrix row_ones_, ones_, identity_;  // [n, D], [D, 1], [D, D]
};

double distance(const double* a, const double* b, Index n) {
  double square = 0;
  for (Index j = 0; j < n; ++j) square += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(square);
}

void normalize(double* row, Index n) {
  const double length = std::sqrt(dot(row, row, n));
  for (Index j = 0; j < n; ++j) row[j] = length > 0 ? row[j] / length : 0;
}

HostMatrix rows_of(const HostMatrix& from, const std::vector<Index>& rows) {
  HostMatrix some(0, from.cols());
  for (const Index i : rows) some.append_row(from.row(i), from.cols());
  return some;
}

/// open = advance(open), from a block of starts on, until none is left or `rounds` are over: starts
/// settle at very different times, and most of them early.
template <class Advance>
void until_settled(Index count, Index at_once, int rounds, const Advance& advance) {
  for (Index top = 0; top < count; top += at_once) {
    std::vector<Index> open(static_cast<std::size_t>(std::min(at_once, count - top)));
    std::iota(open.begin(), open.end(), top);
    for (int round = 0; round < rounds && !open.empty(); ++round) open = advance(open);
  }
}

}  // namespace

SymmetricSubspace::SymmetricSubspace(Device& on, const HostMatrix& basis)
    : device(on), m(basis.rows()), d(symmetric_dimensions(basis.cols())), matrices(0, d * d) {
  for (Index k = 0; k < m; ++k) {
    matrices.append_row(symmetric_matrix(basis.row(k), d).data(), d * d);
  }
  there = upload(device, matrices);
}

Index SymmetricSubspace::at_once() const {
  return std::max(device.ops().block_bytes() / (3 * kDoubleBytes * d * d), kLeastAtOnce);
}

HostMatrix SymmetricSubspace::coordinates(const HostMatrix& u) const {
  HostMatrix all(0, m);
  for (Index top = 0; top < u.rows(); top += at_once()) {
    const Index n = std::min(at_once(), u.rows() - top);
    const DeviceMatrix rows = upload(device, u.view().row_block(top, n));
    DeviceMatrix squares(device, n, d * d), c(device, n, m);
    row_products(device, rows, rows, squares);
    multiply(device, squares, Transpose::no, there, Transpose::yes, 1.0, 0.0, c);
    const HostMatrix some = download(device, c);
    for (Index i = 0; i < n; ++i) all.append_row(some.row(i), m);
  }
  return all;
}

void power_iterations(const SymmetricSubspace& subspace, int iterations, HostMatrix& points) {
  const int rounds = (iterations + kBetweenChecks - 1) / kBetweenChecks;
  const auto advance = [&](const std::vector<Index>& open) {
    PowerBlock block(subspace, rows_of(points, open));
    block.iterate(std::min(iterations, kBetweenChecks));
    const HostMatrix now = block.points();
    const HostMatrix before = block.points_before();
    std::vector<Index> left;
    for (Index i = 0; i < now.rows(); ++i) {
      const Index start = open[static_cast<std::size_t>(i)];
      std::copy_n(now.row(i), subspace.d, points.row(start));
      if (distance(now.row(i), before.row(i), subspace.d) > kSettledStep) left.push_back(start);
    }
    return left;
  };
  until_settled(points.rows(), subspace.at_once(), rounds, advance);
}

HostMatrix ascent_directions(const SymmetricSubspace& subspace, double gamma, int iterations,
                             HostMatrix c) {
  Device& device = subspace.device;
  const Index d = subspace.d;
  const Index m = subspace.m;
  HostMatrix directions(c.rows(), d);
  for (Index i = 0; i < c.rows(); ++i) normalize(c.row(i), m);
  const auto advance = [&](const std::vector<Index>& open) {
    const HostMatrix matrices =
        product(device, rows_of(c, open), Transpose::no, subspace.there, Transpose::no);
    for (Index i = 0; i < matrices.rows(); ++i) {
      const Index start = open[static_cast<std::size_t>(i)];
      const SymmetricEigen eigen =
          symmetric_eigen(HostMatrix(ConstHostView{matrices.row(i), d, d, d}));
      const bool positive = eigen.values.back() >= -eigen.values.front();
      std::copy_n(eigen.vectors.row(positive ? d - 1 : 0), d, directions.row(start));
      for (Index k = 0; k < m && !positive; ++k) c(start, k) = -c(start, k);
    }
    const HostMatrix gradient = subspace.coordinates(rows_of(directions, open));
    std::vector<Index> left;
    for (Index i = 0; i < gradient.rows(); ++i) {
      const Index start = open[static_cast<std::size_t>(i)];
      HostMatrix next(1, m);
      for (Index k = 0; k < m; ++k) next(0, k) = c(start, k) + 2 * gamma * gradient(i, k);
      normalize(next.data(), m);
      if (distance(next.data(), c.row(start), m) > kSettledAscent) left.push_back(start);
      std::copy_n(next.data(), m, c.row(start));
    }
    return left;
  };
  until_settled(c.rows(), subspace.at_once(), iterations, advance);
  return directions;
}

}  // namespace crease
