// Where to put new fans: pairs on both sides of a hyperplane, and fat cells.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/cells.hpp"
#include "src/stages/fan_design.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kShrink = 0.9;        // of the way to the first hyperplane
constexpr double kLongest = 2;         // steps, in units of rho
constexpr double kBeside = 3;          // guards between a pair's centres and their hyperplane ...
constexpr double kLeastBeside = 1e-7;  // ... and at least this
constexpr double kOwnGuard = 0.3;      // of a height that is smaller than its guard
constexpr Index kPlaneTries = 64;
constexpr Index kPlaneKept = 4;
constexpr Index kPlaneSteps = 300;
constexpr Index kPool = 400;  // candidates, or this many for each fan that may be needed
constexpr Index kPoolForEach = 2;
constexpr double kLeastGain =
    1e-3;  // of what is left, over 4 k: a fan that gains less is not worth it
constexpr Index kOwnDirections = 128;  // inputs up to which directions of a fan's own are tried
constexpr double kOwnGain = 0.7;       // that sigma must fall by

/// How good a fan will be.
struct Steps {
  std::vector<double> length;  // [q], signed; empty where there is no room
  std::vector<double> sigma;   // [p]
  double worst() const {
    return sigma.empty() ? kInfinity : *std::max_element(sigma.begin(), sigma.end());
  }
};

class Chooser {
 public:
  Chooser(Device& device, Random& random, const UnitNetwork& network, const Hypothesis& planes,
          const NoiseModel& noise, const std::shared_ptr<const HostMatrix>& directions,
          FanDesign& design)
      : device_(device),
        random_(random),
        network_(network),
        planes_(planes),
        noise_(noise),
        directions_(directions),
        design_(design),
        guard_(network.guards()),
        rise_(product(device, planes.normals, Transpose::no, *directions, Transpose::yes)) {}

  std::vector<WantedFan> pairs(const std::vector<Index>& bad, Index most_fans);
  std::vector<WantedFan> cells(const std::vector<Index>& bad, const DesignLimits& limits);

 private:
  Index k() const { return planes_.neurons(); }
  Index p() const { return planes_.outputs; }
  Steps steps(const double* above, const std::vector<double>& guard, double rho,
              const HostMatrix& rise) const;
  void take_own_directions(WantedFan& fan, const double* above) const;
  HostMatrix rows_of(const WantedFan& fan) const;
  WantedFan wanted(const double* center, const double* above, Steps steps) const;

  Device& device_;
  Random& random_;
  const UnitNetwork& network_;
  const Hypothesis& planes_;
  const NoiseModel& noise_;
  const std::shared_ptr<const HostMatrix>& directions_;
  FanDesign& design_;
  std::vector<double> guard_;
  HostMatrix rise_;  // [k, d] <normal_i, direction_j>
};

/// Along +direction or -direction, whichever leaves the cell later.
Steps Chooser::steps(const double* above, const std::vector<double>& guard, double rho,
                     const HostMatrix& rise) const {
  const auto q = static_cast<std::size_t>(directions_->rows());
  std::vector<double> up(q, 0.0);    // 1 / distance to the first hyperplane along +direction
  std::vector<double> down(q, 0.0);  // ... and along -direction
  for (Index i = 0; i < k(); ++i) {
    const double room = std::abs(above[i]) - guard[static_cast<std::size_t>(i)];
    if (!(room > 0)) return {};
    const double factor = (above[i] > 0 ? -1 : 1) / room;
    const double* row = rise.row(i);
    for (std::size_t j = 0; j < q; ++j) {
      const double towards = row[j] * factor;
      up[j] = std::max(up[j], towards);
      down[j] = std::max(down[j], -towards);
    }
  }
  Steps out;
  double inverse_squares = 0;  // sums of 1 / step^2 and of (rho^2 + step^2 + rho^2) / step^2
  double far_squares = 0;
  for (std::size_t j = 0; j < q; ++j) {
    const double nearest = std::max(std::min(up[j], down[j]), kShrink / (kLongest * rho));
    const double length = kShrink / nearest;
    out.length.push_back(up[j] <= down[j] ? length : -length);
    inverse_squares += 1 / (length * length);
    far_squares += (2 * rho * rho + length * length) / (length * length);
  }
  const auto count = static_cast<double>(q);
  for (std::size_t o = 0; o < static_cast<std::size_t>(p()); ++o) {
    const double absolute = noise_.absolute[o];
    const double relative = noise_.relative[o];
    out.sigma.push_back(std::sqrt(
        (2 * absolute * absolute * inverse_squares + relative * relative * far_squares) / count));
  }
  return out;
}

WantedFan Chooser::wanted(const double* center, const double* above, Steps steps) const {
  WantedFan fan;
  fan.center.assign(center, center + planes_.inputs);
  fan.directions = directions_;
  fan.steps = std::move(steps.length);
  fan.sigma = std::move(steps.sigma);
  fan.room = kInfinity;
  for (Index i = 0; i < k(); ++i) {
    fan.active.push_back(above[i] > 0);
    fan.room = std::min(fan.room, std::abs(above[i]));
  }
  return fan;
}

HostMatrix Chooser::rows_of(const WantedFan& fan) const {
  return coefficients(network_, {FanRows{nullptr, fan.active, fan.sigma}});
}

