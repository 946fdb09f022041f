// Points deep inside the cells of a known network: everything in terms of the heights above its
// hyperplanes and the Gram matrix of their normals.
#include "src/stages/cells.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSingular = 1e-13;        // of the largest singular value: undetermined
constexpr Index kLook = 5;                 // steps between two looks at the margin
constexpr double kFarthestStep = 5;        // along a hyperplane, where another is nearly parallel
constexpr double kNearlyParallel = 1e-12;  // square of the sine of the angle, at least

/// One point that moves along normals: x = start + sum_j along_j normal_j, known by its heights.
class Walker {
 public:
  Walker(const Hypothesis& planes, const HostMatrix& gram, const double* above, double square)
      : planes_(planes),
        gram_(gram),
        z_(above, above + planes.neurons()),
        along_(z_.size(), 0.0),
        square_(square) {}

  Index size() const { return planes_.neurons(); }
  double height(Index j) const { return z_[static_cast<std::size_t>(j)]; }
  double rho() const { return std::sqrt(1 + std::max(0.0, square_)); }
  const std::vector<double>& along() const { return along_; }

  void move(Index j, double step) {
    const auto jj = static_cast<std::size_t>(j);
    square_ += step * (2 * (z_[jj] - planes_.bias[jj]) + step);
    along_[jj] += step;
    const double* row = gram_.row(j);
    for (std::size_t r = 0; r < z_.size(); ++r) z_[r] += step * row[r];
  }

  /// The distance to the first hyperplane but j along side * normal_j.
  double room(Index j, double side) const {
    double nearest = kInfinity;
    for (Index r = 0; r < size(); ++r) {
      if (r == j) continue;
      const double t = -side * height(r) / gram_(j, r);
      if (t > 0) nearest = std::min(nearest, t);
    }
    return nearest;
  }

  /// The tightest plane but `except`, on whose sides the point is to stay.
  Index tightest(const std::vector<double>& side, Index except) const {
    Index tightest = except == 0 ? 1 : 0;
    double least = kInfinity;
    for (Index j = 0; j < size(); ++j) {
      const double margin = side[static_cast<std::size_t>(j)] * height(j);
      if (j == except || !(margin < least)) continue;
      least = margin;
      tightest = j;
    }
    return tightest;
  }

 private:
  const Hypothesis& planes_;
  const HostMatrix& gram_;
  std::vector<double> z_;
  std::vector<double> along_;
  double square_;
};

std::vector<double> sides(const Walker& walker) {
  std::vector<double> side;
  for (Index j = 0; j < walker.size(); ++j) side.push_back(walker.height(j) < 0 ? -1.0 : 1.0);
  return side;
}

/// The best margin so far, and where it was.
struct Best {
  double margin = -kInfinity;
  std::vector<double> along;

  void offer(double candidate, const Walker& walker) {
    if (!(candidate > margin)) return;
    margin = candidate;
    along = walker.along();
  }
};

/// Pushes the tightest plane away until the margin is `aim`.
Best deepen(Walker& walker, double aim, const CellSearch& search) {
  Best best;
  const std::vector<double> side = sides(walker);
  for (Index step = 0;; ++step) {
    const Index j = walker.tightest(side, -1);
    const double own = side[static_cast<std::size_t>(j)];
    const double margin = own * walker.height(j);
    const bool last = step == search.steps || margin >= aim;
    if (last || step % kLook == 0) best.offer(margin / walker.rho(), walker);
    if (last) return best;
    walker.move(j, search.relaxation * (aim - margin) * own);
  }
}

/// The same within hyperplane i: normals are projected along its own.
Best deepen_within(Walker& walker, Index i, const HostMatrix& gram, double aim,
                   const CellSearch& search) {
  Best best;
  const std::vector<double> side = sides(walker);
  for (Index step = 0;; ++step) {
    if (walker.size() == 1) {
      best.offer(kInfinity, walker);
      return best;
    }
    const Index j = walker.tightest(side, i);
    const double own = side[static_cast<std::size_t>(j)];
    const double margin = own * walker.height(j);
    best.offer(margin / walker.rho(), walker);
    if (step == search.steps || margin >= aim) return best;
    const double sine = std::max(1 - gram(i, j) * gram(i, j), kNearlyParallel);
    const double length =
        std::clamp(search.relaxation * (aim - margin) * own / sine, -kFarthestStep, kFarthestStep);
    walker.move(j, length);
    walker.move(i, -length * gram(i, j));
  }
}

