// Secants in a hyperplane: differences of values, or of crossings found by bisection.
#include "src/stages/secants.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kSameEnd = 10;              // deviations, and ...
constexpr double kRelativeSameEnd = 0.02;    // ... part of the step that ends may differ by
constexpr double kRoundingOfPoints = 1e-15;  // relative, of <a, x>
constexpr double kNoTangent = 1e-6;          // of a unit vector: what rounding leaves
constexpr double kInsideWindow = 0.98;

std::vector<double> values_at(Asker& asker, const HostMatrix& x) {
  Device& device = asker.device();
  const HostMatrix y = download(device, asker.points(upload(device, x)));
  return {y.data(), y.data() + y.rows()};
}

/// Row `row` of x <- at + by * direction.
void place(const std::vector<double>& at, double by, const double* direction, HostMatrix& x,
           Index row) {
  for (Index j = 0; j < x.cols(); ++j) {
    x(row, j) = at[static_cast<std::size_t>(j)] + by * direction[j];
  }
}

/// normal <- unit(normal + sum_k tilts_k e_k)
void tilt(const HostMatrix& tangents, const std::vector<double>& tilts,
          std::vector<double>& normal) {
  for (Index k = 0; k < tangents.rows(); ++k) {
    for (Index j = 0; j < tangents.cols(); ++j) {
      normal[static_cast<std::size_t>(j)] += tilts[static_cast<std::size_t>(k)] * tangents(k, j);
    }
  }
  normal = unit_vector(normal);
}

/// The points that hold, so many at once that their secants fit into scratch.
std::vector<std::vector<LevelPoint*>> groups(const Asker& asker, Index rows,
                                             std::vector<LevelPoint>& points) {
  const auto most = static_cast<std::size_t>(asker.rows_at_once(rows * (1 + asker.inputs())));
  std::vector<std::vector<LevelPoint*>> all;
  for (LevelPoint& point : points) {
    if (!point.holds) continue;
    if (all.empty() || all.back().size() == most) all.emplace_back();
    all.back().push_back(&point);
  }
  return all;
}

/// The crossings of the points of a group and their secants' ends.
class Crossings {
 public:
  Crossings(Asker& asker, const HostMatrix& basis, const Bisection& plan,
            std::vector<LevelPoint*> points)
      : asker_(asker), plan_(plan), points_(std::move(points)), rows_(basis.rows()) {
    for (const LevelPoint* point : points_) {
      tangents_.push_back(tangents(basis, point->normal));
      rates_.push_back(1);
    }
  }

  void tilt_all() {
    compare_ends();
    bisect();
    for (std::size_t p = 0; p < points_.size(); ++p) conclude(p);
  }

 private:
  /// F at every start shifted by shift(p, k) along the normal.
  template <class Shift>
  std::vector<double> values(Shift&& shift) {
    HostMatrix x(static_cast<Index>(points_.size()) * rows_, asker_.inputs());
    for (std::size_t p = 0; p < points_.size(); ++p) {
      const LevelPoint& point = *points_[p];
      for (Index k = 0; k < rows_; ++k) {
        std::vector<double> start = point.at;
        for (std::size_t j = 0; k > 0 && j < start.size(); ++j) {
          start[j] += plan_.length * tangents_[p](k - 1, static_cast<Index>(j));
        }
        place(start, shift(p, k), point.normal.data(), x, static_cast<Index>(p) * rows_ + k);
      }
    }
    return values_at(asker_, x);
  }

  std::size_t index(std::size_t p, Index k) const {
    return p * static_cast<std::size_t>(rows_) + static_cast<std::size_t>(k);
  }

