// Second differences at two steps.
#include "src/stages/curvature.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kVisible = 10;   // deviations of a second difference
constexpr double kByChance = 44;  // of 16 squares: their mean and five deviations
constexpr double kAgree = 0.05;   // relative difference of the two steps': truncation, or few kinks

}  // namespace

Bending probe_curvature(Asker& asker, Random& random, const CurvaturePlan& plan) {
  require(plan.output >= 0 && plan.output < asker.outputs(),
          "probe_curvature: there is no such output");
  const Index d = asker.inputs();
  const double step = plan.step > 0 ? plan.step : hessian_step(plan.sigma, plan.size);
  const std::array<double, 5> where = {0, step, -step, step / 2, -step / 2};
  HostMatrix x(0, d);
  for (Index i = 0; i < kCurvaturePoints; ++i) {
    const std::vector<double> center = random.normals(d);
    const std::vector<double> direction = unit_vector(random.normals(d));
    for (const double t : where) {
      std::vector<double> point = center;
      for (std::size_t j = 0; j < point.size(); ++j) point[j] += t * direction[j];
      x.append_row(point.data(), d);
    }
  }
  Device& device = asker.device();
  const HostMatrix y = download(device, asker.points(upload(device, x)));
  // Of a second difference: sqrt(1 + 4 + 1) answers' errors, and inner products that round as well.
  const double error = std::sqrt(6.0) * std::max(plan.sigma, 4 * kRounding * plan.size);
  Index flat = 0, smooth = 0;
  double score = 0;  // chi square, where the errors are known
  for (Index i = 0; i < kCurvaturePoints; ++i) {
    const auto at = [&](Index j) { return y(i * 5 + j, plan.output); };
    const auto second = [&](Index plus, double s) {
      return ((at(plus) - at(0)) + (at(plus + 1) - at(0))) / (s * s);
    };
    const double whole = second(1, step);
    const double half = second(3, step / 2);
    const double noise = kVisible * error / (step * step);
    score += std::pow(whole * kVisible / noise, 2);
    if (std::fabs(whole) <= noise) {
      ++flat;
    } else if (std::fabs(whole - half) <= kAgree * std::fabs(whole) + 4 * noise) {
      ++smooth;
    }
  }
  // What rounding makes is known in its order of magnitude only.
  if (plan.sigma > 0 ? score < kByChance : 2 * flat > kCurvaturePoints) return Bending::nowhere;
  return 2 * smooth > kCurvaturePoints ? Bending::smooth : Bending::unclear;
}

}  // namespace crease