struct Starts {
  HostMatrix gram;    // [k, k]
  HostMatrix points;  // [n, d]
  HostMatrix above;   // [n, k]

  Starts(Device& device, Random& random, const Hypothesis& planes, Index count) {
    gram = product(device, planes.normals, Transpose::no, planes.normals, Transpose::yes);
    points = download(device, random.gaussian_points(device, Stream::cells, count, planes.inputs));
    above = heights(device, planes, points);
  }
  Walker walker(const Hypothesis& planes, Index i) const {
    return {planes, gram, above.row(i), dot(points.row(i), points.row(i), points.cols())};
  }
};

double draw_aim(Random& random, const CellSearch& search) {
  return std::exp(random.uniform(std::log(search.near), std::log(search.far)));
}

/// points += along * normals, and their heights.
CellPoints arrive(Device& device, const Hypothesis& planes, HostMatrix points,
                  const HostMatrix& along) {
  const HostMatrix moved = product(device, along, Transpose::no, planes.normals, Transpose::no);
  for (Index i = 0; i < points.size(); ++i) points.data()[i] += moved.data()[i];
  HostMatrix above = heights(device, planes, points);
  return {std::move(points), std::move(above)};
}

}  // namespace

HostMatrix heights(Device& device, const Hypothesis& planes, const HostMatrix& x) {
  HostMatrix out = product(device, x, Transpose::no, planes.normals, Transpose::yes);
  for (Index i = 0; i < out.rows(); ++i) {
    for (Index j = 0; j < out.cols(); ++j) out(i, j) += planes.bias[static_cast<std::size_t>(j)];
  }
  return out;
}

HostMatrix patterns(const Hypothesis& planes, const HostMatrix& above) {
  const Index k = planes.neurons();
  const Index p = planes.outputs;
  HostMatrix direction(k, p);
  for (Index j = 0; j < k; ++j) {
    const double* scale = planes.scales.row(j);
    const double size = std::sqrt(dot(scale, scale, p));
    for (Index o = 0; o < p && size > 0; ++o) direction(j, o) = scale[o] / size;
  }
  HostMatrix out(above.rows() * p, k + p);
  for (Index i = 0; i < above.rows(); ++i) {
    for (Index o = 0; o < p; ++o) {
      double* row = out.row(i * p + o);
      for (Index j = 0; j < k; ++j) row[j] = above(i, j) > 0 ? direction(j, o) : 0.0;
      row[k + o] = 1;
    }
  }
  return out;
}

CellPoints deep_points(Device& device, Random& random, const Hypothesis& planes, Index count,
                       const std::vector<Index>& beside, const CellSearch& search) {
  const Index k = planes.neurons();
  Starts starts(device, random, planes, count);
  if (k == 0) return {std::move(starts.points), std::move(starts.above)};
  HostMatrix along(count, k);
  for (Index i = 0; i < count; ++i) {
    Walker walker = starts.walker(planes, i);
    if (!beside.empty() && 2 * i >= count) {
      const Index j = beside[static_cast<std::size_t>(i) % beside.size()];
      walker.move(j, -walker.height(j));
      const double side = random.uniform(0, 1) < 0.5 ? 1.0 : -1.0;
      walker.move(j, side * 0.5 * std::min(walker.room(j, side), 1.0));
    }
    const Best best = deepen(walker, draw_aim(random, search), search);
    std::copy(best.along.begin(), best.along.end(), along.row(i));
  }
  return arrive(device, planes, std::move(starts.points), along);
}

CellPoints points_on_plane(Device& device, Random& random, const Hypothesis& planes, Index neuron,
                           Index tries, Index keep, const CellSearch& search) {
  require(neuron >= 0 && neuron < planes.neurons(), "points_on_plane: there is no such neuron");
  const Starts starts(device, random, planes, tries);
  std::vector<Best> found;
  for (Index i = 0; i < tries; ++i) {
    Walker walker = starts.walker(planes, i);
    walker.move(neuron, -walker.height(neuron));
    found.push_back(deepen_within(walker, neuron, starts.gram, draw_aim(random, search), search));
  }
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return found[a].margin > found[b].margin; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(keep)));
  HostMatrix points(0, planes.inputs);
  HostMatrix along(0, planes.neurons());
  for (const std::size_t i : order) {
    points.append_row(starts.points.row(static_cast<Index>(i)), planes.inputs);
    along.append_row(found[i].along.data(), planes.neurons());
  }
  return arrive(device, planes, std::move(points), along);
}

