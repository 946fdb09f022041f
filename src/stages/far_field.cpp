// Rounds of lines from far out: steps, gradients or secants at them, new directions kept.
#include "src/stages/far_field.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "src/stages/central_differences.hpp"
#include "src/stages/far_steps.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/secants.hpp"

namespace crease {
namespace {

// Lengths here are in units of sqrt(D): points of a line so far apart differ by about 1 in <a, x>.
constexpr double kRadius = 1e4;        // of the lines' origins, times m: steps are far apart
constexpr double kNoisyRadius = 1e6;   // secants are longer then
constexpr double kReach = 10;          // of a line, times its origin's length: 94 of 100 steps
constexpr double kReachOfCount = 100;  // where steps are counted: 99 of 100, ...
constexpr double kNoisyReachOfCount = 1000;  // ... or 999 of 1000, less precise
constexpr double kFinest = 30;               // of cells, about as long as a step
// Of differences; where the first, long one does not do, as with long weights, from short to long.
constexpr double kSecants[] = {10, 0.1, 1, 10, 10};

constexpr double kLongest = 0.25;  // part of the radius over m that a step may take
constexpr Index kCellsPerUnknown = 4;
constexpr Index kCellsOfAStep = 64;  // with a change, per direction: more is no step function

constexpr double kGradientStep = 1e-3;
constexpr double kNoisyGradientStep = 0.5;   // crude is enough
constexpr double kMostTilt = 0.01;           // of a gradient; most are off by 1e-6
constexpr Index kChecks = 4;                 // directions that a normal is checked along
constexpr double kFlat = 1e-9;               // tilt that passes the check
constexpr double kRelativeRounding = 1e-14;  // of an answer
constexpr double kNoiseOfCrossing = 4;       // times deviation over step: error of a crossing

constexpr double kLeastReach = 12;  // neurons of unit weights saturate within
constexpr double kSame = 1e-3;      // sine of an angle between normals of one neuron
constexpr double kHiddenBy = 1.5;   // times a step's reach hide it on other lines

class FarSearch {
 public:
  FarSearch(Asker& asker, Random& random, const HostMatrix& basis, Index wanted,
            const FarFieldPlan& plan)
      : asker_(asker),
        random_(random),
        basis_(basis),
        wanted_(wanted),
        plan_(plan),
        unit_(std::sqrt(static_cast<double>(basis.rows()))) {
    const double count = static_cast<double>(wanted);
    scan_.radius = (noisy() ? kNoisyRadius : kRadius) * count * unit_;
    scan_.finest = kFinest * unit_;
    scan_.longest = kLongest * scan_.radius / count;
    scan_.most_cells = kCellsOfAStep * (wanted + 1);
    scan_.sigma = plan.sigma;
    field_.directions = HostMatrix(0, basis.cols());
  }

  FarField found() {
    int stale = 0;
    while (field_.rounds < plan_.rounds && stale < plan_.most_stale && missing() > 0 &&
           !field_.too_many) {
      const Index before = missing();
      round();
      stale = missing() < before ? 0 : stale + 1;
    }
    return std::move(field_);
  }

 private:
  bool noisy() const { return plan_.sigma > 0; }
  Index missing() const { return wanted_ - field_.directions.rows(); }

  /// One line in the first round, then more: what one line shows is not measured again on others,
  /// and measuring costs more than scanning.
  std::vector<FarLine> lines() {
    const Index count = std::min<Index>(plan_.lines, Index{1} << std::min(field_.rounds, 30));
    std::vector<FarLine> all;
    for (Index l = 0; l < count; ++l) {
      FarLine line{random_unit(random_, basis_), random_unit(random_, basis_)};
      for (double& value : line.origin) value *= scan_.radius;
      all.push_back(std::move(line));
    }
    return all;
  }

  void round() {
    scan_.cells = kCellsPerUnknown * (missing() + 1);
    const bool counts = plan_.most_steps > 0 && field_.rounds == 0;
    scan_.reach = !counts ? kReach : noisy() ? kNoisyReachOfCount : kReachOfCount;
    scan_.most_steps = counts ? plan_.most_steps : 0;
    std::vector<FarStep> steps = far_steps(asker_, lines(), known_, scan_, size_);
    ++field_.rounds;
    field_.too_many = !steps.empty() && steps.front().at.empty();
    if (field_.too_many) {
      field_.most_steps = static_cast<Index>(steps.size());  // one line in the first round
      return;
    }
    std::stable_sort(steps.begin(), steps.end(), [](const FarStep& a, const FarStep& b) {
      return std::fabs(a.after - a.before) > std::fabs(b.after - b.before);
    });
    std::vector<LevelPoint> points = with_gradients(steps);
    noisy() ? bisect(points) : difference(points);
    for (std::size_t i = 0; i < points.size() && missing() > 0; ++i) {
      if (points[i].holds && is_new(points[i].normal)) keep(points[i], steps[i]);
    }
  }

