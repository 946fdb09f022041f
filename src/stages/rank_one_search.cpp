// Fixed points from many starts, polished, distinct, the best first.
#include "src/stages/rank_one_search.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/subspace_iterations.hpp"
#include "src/stages/symmetric_span.hpp"

namespace crease {
namespace {

constexpr Index kStartsPerDimension = 8;
constexpr Index kLastStartsPerDimension = 40;
constexpr int kPowerIterations = 600;
constexpr int kAscentIterations = 150;
constexpr int kNewtonSteps = 8;
constexpr double kLastStep = 1e-8;  // of a unit vector: its square is rounding
constexpr double kRoundingOfScore = 1e-14;
constexpr double kSameLimit = 0.1;  // of plan.merge: starts that went to the same point

/// Newton's method for maxima of F on the sphere. With c_k = u^T W_k u, B = sum c_k W_k, Z = B u
/// and A = sum W_k u u^T W_k, gradient and Hessian on the tangents are 4 (Z - F u) and 4 (B + 2 A -
/// F). Power alone is slow where two u u^T of the subspace are near each other: there an error
/// falls by about angle^2 / 2 of itself in an iteration.
class Newton {
 public:
  explicit Newton(const SymmetricSubspace& subspace)
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

  const SymmetricSubspace& subspace_;
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
      points =
          ascent_directions(subspace_, plan_.gamma, iterations > 0 ? iterations : kAscentIterations,
                            std::move(points));
    }
    power_iterations(subspace_, iterations > 0 && !ascent ? iterations : kPowerIterations, points);
    return points;
  }

  SymmetricSubspace subspace_;
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