WeightedFit::WeightedFit(Device& device, const HostMatrix& rows, std::vector<double> sigma,
                         std::vector<double> unit)
    : device_(device), sigma_(std::move(sigma)), unit_(std::move(unit)) {
  const Index n = rows.rows();
  const Index q = rows.cols();
  require(n >= 1 && q >= 1, "WeightedFit: at least one row and one column");
  require(static_cast<Index>(sigma_.size()) == n && static_cast<Index>(unit_.size()) == q,
          "WeightedFit: one sigma a row, one unit a column");
  HostMatrix scaled(n, q);
  for (Index i = 0; i < n; ++i) {
    const double own = sigma_[static_cast<std::size_t>(i)];
    require(own > 0, "WeightedFit: every sigma must be above 0");
    for (Index j = 0; j < q; ++j) {
      scaled(i, j) = rows(i, j) / own * unit_[static_cast<std::size_t>(j)];
    }
  }
  factor_ = svd(std::move(scaled));
  const std::vector<double>& values = factor_.values;
  while (rank_ < values.size() && values[rank_] > kSingular * values[0]) ++rank_;
  conditioning_ = n < q || !(values[0] > 0) ? 0.0 : values.back() / values[0];
}

HostMatrix WeightedFit::in_sigmas(Index first, HostMatrix right) const {
  for (Index i = 0; i < right.rows(); ++i) {
    const double sigma = sigma_[static_cast<std::size_t>(first + i)];
    for (Index c = 0; c < right.cols(); ++c) right(i, c) /= sigma;
  }
  return right;
}

namespace {

HostMatrix rows_of(const HostMatrix& a, Index first, Index count) {
  require(first >= 0 && first + count <= a.rows(), "WeightedFit: one right-hand side a row");
  HostMatrix rows(count, a.cols());
  std::copy_n(a.row(first), rows.size(), rows.data());
  return rows;
}

}  // namespace

HostMatrix WeightedFit::share(Index first, const HostMatrix& right) const {
  HostMatrix inner = product(device_, rows_of(factor_.left, first, right.rows()), Transpose::yes,
                             in_sigmas(first, right), Transpose::no);
  for (Index i = static_cast<Index>(rank_); i < inner.rows(); ++i) {
    std::fill_n(inner.row(i), inner.cols(), 0.0);
  }
  return inner;
}

HostMatrix WeightedFit::unexplained(Index first, const HostMatrix& right,
                                    const HostMatrix& shares) const {
  const HostMatrix explained = product(device_, rows_of(factor_.left, first, right.rows()),
                                       Transpose::no, shares, Transpose::no);
  HostMatrix left = in_sigmas(first, right);
  for (Index i = 0; i < left.size(); ++i) left.data()[i] -= explained.data()[i];
  return left;
}

HostMatrix WeightedFit::unexplained(const HostMatrix& right) const {
  require(right.rows() == rows(), "WeightedFit: one right-hand side a row");
  return unexplained(0, right, share(0, right));
}

HostMatrix WeightedFit::solution(const HostMatrix& shares) const {
  HostMatrix inner = shares;
  for (Index i = 0; i < static_cast<Index>(rank_); ++i) {
    for (Index c = 0; c < inner.cols(); ++c) {
      inner(i, c) /= factor_.values[static_cast<std::size_t>(i)];
    }
  }
  HostMatrix u = product(device_, factor_.right, Transpose::yes, inner, Transpose::no);
  for (Index j = 0; j < u.rows(); ++j) {
    for (Index c = 0; c < u.cols(); ++c) u(j, c) *= unit_[static_cast<std::size_t>(j)];
  }
  return u;
}

HostMatrix WeightedFit::solve(const HostMatrix& right) const {
  require(right.rows() == rows(), "WeightedFit: one right-hand side a row");
  return solution(share(0, right));
}

HostMatrix WeightedFit::covariance() const {
  HostMatrix root = factor_.right;
  for (Index i = 0; i < root.rows(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    for (Index j = 0; j < root.cols(); ++j) {
      root(i, j) =
          ii < rank_ ? root(i, j) / factor_.values[ii] * unit_[static_cast<std::size_t>(j)] : 0.0;
    }
  }
  return product(device_, root, Transpose::yes, root, Transpose::no);
}

}  // namespace crease