  /// How far along the normal the step goes on either side.
  static double reach(const std::vector<double>& normal, const FarStep& step) {
    return std::max(kLeastReach, 0.5 * step.length * std::fabs(dot(normal, step.direction)));
  }

  std::vector<LevelPoint> with_gradients(const std::vector<FarStep>& steps) {
    HostMatrix centers(0, basis_.cols());
    for (const FarStep& step : steps) centers.append_row(step.at.data(), basis_.cols());
    if (steps.empty()) return {};
    const HostMatrix gradients =
        central_gradients(asker_, centers, basis_, noisy() ? kNoisyGradientStep : kGradientStep);
    std::vector<LevelPoint> points;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const double* row = gradients.row(static_cast<Index>(i));
      std::vector<double> gradient(row, row + basis_.rows());
      LevelPoint point;
      point.at = steps[i].at;
      point.slope = std::sqrt(dot(gradient, gradient));
      point.holds = point.slope > 0;
      if (!point.holds) gradient[0] = 1;
      point.normal = in_span(basis_, unit_vector(gradient));
      point.before = steps[i].before;
      point.after = steps[i].after;
      point.reach = reach(point.normal, steps[i]);
      points.push_back(std::move(point));
    }
    return points;
  }

  /// A normal is exact once F is flat along other tangents than those it was tilted by. What other
  /// neurons add where they are not quite saturated does not pass.
  void difference(std::vector<LevelPoint>& points) {
    const HostMatrix along = random_units(random_, basis_, kChecks);
    std::vector<LevelPoint> open = points;
    for (LevelPoint& point : points) point.holds = false;
    for (std::size_t pass = 0; pass < std::size(kSecants); ++pass) {
      const double length = kSecants[pass] * unit_;
      tilt_by_differences(asker_, basis_, length, kMostTilt, open);
      if (kSecants[pass] < kSecants[0]) continue;
      const std::vector<bool> flat =
          are_flat(asker_, along, length, kFlat, kRelativeRounding * size_, open);
      for (std::size_t i = 0; i < open.size(); ++i) {
        if (open[i].holds && flat[i]) {
          points[i] = open[i];
          open[i].holds = false;
        } else if (pass == 0 && !points[i].holds) {
          open[i] = points[i];
          open[i].holds = points[i].slope > 0;
        }
      }
    }
  }

  /// From a normal that is off by up to 45 degrees; every next secant's window is some times what
  /// the one before was precise to, at its length.
  std::vector<Bisection> bisections() const {
    std::vector<Bisection> levels = {{20 * unit_, 20 * unit_, 0.1, plan_.sigma},
                                     {400 * unit_, 8, 0.05, plan_.sigma}};
    if (!plan_.crude) levels.push_back({6000 * unit_, 8, 0.01, plan_.sigma});
    return levels;
  }

  void bisect(std::vector<LevelPoint>& points) {
    for (const Bisection& level : bisections()) tilt_by_bisection(asker_, basis_, level, points);
  }

  bool is_new(const std::vector<double>& normal) const {
    for (Index r = 0; r < field_.directions.rows(); ++r) {
      const double cosine = dot(normal.data(), field_.directions.row(r), basis_.cols());
      if (1 - std::fabs(cosine) < 0.5 * kSame * kSame) return false;
    }
    return true;
  }

  void keep(const LevelPoint& point, const FarStep& step) {
    field_.directions.append_row(point.normal.data(), basis_.cols());
    const double middle = dot(point.normal, point.at);
    double half = kHiddenBy * reach(point.normal, step);
    if (noisy()) {
      // At the far end of a line the tilt that is left counts.
      const Bisection last = bisections().back();
      const double tilt =
          (last.precision + kNoiseOfCrossing * plan_.sigma / std::fabs(step.after - step.before)) /
          last.length;
      half += kReach * scan_.radius * tilt;
    }
    known_.push_back({point.normal, middle - half, middle + half});
  }

  Asker& asker_;
  Random& random_;
  const HostMatrix& basis_;
  Index wanted_;
  const FarFieldPlan& plan_;
  double unit_;
  StepScan scan_;
  FarField field_;
  std::vector<KnownStep> known_;
  double size_ = 0;  // largest |F| so far
};

}  // namespace

FarField far_field(Asker& asker, Random& random, const HostMatrix& basis, Index wanted,
                   const FarFieldPlan& plan) {
  require(asker.outputs() == 1, "far_field: of one output");
  require(basis.cols() == asker.inputs(), "far_field: the basis must be as wide as the inputs");
  require(wanted >= 1 && wanted <= basis.rows(),
          "far_field: directions wanted must be between 1 and the basis' dimensions");
  require(plan.sigma >= 0 && std::isfinite(plan.sigma) && plan.lines >= 1,
          "far_field: a deviation >= 0, and at least one line");
  return FarSearch(asker, random, basis, wanted, plan).found();
}

}  // namespace crease
