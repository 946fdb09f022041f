// Null vectors of masked Gram matrices, and masked regressions, in turns.
#include "src/stages/row_space.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kLeastRows = 2000;
constexpr Index kRowsPerUnknown = 4;  // of k d; exact answers need no more, and all rows verify
constexpr double kExactNull = 1e-12;  // eigenvalue, of the largest
constexpr double kShrinks = 0.1;      // a step of the one before, from the third on

class RowSpace {
 public:
  RowSpace(Device& device, Examples& examples, Index neurons, double power,
           const RowSpacePlan& plan)
      : device_(device),
        examples_(examples),
        k_(neurons),
        d_(examples.inputs()),
        power_(power),
        plan_(plan) {}

  /// An orthonormal basis of the row space, as a map of answers: Z = basis_ y.
  bool find_basis(const SampleMeans& means) {
    const Index p = examples_.outputs();
    if (p < k_) return false;
    const SymmetricEigen eigen = symmetric_eigen(means.answer_squares);
    const auto value = [&](Index i) { return eigen.values[static_cast<std::size_t>(p - 1 - i)]; };
    if (!(value(k_ - 1) > plan_.rank * plan_.rank * value(0))) return false;
    HostMatrix basis(k_, p);
    for (Index i = 0; i < k_; ++i) {
      const double scale = 1 / std::sqrt(value(i));
      for (Index o = 0; o < p; ++o) basis(i, o) = scale * eigen.vectors(p - 1 - i, o);
    }
    // Once more, from the basis itself: the first is only as orthonormal as the squares of
    // singular values are exact.
    basis_ = upload(device_, basis);
    DeviceMatrix squares(device_, k_, k_);
    fill(device_, 0.0, squares);
    double beta = 0;
    examples_.pass_in_blocks(used(), k_, [&](ConstDeviceView, ConstDeviceView y) {
      const DeviceMatrix z = basis_of(y);
      gram(device_, z, beta, squares);
      beta = 1;
    });
    HostMatrix scaled = download(device_, squares);
    for (Index i = 0; i < scaled.size(); ++i) scaled.data()[i] /= rows();
    DeviceMatrix factor = upload(device_, scaled);
    if (!cholesky(device_, factor)) return false;
    solve_triangular(device_, factor, Transpose::no, basis_);
    return true;
  }

  /// Row i of nulls_: the null vector of neuron i's off side. At first both signs of v are tried:
  /// the smaller eigenvalue wins.
  bool find_nulls(HostMatrix& v, const std::vector<double>& margins, bool both_signs) {
    const Side off = side(v, margins, -1, true);
    const Side on = side(v, margins, 1, both_signs);
    nulls_ = HostMatrix(k_, k_);
    largest_null_ = 0;
    for (Index i = 0; i < k_; ++i) {
      const auto ii = static_cast<std::size_t>(i);
      if (!(off.counts[ii] > 0)) return false;
      SymmetricEigen eigen = null_of(off, i);
      const double* sums = on.sums.row(i);
      if (both_signs && on.counts[ii] > 0) {
        SymmetricEigen other = null_of(on, i);
        if (other.values[0] < eigen.values[0]) {
          eigen = std::move(other);
          sums = off.sums.row(i);
          for (Index j = 0; j < d_; ++j) v(i, j) = -v(i, j);
        }
      }
      largest_null_ = std::max(largest_null_, eigen.values.front() / eigen.values.back());
      const double sign = dot(eigen.vectors.row(0), sums, k_) < 0 ? -1 : 1;
      for (Index j = 0; j < k_; ++j) nulls_(i, j) = sign * eigen.vectors(0, j);
    }
    return true;
  }

  /// Every null vector was one, to rounding: no point was on the wrong side.
  bool nulls_are_exact() const { return largest_null_ < kExactNull; }