  void compare_ends() {
    const auto end = [&](double sign) {
      return values(
          [&](std::size_t p, Index) { return sign * (plan_.window + points_[p]->reach); });
    };
    const std::vector<double> low = end(-1);
    const std::vector<double> high = end(1);
    for (std::size_t p = 0; p < points_.size(); ++p) {
      LevelPoint& point = *points_[p];
      const double step = std::fabs(point.after - point.before);
      const double most = kSameEnd * plan_.sigma + kRelativeSameEnd * step;
      const double low0 = low[index(p, 0)];
      const double high0 = high[index(p, 0)];
      rates_[p] = high0 > low0 ? 1 : -1;
      if (!(std::fabs(std::fabs(high0 - low0) - step) <= most)) point.holds = false;
      for (Index k = 1; k < rows_; ++k) {
        if (!(std::fabs(low[index(p, k)] - low0) <= most &&
              std::fabs(high[index(p, k)] - high0) <= most)) {
          point.holds = false;
        }
      }
    }
    drop_what_does_not_hold();
  }

  void drop_what_does_not_hold() {
    std::size_t kept = 0;
    for (std::size_t p = 0; p < points_.size(); ++p) {
      if (!points_[p]->holds) continue;
      points_[kept] = points_[p];
      if (kept != p) tangents_[kept] = std::move(tangents_[p]);
      rates_[kept++] = rates_[p];
    }
    points_.resize(kept);
    tangents_.resize(kept);
    rates_.resize(kept);
  }

  void bisect() {
    const std::size_t count = points_.size() * static_cast<std::size_t>(rows_);
    low_.assign(count, -plan_.window);
    high_.assign(count, plan_.window);
    const int levels = static_cast<int>(std::ceil(std::log2(2 * plan_.window / plan_.precision)));
    for (int level = 0; level < levels && count > 0; ++level) {
      const std::vector<double> y =
          values([&](std::size_t p, Index k) { return middle(index(p, k)); });
      for (std::size_t p = 0; p < points_.size(); ++p) {
        const double half = 0.5 * (points_[p]->before + points_[p]->after);
        for (Index k = 0; k < rows_; ++k) {
          const std::size_t i = index(p, k);
          const double here = middle(i);
          ((y[i] > half) == (rates_[p] > 0) ? high_ : low_)[i] = here;
        }
      }
    }
  }

  double middle(std::size_t i) const { return 0.5 * (low_[i] + high_[i]); }

  void conclude(std::size_t p) {
    LevelPoint& point = *points_[p];
    std::vector<double> tilts;
    for (Index k = 0; k < rows_; ++k) {
      if (std::fabs(middle(index(p, k))) > kInsideWindow * plan_.window) point.holds = false;
      if (k > 0) tilts.push_back((middle(index(p, 0)) - middle(index(p, k))) / plan_.length);
    }
    if (!point.holds) return;
    for (std::size_t j = 0; j < point.at.size(); ++j) {
      point.at[j] += middle(index(p, 0)) * point.normal[j];
    }
    tilt(tangents_[p], tilts, point.normal);
  }

  Asker& asker_;
  const Bisection& plan_;
  std::vector<LevelPoint*> points_;
  Index rows_;  // of a point: itself and its secants' ends
  std::vector<HostMatrix> tangents_;
  std::vector<double> rates_;  // 1 where F rises along the normal, else -1
  std::vector<double> low_;
  std::vector<double> high_;
};

}  // namespace

std::vector<double> in_span(const HostMatrix& basis, const std::vector<double>& coordinates) {
  std::vector<double> x(static_cast<std::size_t>(basis.cols()));
  for (Index k = 0; k < basis.rows(); ++k) {
    for (Index j = 0; j < basis.cols(); ++j) {
      x[static_cast<std::size_t>(j)] += coordinates[static_cast<std::size_t>(k)] * basis(k, j);
    }
  }
  return x;
}

std::vector<double> random_unit(Random& random, const HostMatrix& basis) {
  return in_span(basis, unit_vector(random.normals(basis.rows())));
}

HostMatrix random_units(Random& random, const HostMatrix& basis, Index count) {
  HostMatrix rows(0, basis.cols());
  for (Index k = 0; k < count; ++k) {
    rows.append_row(random_unit(random, basis).data(), basis.cols());
  }
  return rows;
}

