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

constexpr double kGood = 0.75;  // of the promised gain: damping too strong
constexpr double kPoor = 0.4;   // too weak
constexpr double kDown = 4;     // damping after a good step: a quarter
constexpr double kUp = 2;       // after a poor one
constexpr double kFailed = 8;   // after one that failed
constexpr double kAgain = 4;    // and so much more after every further one in a row
constexpr double kLeast = 1e-7;
constexpr double kLeastTurn = 1e-8;
constexpr double kMostTurn = 1;  // what counts where a plane was moved far away
constexpr int kStalledSteps = 2;

using End = HyperplaneFit::End;

/// |V' - V| of every plane: its angle where that is small.
std::vector<double> turns(const HostMatrix& before, const HostMatrix& after) {
  std::vector<double> result;
  for (Index i = 0; i < before.rows(); ++i) {
    double sum = 0;
    for (Index j = 0; j < before.cols(); ++j) {
      sum += (after(i, j) - before(i, j)) * (after(i, j) - before(i, j));
    }
    result.push_back(std::clamp(std::sqrt(sum), kLeastTurn, kMostTurn));
  }
  return result;
}

HyperplaneFit fit(Device& device, const FitRows& rows, const Hyperplanes& start,
                  const HyperplaneFitPlan& plan) {
  ScaleSolver solver(device, rows, plan.most_bytes);
  std::optional<ScaleSolver::Solution> at = solver.solve(start.planes);
  require(at.has_value(), "hyperplane fit: the start has no finite scales");
  HyperplaneFit result;
  result.first_rms = std::sqrt(at->mean_square);
  const double near = plan.near_noise * plan.noise;
  double damping = plan.damping;
  double least = plan.least_damping;
  std::vector<double> moved(static_cast<std::size_t>(start.neurons()),
                            std::clamp(plan.first_turn, kLeastTurn, kMostTurn));
  double failed = kFailed;
  int stalled = 0;
  int slow = 0;
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
    HyperplaneFitStep record{damping, 0, rms, std::numeric_limits<double>::infinity(), 0, false};
    std::vector<double> dampings;
    for (const double turn : moved) {
      dampings.push_back(std::max(damping * turn, least));
    }
    dampings.resize(dampings.size() + static_cast<std::size_t>(start.outputs()),
                    plan.least_damping);
    const auto change = linear->solve(dampings, early ? plan.loose : plan.tight,
                                      early ? plan.loose_iterations : plan.tight_iterations);
    std::optional<ScaleSolver::Solution> next;
    if (change) {
      record.cg_iterations = change->cg_iterations;
      record.predicted = std::sqrt(change->predicted);
      result.cg_iterations += change->cg_iterations;
      next = solver.solve(moved_planes(at->network, change->change));
    }
    if (next) record.rms = std::sqrt(next->mean_square);
    record.accepted = next && next->mean_square < at->mean_square;
    if (record.accepted) {
      moved = turns(at->network.planes, next->network.planes);
      record.turn = median(moved);
    }
    result.history.push_back(record);
    if (record.accepted) {
      const double gain = 1 - next->mean_square / at->mean_square;
      const double promised = at->mean_square - change->predicted;
      const double kept = (at->mean_square - next->mean_square) / promised;
      linear.reset();
      at = std::move(next);
      if (kept > kGood) damping = std::max(damping / kDown, kLeast);
      if (kept < kPoor) damping *= kUp;
      least = std::max(least / kFailed, plan.least_damping);
      failed = kFailed;
      stalled = gain < plan.stall ? stalled + 1 : 0;
      if (record.rms < near && gain < plan.near_gain) {
        result.end = End::at_noise;
        break;
      }
      if (stalled >= kStalledSteps) {
        result.end = End::stalled;
        break;
      }
      slow = gain < plan.slow_gain && record.rms > plan.slow_above ? slow + 1 : 0;
      if (slow > 0 && slow >= plan.slow_steps) {
        result.end = End::slow;
        break;
      }
    } else {
      if (rms < near) {
        result.end = End::at_noise;
        break;
      }
      damping *= failed;
      least *= failed;
      failed *= kAgain;
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
  for (Index i = 0; i < start.neurons() && !rows.offsets; ++i) {
    require(start.planes(i, start.inputs()) == 0,
            "hyperplane fit: the start must have no offsets where the rows have none");
  }
  require(plan.most_steps >= 0 && plan.dense_unknowns >= 0 && plan.loose_iterations >= 1 &&
              plan.tight_iterations >= 1 && plan.most_bytes >= 1,
          "hyperplane fit: the plan's counts must not be negative");
  for (const double value : {plan.damping, plan.first_turn, plan.least_damping, plan.most_damping,
                             plan.loose, plan.tight, plan.tighten, plan.noise, plan.near_noise,
                             plan.near_gain, plan.stall, plan.slow_gain, plan.slow_above}) {
    require(value >= 0 && std::isfinite(value),
            "hyperplane fit: the plan's numbers must be finite and not negative");
  }
  require(!plan.whiten || rows.offsets, "hyperplane fit: whitening moves offsets");
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