  /// argmin over unit v_i of the sum of (<v, x> - h_i^(1/power))^2 over its on side.
  std::optional<HostMatrix> regress(const HostMatrix& v, const std::vector<double>& margins) {
    HostMatrix result(k_, d_);
    const Index together =
        std::clamp<Index>(plan_.most_bytes / 2 / (d_ * d_ * kDoubleBytes), 1, k_);
    for (Index first = 0; first < k_; first += together) {
      if (!regress_group(v, margins, first, std::min(together, k_ - first), result)) {
        return std::nullopt;
      }
    }
    return result;
  }

  double rows() const { return static_cast<double>(used()); }
  Index used() const {
    return std::min(examples_.rows(), std::max(kLeastRows, kRowsPerUnknown * k_ * d_));
  }

 private:
  /// Points beyond the margin on one side of every neuron.
  struct Side {
    HostMatrix squares;          // [k, k k]: sums of z z^T
    HostMatrix sums;             // [k, k]: of z
    std::vector<double> counts;  // [k]
  };

  DeviceMatrix basis_of(ConstDeviceView y) const {
    DeviceMatrix z(device_, y.rows, k_);
    multiply(device_, y, Transpose::no, basis_, Transpose::yes, 1.0, 0.0, z);
    return z;
  }

  /// 1 where sign <v_i, x> > margin_i, else 0.
  DeviceMatrix mask_of(ConstDeviceView x, ConstDeviceView v, ConstDeviceView minus_margins,
                       double sign) const {
    DeviceMatrix mask(device_, x.rows, v.rows);
    multiply(device_, x, Transpose::no, v, Transpose::yes, sign, 0.0, mask);
    add_row(device_, minus_margins, mask);
    rectified_slope(device_, 1, 0, mask);
    return mask;
  }

  DeviceMatrix minus(const std::vector<double>& margins, Index first, Index count) const {
    HostMatrix row(1, count);
    for (Index i = 0; i < count; ++i) row(0, i) = -margins[static_cast<std::size_t>(first + i)];
    return upload(device_, row);
  }

  Side side(const HostMatrix& v, const std::vector<double>& margins, double sign,
            bool with_squares) {
    const DeviceMatrix there = upload(device_, v);
    const DeviceMatrix margin = minus(margins, 0, k_);
    DeviceMatrix squares(device_, k_, k_ * k_), sums(device_, k_, k_), counts(device_, k_, 1);
    double beta = 0;
    fill(device_, 0.0, squares);
    examples_.pass_in_blocks(used(), k_ * (k_ + 3), [&](ConstDeviceView x, ConstDeviceView y) {
      const DeviceMatrix z = basis_of(y);
      const DeviceMatrix mask = mask_of(x, there, margin, sign);
      DeviceMatrix ones(device_, x.rows, 1);
      if (with_squares) {
        DeviceMatrix products(device_, x.rows, k_ * k_);
        row_products(device_, z, z, products);
        multiply(device_, mask, Transpose::yes, products, Transpose::no, 1.0, beta, squares);
      }
      fill(device_, 1.0, ones);
      multiply(device_, mask, Transpose::yes, z, Transpose::no, 1.0, beta, sums);
      multiply(device_, mask, Transpose::yes, ones, Transpose::no, 1.0, beta, counts);
      beta = 1;
    });
    Side result{download(device_, squares), download(device_, sums), {}};
    const HostMatrix count = download(device_, counts);
    for (Index i = 0; i < k_; ++i) result.counts.push_back(count(i, 0));
    return result;
  }

  SymmetricEigen null_of(const Side& side, Index i) const {
    HostMatrix mean(k_, k_);
    for (Index j = 0; j < mean.size(); ++j) {
      mean.data()[j] = side.squares(i, j) / side.counts[static_cast<std::size_t>(i)];
    }
    return symmetric_eigen(std::move(mean));
  }

