// Levenberg-Marquardt over all hyperplanes.
#include "src/stages/hyperplane_fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/hyperplane_scales.hpp"
#include "src/stages/hyperplane_step.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/whitening.hpp"

namespace crease {
namespace {

constexpr double kDown = 8;        // damping after a step that was taken: 1 / 8
constexpr double kUp = 8;          // after one that was not
constexpr double kStartUp = 1e-8;  // a first failure begins here at least
constexpr int kStalledSteps = 2;

using End = HyperplaneFit::End;

HyperplaneFit fit(Device& device, const FitRows& rows, const Hyperplanes& start,
                  const HyperplaneFitPlan& plan) {
  ScaleSolver solver(device, rows, plan.most_bytes);
  std::optional<ScaleSolver::Solution> at = solver.solve(start.planes);
  require(at.has_value(), "hyperplane fit: the start has no finite scales");
  HyperplaneFit result;
  result.first_rms = std::sqrt(at->mean_square);
  const double near = plan.near_noise * plan.noise;
  double damping = plan.damping;
  int stalled = 0;
  std::optional<HyperplaneStep> linear;
  for (Index step = 0; step < plan.most_steps; ++step) {
    if (plan.stop && plan.stop()) {
      result.end = End::stopped;
      break;
    }
    const double rms = std::sqrt(at->mean_square);
    if (!(rms > 0)) {
      result.end = End::stalled;  // nothing is left to fit
      break;
    }
    const bool early = rms > plan.tighten * result.first_rms;
    if (!linear) linear.emplace(device, solver, *at, plan);
    HyperplaneFitStep record{damping, 0, std::numeric_limits<double>::infinity(), false};
    const auto change = linear->solve(damping, early ? plan.loose : plan.tight,
                                      early ? plan.loose_iterations : plan.tight_iterations);
    std::optional<ScaleSolver::Solution> next;
    if (change) {
      record.cg_iterations = change->cg_iterations;
      result.cg_iterations += change->cg_iterations;
      next = solver.solve(moved_planes(at->network, change->change));
    }
    if (next) record.rms = std::sqrt(next->mean_square);
    record.accepted = next && next->mean_square < at->mean_square;
    result.history.push_back(record);
    if (record.accepted) {
      const double gain = 1 - next->mean_square / at->mean_square;
      linear.reset();
      at = std::move(next);
      damping = std::max(damping / kDown, plan.least_damping);
      stalled = gain < plan.stall ? stalled + 1 : 0;
      if (record.rms < near && gain < plan.near_gain) {
        result.end = End::at_noise;
        break;
      }
      if (stalled >= kStalledSteps) {
        result.end = End::stalled;
        break;
      }
    } else {
      if (rms < near) {
        result.end = End::at_noise;
        break;
      }
      damping = std::max(damping, kStartUp) * kUp;
      if (damping > plan.most_damping) {
        result.end = End::most_damping;
        break;
      }
    }
  }
  result.rms = std::sqrt(at->mean_square);
  result.network = std::move(at->network);
  return result;
}

}  // namespace

HyperplaneFit fit_hyperplanes(Device& device, const FitRows& rows, Hyperplanes start,
                              const HyperplaneFitPlan& plan) {
  require(start.inputs() == rows.x.cols && start.outputs() == rows.y.cols,
          "hyperplane fit: the start must be as wide as x and y");
  require(plan.most_steps >= 0 && plan.dense_unknowns >= 0 && plan.loose_iterations >= 1 &&
              plan.tight_iterations >= 1 && plan.most_bytes >= 1,
          "hyperplane fit: the plan's counts must not be negative");
  for (const double value :
       {plan.damping, plan.least_damping, plan.most_damping, plan.loose, plan.tight, plan.tighten,
        plan.noise, plan.near_noise, plan.near_gain, plan.stall}) {
    require(value >= 0 && std::isfinite(value),
            "hyperplane fit: the plan's numbers must be finite and not negative");
  }
  if (!plan.whiten) return fit(device, rows, start, plan);
  const Whitening whitening(device, rows.x);
  const DeviceMatrix white = whitening.points(device, rows.x);
  FitRows turned = rows;
  turned.x = white;
  HyperplaneFit result = fit(device, turned, whitening.into(start), plan);
  result.network = whitening.back(result.network);
  return result;
}

}  // namespace crease
