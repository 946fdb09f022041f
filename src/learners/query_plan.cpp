// The ranges of every number in a query plan.
#include "src/learners/query_plan.hpp"

#include <cmath>

namespace crease {
namespace {

void require_positive(double value, const char* what) {
  require(std::isfinite(value) && value > 0, std::string(what) + " must be finite and above 0");
}

void require_between(double value, double low, double high, const char* what) {
  require(value > low && value < high, std::string(what) + " must lie between " +
                                           std::to_string(low) + " and " + std::to_string(high));
}

}  // namespace

void check_uniform(const QueryPlan& plan) {
  require(std::isfinite(plan.resolution) && plan.resolution >= 0,
          "resolution must be finite and not negative");
  require(plan.certificate_points >= 0, "certificate_points must not be negative");
  require(plan.uniform_lines >= 1 && plan.uniform_intervals >= 2,
          "uniform_lines must be at least 1, uniform_intervals at least 2");
  require_positive(plan.uniform_span, "uniform_span");
  require_positive(plan.uniform_density, "uniform_density");
  require_between(plan.uniform_bias_share, 0, 1, "uniform_bias_share");
  require_between(plan.uniform_step, 0, 0.5, "uniform_step");
  require(plan.uniform_samples >= 16, "uniform_samples must be at least 16");
  require_between(plan.uniform_closeness, 0, 0.5, "uniform_closeness");
  if (plan.uniform_weight_bound)
    require_positive(*plan.uniform_weight_bound, "uniform_weight_bound");
  if (plan.uniform_bias_bound) require_positive(*plan.uniform_bias_bound, "uniform_bias_bound");
}

void check(const QueryProblem& problem, const QueryPlan& plan, const RunControl& run) {
  require_positive(problem.accuracy, "accuracy");
  require(problem.failure > 0 && problem.failure < 1, "failure must lie between 0 and 1");
  if (problem.lipschitz) require_positive(*problem.lipschitz, "lipschitz");
  if (problem.polish) require_between(*problem.polish, 0, 1, "polish");
  require(!problem.polish || plan.mode == QueryPlan::Mode::adaptive,
          "only the adaptive mode polishes");
  if (run.budget.queries) require(*run.budget.queries >= 1, "the budget must be at least 1 query");
  if (run.budget.seconds) require_positive(*run.budget.seconds, "the time budget");
  require(run.budget.device_bytes >= 1, "device_bytes must be at least 1");
  require(run.retries >= 0, "retries must not be negative");
  require(plan.certificate_points >= 0, "certificate_points must not be negative");
  require(plan.look_points >= 1, "look_points must be at least 1");
  require(std::isfinite(plan.resolution) && plan.resolution >= 0,
          "resolution must be finite and not negative");
  require_positive(plan.hunt_density, "hunt_density");
  require(plan.resolution == 0 || plan.hunt_density / plan.resolution < 0x1p53,
          "resolution must be large enough that the points of its hunt can be counted");
  require_positive(plan.sigmas, "sigmas");
  require(plan.first_cells >= 4 && plan.deflated_cells >= 4, "a line needs at least 4 cells");
  require_positive(plan.reach, "reach");
  require_between(plan.cell_share, 0, 0.5, "cell_share");
  require_between(plan.cell_step, 0, 1, "cell_step");
  require_between(plan.flank, 0, 0.5, "flank");
  require_positive(plan.angle_resolution, "angle_resolution");
  require(plan.line_rounds >= 1, "line_rounds must be at least 1");
  require(plan.line_points >= plan.first_cells + 1, "line_points must cover the first grid");
  require_between(plan.step_share, 0, 1, "step_share");
  require(plan.shrink > 1 && std::isfinite(plan.shrink), "shrink must be above 1");
  require(plan.retries >= 0, "retries must not be negative");
  require_positive(plan.gap_accuracy, "gap_accuracy");
  require(plan.gap_relax > 1 && std::isfinite(plan.gap_relax), "gap_relax must be above 1");
  require_positive(plan.neuron_accuracy, "neuron_accuracy");
  require_between(plan.group_conditioning, 0, 1, "group_conditioning");
  require(plan.lines >= 1 && plan.idle_lines >= 1, "lines and idle_lines must be at least 1");
  require(plan.noisy_lines >= 1 && plan.noisy_rounds >= 1 && plan.noisy_steps >= 1,
          "noisy_lines, noisy_rounds and noisy_steps must be at least 1");
  require(std::isfinite(plan.noisy_rows) && plan.noisy_rows > 1, "noisy_rows must be above 1");
  require_positive(plan.noisy_queries, "noisy_queries");
  require(plan.slice_from >= 1, "slice_from must be at least 1");
  require(plan.slice_size >= 0, "slice_size must not be negative");
  require(plan.slice_look_points >= 1, "slice_look_points must be at least 1");
  check_uniform(plan);
}

}  // namespace crease