HostMatrix tangents(const HostMatrix& basis, const std::vector<double>& normal) {
  const Index count = basis.rows();
  const Index d = basis.cols();
  // The reflection that takes the normal, in coordinates of the basis, to the first axis: the other
  // axes' images are orthonormal to it.
  std::vector<double> mirror;
  for (Index k = 0; k < count; ++k) mirror.push_back(dot(basis.row(k), normal.data(), d));
  mirror[0] += mirror[0] < 0 ? -1 : 1;
  mirror = unit_vector(mirror);
  const std::vector<double> image = in_span(basis, mirror);
  HostMatrix rows(count - 1, d);
  for (Index k = 1; k < count; ++k) {
    for (Index j = 0; j < d; ++j) {
      rows(k - 1, j) = basis(k, j) -
                       2 * mirror[static_cast<std::size_t>(k)] * image[static_cast<std::size_t>(j)];
    }
  }
  return rows;
}

void tilt_by_differences(Asker& asker, const HostMatrix& basis, double length, double most,
                         std::vector<LevelPoint>& points) {
  const Index count = basis.rows();
  for (const std::vector<LevelPoint*>& group : groups(asker, count, points)) {
    HostMatrix x(static_cast<Index>(group.size()) * count, asker.inputs());
    std::vector<HostMatrix> along;
    Index row = 0;
    for (const LevelPoint* point : group) {
      along.push_back(tangents(basis, point->normal));
      place(point->at, 0, point->normal.data(), x, row++);
      for (Index k = 0; k + 1 < count; ++k) {
        place(point->at, length, along.back().row(k), x, row++);
      }
    }
    const std::vector<double> y = values_at(asker, x);
    for (std::size_t p = 0; p < group.size(); ++p) {
      const double* values = y.data() + p * static_cast<std::size_t>(count);
      std::vector<double> tilts;
      for (Index k = 1; k < count; ++k) {
        tilts.push_back((values[k] - values[0]) / (length * group[p]->slope));
        if (!(std::fabs(tilts.back()) <= most)) group[p]->holds = false;
      }
      if (group[p]->holds) tilt(along[p], tilts, group[p]->normal);
    }
  }
}

std::vector<bool> are_flat(Asker& asker, const HostMatrix& along, double length, double most,
                           double rounding, const std::vector<LevelPoint>& points) {
  const Index d = asker.inputs();
  HostMatrix x(0, d);
  for (const LevelPoint& point : points) {
    if (!point.holds) continue;
    x.append_row(point.at.data(), d);
    for (Index k = 0; k < along.rows(); ++k) {
      std::vector<double> way(along.row(k), along.row(k) + d);
      const double normal_part = dot(way, point.normal);
      for (std::size_t j = 0; j < way.size(); ++j) way[j] -= normal_part * point.normal[j];
      const double norm = std::sqrt(dot(way, way));
      for (std::size_t j = 0; j < way.size(); ++j) {
        way[j] = point.at[j] + (norm > kNoTangent ? length / norm : 0) * way[j];
      }
      x.append_row(way.data(), d);
    }
  }
  std::vector<bool> flat(points.size(), true);
  if (x.rows() == 0) return flat;
  const std::vector<double> y = values_at(asker, x);
  std::size_t row = 0;
  for (std::size_t p = 0; p < points.size(); ++p) {
    if (!points[p].holds) continue;
    const double here = y[row++];
    const double size = std::sqrt(dot(points[p].at, points[p].at));
    const double bound =
        (most * length + kRoundingOfPoints * size) * std::fabs(points[p].slope) + rounding;
    for (Index k = 0; k < along.rows(); ++k) {
      if (!(std::fabs(y[row++] - here) <= bound)) flat[p] = false;
    }
  }
  return flat;
}

void tilt_by_bisection(Asker& asker, const HostMatrix& basis, const Bisection& plan,
                       std::vector<LevelPoint>& points) {
  for (const std::vector<LevelPoint*>& group : groups(asker, basis.rows(), points)) {
    Crossings(asker, basis, plan, group).tilt_all();
  }
}

}  // namespace crease