/// Directions whose first ones span the normals of the tightest hyperplanes: the others never meet
/// these.
void Chooser::take_own_directions(WantedFan& fan, const double* above) const {
  const Index d = planes_.inputs;
  if (d > kOwnDirections || d < 2 || k() < 1) return;
  std::vector<Index> order(static_cast<std::size_t>(k()));
  for (Index i = 0; i < k(); ++i) order[static_cast<std::size_t>(i)] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return std::abs(above[a]) < std::abs(above[b]); });
  const double rho = std::sqrt(1 + dot(fan.center, fan.center));
  const double before = *std::max_element(fan.sigma.begin(), fan.sigma.end());
  double best = kOwnGain * before;
  for (const Index tight : {Index{2}, Index{8}, d / 2, d - 1}) {
    const Index count = std::min({tight, d, k()});
    if (count < 1) continue;
    HostMatrix own(0, d);
    for (Index i = 0; i < count; ++i) {
      own.append_row(planes_.normals.row(order[static_cast<std::size_t>(i)]), d);
    }
    while (own.rows() < d) own.append_row(random_.normals(d).data(), d);
    DeviceMatrix on_device = upload(device_, own);
    orthonormal_rows(device_, on_device);
    own = download(device_, on_device);
    const HostMatrix rise = product(device_, planes_.normals, Transpose::no, own, Transpose::yes);
    Steps better = steps(above, guard_, rho, rise);
    if (!(better.worst() < best)) continue;
    best = better.worst();
    fan.directions = std::make_shared<const HostMatrix>(std::move(own));
    fan.steps = std::move(better.length);
    fan.sigma = std::move(better.sigma);
  }
}

std::vector<WantedFan> Chooser::pairs(const std::vector<Index>& bad, Index most_fans) {
  CellSearch search;
  search.steps = kPlaneSteps;
  std::vector<WantedFan> out;
  for (const Index i : bad) {
    if (static_cast<Index>(out.size()) + 2 > most_fans) break;
    if (design_.good(i)) continue;
    const auto ii = static_cast<std::size_t>(i);
    const double beside = std::max(kBeside * guard_[ii], kLeastBeside);
    const CellPoints found =
        points_on_plane(device_, random_, planes_, i, kPlaneTries, kPlaneKept, search);
    double best = kInfinity;
    std::vector<WantedFan> sides;
    for (Index c = 0; c < found.points.rows(); ++c) {
      std::vector<WantedFan> both;
      double error = 0;
      for (const double side : {1.0, -1.0}) {
        HostMatrix x(1, planes_.inputs);
        for (Index j = 0; j < planes_.inputs; ++j) {
          x(0, j) =
              found.points(c, j) + (side * beside - found.above(c, i)) * planes_.normals(i, j);
        }
        const HostMatrix above = heights(device_, planes_, x);
        std::vector<double> guard = guard_;
        for (Index j = 0; j < k(); ++j) {
          double& own = guard[static_cast<std::size_t>(j)];
          own = std::min(own, kOwnGuard * std::abs(above(0, j)));
        }
        Steps steps_here =
            steps(above.row(0), guard, std::sqrt(1 + dot(x.row(0), x.row(0), x.cols())), rise_);
        error = std::hypot(error, steps_here.worst());
        both.push_back(wanted(x.row(0), above.row(0), std::move(steps_here)));
      }
      if (!(error < best)) continue;
      best = error;
      sides = std::move(both);
    }
    for (WantedFan& fan : sides) {
      design_.add(rows_of(fan), fan.sigma);
      fan.of_pair = true;
      out.push_back(std::move(fan));
    }
  }
  return out;
}

std::vector<WantedFan> Chooser::cells(const std::vector<Index>& bad, const DesignLimits& limits) {
  const Index count = std::max(kPool, kPoolForEach * limits.most_fans);
  const CellPoints pool = deep_points(device_, random_, planes_, count, bad);
  std::vector<WantedFan> candidates;
  HostMatrix rows(0, k() + p());
  std::vector<double> sigma;
  for (Index c = 0; c < count; ++c) {
    const double* x = pool.points.row(c);
    Steps here = steps(pool.above.row(c), guard_, std::sqrt(1 + dot(x, x, planes_.inputs)), rise_);
    if (here.length.empty()) here.sigma.assign(static_cast<std::size_t>(p()), kInfinity);
    candidates.push_back(wanted(x, pool.above.row(c), std::move(here)));
    const HostMatrix own = rows_of(candidates.back());
    for (Index o = 0; o < p(); ++o) rows.append_row(own.row(o), own.cols());
    sigma.insert(sigma.end(), candidates.back().sigma.begin(), candidates.back().sigma.end());
  }
  Greedy greedy(design_, std::move(rows), std::move(sigma), p());
  std::vector<WantedFan> out;
  while (static_cast<Index>(out.size()) < limits.most_fans) {
    if (design_.all_good()) break;
    const Index c = greedy.next(kLeastGain / static_cast<double>(std::max<Index>(1, 4 * k())));
    if (c < 0) break;
    WantedFan fan = std::move(candidates[static_cast<std::size_t>(c)]);
    take_own_directions(fan, pool.above.row(c));
    out.push_back(std::move(fan));
  }
  return out;
}

}  // namespace

std::vector<WantedFan> choose_fans(Device& device, Random& random, const UnitNetwork& network,
                                   const Hypothesis& planes, const NoiseModel& noise,
                                   const std::shared_ptr<const HostMatrix>& directions,
                                   const DesignLimits& limits, FanDesign& design) {
  if (limits.most_fans < 1 || design.all_good()) return {};
  const Index k = planes.neurons();
  const std::vector<Index> bad = design.bad_neurons(k);
  Chooser chooser(device, random, network, planes, noise, directions, design);
  const auto cells_needed =
      static_cast<double>(k + planes.outputs) / static_cast<double>(planes.outputs);
  if (!bad.empty() && static_cast<double>(bad.size()) <= limits.pair_share * cells_needed) {
    return chooser.pairs(bad, limits.most_fans);
  }
  return chooser.cells(bad, limits);
}

}  // namespace crease
