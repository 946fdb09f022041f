// Scans along every direction from far out.
#include "src/stages/attribution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kLeastAcross = 1e-6;  // of |<w_j, r>|: what keeps p finite

/// Points p [probes, D] of direction k.
HostMatrix far_points(Device& device, Random& random, const HostMatrix& directions, Index k,
                      const AttributionPlan& plan) {
  const Index dims = directions.cols();
  const double* along = directions.row(k);
  HostMatrix tried(0, dims);
  for (Index i = 0; i < plan.tries; ++i) {
    std::vector<double> r = random.normals(dims);
    const double inside = dot(r.data(), along, dims);
    for (Index j = 0; j < dims; ++j) r[static_cast<std::size_t>(j)] -= inside * along[j];
    tried.append_row(unit_vector(std::move(r)).data(), dims);
  }
  const HostMatrix across = product(device, tried, Transpose::no, directions, Transpose::yes);
  std::vector<double> least(static_cast<std::size_t>(plan.tries),
                            std::numeric_limits<double>::infinity());
  for (Index i = 0; i < plan.tries; ++i) {
    double& smallest = least[static_cast<std::size_t>(i)];
    for (Index j = 0; j < directions.rows(); ++j) {
      if (j != k) smallest = std::min(smallest, std::fabs(across(i, j)));
    }
  }
  std::vector<Index> order(least.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::partial_sort(order.begin(), order.begin() + plan.probes, order.end(), [&](Index a, Index b) {
    return least[static_cast<std::size_t>(a)] > least[static_cast<std::size_t>(b)];
  });
  HostMatrix points(plan.probes, dims);
  for (Index p = 0; p < plan.probes; ++p) {
    const Index best = order[static_cast<std::size_t>(p)];
    const double distance =
        plan.saturating / std::max(least[static_cast<std::size_t>(best)], kLeastAcross);
    for (Index j = 0; j < dims; ++j) points(p, j) = distance * tried(best, j);
  }
  return points;
}

}  // namespace

std::vector<double> saturation_scores(Asker& asker, Random& random, ConstHostView basis,
                                      const HostMatrix& directions, const AttributionPlan& plan) {
  const Index count = directions.rows();
  const Index dims = directions.cols();
  require(asker.outputs() == 1, "saturation_scores: of one output");
  require(basis.cols == asker.inputs() && basis.rows == dims,
          "saturation_scores: directions must be as wide as the basis is high");
  require(dims >= 2 && count >= 2, "saturation_scores: at least two directions of two dimensions");
  require(plan.probes >= 1 && plan.tries >= plan.probes && plan.points_of_scan >= 2,
          "saturation_scores: at least one probe, as many tries, and two points of a scan");
  require(plan.saturating > 0 && plan.reach > 0, "saturation_scores: distances must be above 0");
  Device& device = asker.device();
  const HostMatrix axes = HostMatrix(basis);
  const HostMatrix in_inputs = product(device, directions, Transpose::no, axes, Transpose::no);
  const Index d = asker.inputs();
  const Index of_direction = plan.probes * plan.points_of_scan;
  const Index at_once = std::max<Index>(1, asker.rows_at_once(1 + d) / of_direction);
  std::vector<double> scores;
  for (Index top = 0; top < count; top += at_once) {
    const Index some = std::min(at_once, count - top);
    HostMatrix x(some * of_direction, d);
    Index row = 0;
    for (Index k = top; k < top + some; ++k) {
      const HostMatrix points = product(device, far_points(device, random, directions, k, plan),
                                        Transpose::no, axes, Transpose::no);
      for (Index p = 0; p < plan.probes; ++p) {
        for (Index i = 0; i < plan.points_of_scan; ++i, ++row) {
          const double share =
              static_cast<double>(i) / static_cast<double>(plan.points_of_scan - 1);
          const double u = plan.reach * (2 * share - 1);
          for (Index j = 0; j < d; ++j) x(row, j) = points(p, j) + u * in_inputs(k, j);
        }
      }
    }
    const Round round = top == 0 ? Round::next : Round::same;
    const HostMatrix y = download(device, asker.points(upload(device, x), round));
    for (Index k = 0; k < some; ++k) {
      std::vector<double> ranges;
      for (Index p = 0; p < plan.probes; ++p) {
        const double* first = y.data() + k * of_direction + p * plan.points_of_scan;
        const auto [low, high] = std::minmax_element(first, first + plan.points_of_scan);
        ranges.push_back(*high - *low);
      }
      scores.push_back(median(std::move(ranges)));
    }
  }
  return scores;
}

}  // namespace crease
