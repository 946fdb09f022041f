// Fixed points of the subspace power method from many starts.
#include "src/stages/rank_one_search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/symmetric_span.hpp"

namespace crease {
namespace {

constexpr Index kStartsPerDimension = 8;
constexpr Index kLastStartsPerDimension = 40;
constexpr Index kLeastAtOnce = 256;  // starts, for a product at full speed
constexpr int kPowerIterations = 600;
constexpr int kAscentIterations = 150;
constexpr int kBetweenChecks = 10;     // iterations of power
constexpr double kSettledStep = 1e-4;  // of a unit vector in one iteration: Newton does the rest
constexpr double kSettledAscent = 1e-7;
constexpr int kNewtonSteps = 8;
constexpr double kLastStep = 1e-8;  // of a unit vector: its square is rounding
constexpr double kRoundingOfScore = 1e-14;
constexpr double kSameLimit = 0.1;  // of plan.merge: starts that went to the same point

/// The basis as full matrices W_k, here and on the device.
struct Subspace {
  Subspace(Device& on, const HostMatrix& basis)
      : device(on), m(basis.rows()), d(symmetric_dimensions(basis.cols())), matrices(0, d * d) {
    for (Index k = 0; k < m; ++k) {
      matrices.append_row(symmetric_matrix(basis.row(k), d).data(), d * d);
    }
    there = upload(device, matrices);
  }

  /// Starts at a time whose matrices stay where the device works fastest.
  Index at_once() const {
    return std::max(device.ops().block_bytes() / (3 * kDoubleBytes * d * d), kLeastAtOnce);
  }

  /// u_i^T W_k u_i, [n, m], of every row of u [n, D].
  HostMatrix coordinates(const HostMatrix& u) const {
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

  Device& device;
  Index m;
  Index d;
  HostMatrix matrices;  // [m, D^2]
  DeviceMatrix there;   // the same
};

/// u <- normalised sum_k (u^T W_k u) W_k u, all rows of a block at once.
class PowerBlock {
 public:
  PowerBlock(const Subspace& subspace, const HostMatrix& starts)
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

void power(const Subspace& subspace, int iterations, HostMatrix& points) {
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

/// The eigenvector of the largest modulus of every M = sum_k C_k W_k, after so many iterations of
/// ascent; C [n, m], out [n, D].
HostMatrix ascend(const Subspace& subspace, double gamma, int iterations, HostMatrix c) {
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

/// Newton's method for maxima of F on the sphere. With c_k = u^T W_k u, B = sum c_k W_k, Z = B u
/// and A = sum W_k u u^T W_k, gradient and Hessian on the tangents are 4 (Z - F u) and 4 (B + 2 A -
/// F). Power alone is slow where two u u^T of the subspace are near each other: there an error
/// falls by about angle^2 / 2 of itself in an iteration.
class Newton {
 public:
  explicit Newton(const Subspace& subspace)
      : subspace_(subspace), d_(subspace.d), curvature_(d_, d_) {}

  /// Moves u to the maximum beside it, where the Hessian says that there is one; F there.
  double polish(std::vector<double>& u) {
    double score = evaluate(u);
    for (int i = 0; i < kNewtonSteps; ++i) {
      std::vector<double> step;
      if (!solve(u, score, step)) break;
      std::vector<double> next = u;
      for (std::size_t j = 0; j < u.size(); ++j) next[j] += step[j];
      next = unit_vector(std::move(next));
      const bool last = dot(step, step) < kLastStep * kLastStep;
      const double reached = last ? score : evaluate(next);
      if (!(reached > score - kRoundingOfScore)) break;
      u = std::move(next);
      score = reached;
      if (last) break;
    }
    return std::min(score, 1.0);
  }

 private:
  /// F(u), and Z and B + 2 A for solve().
  double evaluate(const std::vector<double>& u) {
    std::fill_n(curvature_.data(), curvature_.size(), 0.0);
    ahead_.assign(u.size(), 0.0);
    std::vector<double> image(u.size());
    for (Index k = 0; k < subspace_.m; ++k) {
      const double* matrix = subspace_.matrices.row(k);
      std::fill(image.begin(), image.end(), 0.0);
      for (Index i = 0; i < d_; ++i) add(u[at(i)], matrix + i * d_, image.data());
      const double c = dot(image, u);
      add(c, image.data(), ahead_.data());
      for (Index i = 0; i < d_; ++i) {
        add(c, matrix + i * d_, curvature_.row(i));
        add(2 * image[at(i)], image.data(), curvature_.row(i));
      }
    }
    return dot(ahead_, u);
  }

  /// (F - B - 2 A) step = Z - F u on the tangents; false where that is not positive definite.
  bool solve(const std::vector<double>& u, double f, std::vector<double>& step) const {
    step = ahead_;
    add(-f, u.data(), step.data());
    HostMatrix system(d_, d_);  // F along u; (B + 2 A) u = 3 Z
    for (Index i = 0; i < d_; ++i) {
      add(-1, curvature_.row(i), system.row(i));
      add(3 * u[at(i)], ahead_.data(), system.row(i));
      add(3 * (ahead_[at(i)] - f * u[at(i)]), u.data(), system.row(i));
      system(i, i) += f;
    }
    return solve_positive(std::move(system), step);
  }

  void add(double factor, const double* x, double* y) const {
    for (Index j = 0; j < d_; ++j) y[j] += factor * x[j];
  }
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  const Subspace& subspace_;
  Index d_;
  std::vector<double> ahead_;  // Z
  HostMatrix curvature_;       // B + 2 A
};

struct Found {
  std::vector<double> direction;
  double score;
};

bool near_any(const std::vector<Found>& some, const Found& one, double sine) {
  return std::any_of(some.begin(), some.end(), [&](const Found& other) {
    return 1 - std::abs(dot(one.direction, other.direction)) <= 0.5 * sine * sine;
  });
}

/// The best of those that are near each other, best first.
std::vector<Found> distinct(std::vector<Found> found, double sine) {
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.score > b.score; });
  std::vector<Found> kept;
  for (Found& one : found) {
    if (!near_any(kept, one, sine)) kept.push_back(std::move(one));
  }
  return kept;
}

class Search {
 public:
  Search(Device& device, const HostMatrix& basis, Random& random, const RankOnePlan& plan)
      : subspace_(device, basis), newton_(subspace_), random_(random), plan_(plan) {}