  bool regress_group(const HostMatrix& v, const std::vector<double>& margins, Index first,
                     Index count, HostMatrix& result) {
    const DeviceMatrix there = upload(device_, ConstHostView{v.row(first), count, d_, d_});
    const DeviceMatrix nulls = upload(device_, ConstHostView{nulls_.row(first), count, k_, k_});
    const DeviceMatrix margin = minus(margins, first, count);
    DeviceMatrix squares(device_, count * d_, d_), right(device_, count, d_);
    double beta = 0;
    examples_.pass_in_blocks(used(), count * (d_ + 3), [&](ConstDeviceView x, ConstDeviceView y) {
      const DeviceMatrix z = basis_of(y);
      DeviceMatrix mask = mask_of(x, there, margin, 1);
      DeviceMatrix heights(device_, x.rows, count), products(device_, x.rows, count * d_);
      multiply(device_, z, Transpose::no, nulls, Transpose::yes, 1.0, 0.0, heights);
      if (power_ != 1) rectified_power(device_, 1 / power_, heights);
      row_products(device_, mask, x, products);
      multiply(device_, products, Transpose::yes, x, Transpose::no, 1.0, beta, squares);
      multiply_elements(device_, mask, heights);
      multiply(device_, heights, Transpose::yes, x, Transpose::no, 1.0, beta, right);
      beta = 1;
    });
    const HostMatrix sums = download(device_, squares);
    const HostMatrix sides = download(device_, right);
    for (Index i = 0; i < count; ++i) {
      HostMatrix system(d_, d_);
      std::copy(sums.row(i * d_), sums.row(i * d_) + d_ * d_, system.data());
      std::vector<double> solution(sides.row(i), sides.row(i) + d_);
      if (!solve_positive(std::move(system), solution)) return false;
      const double length = std::sqrt(dot(solution, solution));
      if (!(length > 0) || !std::isfinite(length)) return false;
      for (Index j = 0; j < d_; ++j) {
        result(first + i, j) = solution[static_cast<std::size_t>(j)] / length;
      }
    }
    return true;
  }

  Device& device_;
  Examples& examples_;
  Index k_;
  Index d_;
  double power_;
  const RowSpacePlan& plan_;
  double largest_null_ = 0;  // smallest over largest eigenvalue of an off side, the worst neuron's
  DeviceMatrix basis_;       // [k, p]
  HostMatrix nulls_;         // [k, k]: h_i = <nulls_i, z>
};

}  // namespace

std::optional<HostMatrix> directions_from_row_space(Device& device, Examples& examples,
                                                    const SampleMeans& means,
                                                    const HostMatrix& start, double power,
                                                    const RowSpacePlan& plan) {
  const Index k = start.rows();
  require(k >= 1 && start.cols() == examples.inputs(),
          "row space: directions must be as wide as the inputs");
  RowSpace space(device, examples, k, power, plan);
  if (!space.find_basis(means)) return std::nullopt;
  HostMatrix v = start;
  std::vector<double> margins(static_cast<std::size_t>(k), plan.margin);
  const double reach = std::sqrt(2 * std::log(std::max(space.rows(), 2.0)));
  double before = 1;
  for (Index iteration = 0; iteration < plan.iterations; ++iteration) {
    if (!space.find_nulls(v, margins, iteration == 0)) return std::nullopt;
    std::optional<HostMatrix> next = space.regress(v, margins);
    if (!next) return std::nullopt;
    double largest = 0;
    for (Index i = 0; i < k; ++i) {
      double square = 0;
      for (Index j = 0; j < v.cols(); ++j) square += std::pow((*next)(i, j) - v(i, j), 2);
      const double step = std::sqrt(square);
      largest = std::max(largest, step);
      margins[static_cast<std::size_t>(i)] =
          std::clamp(step * reach, plan.least_margin, plan.margin);
    }
    v = std::move(*next);
    if (largest < plan.still || space.nulls_are_exact()) break;
    if (iteration > 1 && largest > kShrinks * before) return std::nullopt;  // errors in answers
    before = largest;
  }
  return v;
}

}  // namespace crease