  /// Tries so many more starts; how many more are known after it.
  std::size_t round(Index starts) {
    const std::size_t before = found_.size();
    const HostMatrix points = limits(starts);
    const HostMatrix c = subspace_.coordinates(points);
    std::vector<Found> reached;
    for (Index i = 0; i < starts; ++i) {
      const double score = dot(c.row(i), c.row(i), subspace_.m);
      if (!(score > 0)) continue;  // a start with nothing to follow
      reached.push_back({{points.row(i), points.row(i) + subspace_.d}, score});
    }
    for (Found& one : distinct(std::move(reached), kSameLimit * plan_.merge)) {
      if (near_any(found_, one, kSameLimit * plan_.merge)) continue;
      one.score = newton_.polish(one.direction);
      found_.push_back(std::move(one));
    }
    found_ = distinct(std::move(found_), plan_.merge);
    starts_ += starts;
    return found_.size() - std::min(before, found_.size());
  }

  Index accepted() const {
    return std::count_if(found_.begin(), found_.end(),
                         [&](const Found& one) { return one.score >= plan_.accept; });
  }

  RankOnes best(Index wanted) const {
    RankOnes result;
    result.directions = HostMatrix(0, subspace_.d);
    result.starts = starts_;
    for (Index i = 0; i < std::min(wanted, accepted()); ++i) {
      const Found& one = found_[static_cast<std::size_t>(i)];
      result.directions.append_row(one.direction.data(), subspace_.d);
      result.scores.push_back(one.score);
    }
    return result;
  }

 private:
  /// Where so many starts lead, [starts, D].
  HostMatrix limits(Index starts) {
    const bool ascent = plan_.method == RankOnePlan::Method::ascent;
    const int iterations = plan_.iterations;
    HostMatrix points = download(
        subspace_.device, random_.gaussian_points(subspace_.device, Stream::directions, starts,
                                                  ascent ? subspace_.m : subspace_.d));
    if (ascent) {
      points = ascend(subspace_, plan_.gamma, iterations > 0 ? iterations : kAscentIterations,
                      std::move(points));
    }
    power(subspace_, iterations > 0 && !ascent ? iterations : kPowerIterations, points);
    return points;
  }

  Subspace subspace_;
  Newton newton_;
  Random& random_;
  const RankOnePlan& plan_;
  std::vector<Found> found_;  // distinct, the best first
  Index starts_ = 0;
};

void require_basis(const HostMatrix& basis) {
  require(basis.rows() >= 1 && symmetric_dimensions(basis.cols()) >= 1,
          "rank-one matrices: the subspace must have dimensions");
  for (Index i = 0; i < basis.size(); ++i) {
    require(std::isfinite(basis.data()[i]), "rank-one matrices: the basis must be finite");
  }
}

}  // namespace

RankOnes rank_one_search(Device& device, const HostMatrix& basis, Index wanted, Random& random,
                         const RankOnePlan& plan) {
  require_basis(basis);
  require(wanted >= 1 && plan.starts >= 0 && plan.rounds >= 1 && plan.iterations >= 0,
          "rank_one_search: one wanted and one round at least, no negative counts");
  require(plan.accept >= 0 && plan.accept <= 1 && plan.merge > 0 && plan.merge < 1,
          "rank_one_search: accept from 0 to 1, merge above 0 and below 1");
  require(plan.gamma > 0 && std::isfinite(plan.gamma), "rank_one_search: gamma must be positive");
  const auto stopped = [&] { return plan.stop && plan.stop(); };
  const Index starts = plan.starts > 0 ? plan.starts : kStartsPerDimension * basis.rows();
  Search search(device, basis, random, plan);
  for (int round = 0; round < plan.rounds; ++round) {
    if (stopped()) return search.best(wanted);
    const bool more = search.round(starts) > 0;
    if (search.accepted() >= wanted && (plan.accept > 0 || !more)) return search.best(wanted);
  }
  if (plan.accept > 0 && !stopped()) search.round(kLastStartsPerDimension * basis.rows());
  return search.best(wanted);
}

}  // namespace crease
