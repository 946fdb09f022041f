// The polish as a step of a learner.
#include "src/learners/polish_step.hpp"

#include <cmath>

#include "src/stages/polish.hpp"

namespace crease {
namespace {

constexpr double kSmall = 1e-5;  // of the spread: more is not what rounding and gaps leave
constexpr double kSigmas = 10;

}  // namespace

std::optional<double> polish_if_asked(QueryRun& run, const Look& last_look, double spread,
                                      Hypothesis& hypothesis) {
  if (!run.problem.polish || !run.paid) return std::nullopt;
  run.report.polish.asked = true;
  run.report.polish.tolerance = *run.problem.polish;
  // Without a neuron F may be constant, its spread 0, and the rest rounding.
  const bool small = hypothesis.neurons() == 0 || last_look.rms <= kSmall * spread;
  const bool clean =
      hypothesis.has_base() && !last_look.errors.empty() && last_look.beyond == 0 && small;
  if (run.noise.format != "float64" || run.asker.knows_sigmas()) {
    run.asker.enter("polish");
    run.asker.warn("no polish: answers are not exact float64 (" + run.noise.format + ")");
    return std::nullopt;
  }
  if (!clean) {
    run.asker.enter("polish");
    run.asker.warn(
        "no polish: fresh points still show errors of the network, and a polish needs every "
        "neuron");
    return std::nullopt;
  }
  Polished polished =
      polish(run.asker, run.random, run.noise, *run.paid, *run.problem.polish, hypothesis);
  if (run.paid->dropped_fans() + run.paid->dropped_points() > 0) {
    run.asker.warn(std::to_string(run.paid->dropped_fans()) + " fans and " +
                   std::to_string(run.paid->dropped_points()) +
                   " points that were paid for did not fit into memory, and the polish went "
                   "without them");
  }
  run.report.polish = polished.report;
  if (!polished.message.empty()) run.asker.warn("polish: " + polished.message);
  if (!polished.accepted) return std::nullopt;
  hypothesis = std::move(polished.hypothesis);
  run.report.neuron_errors = std::move(polished.errors);
  return kSigmas * std::sqrt(static_cast<double>(hypothesis.inputs * hypothesis.outputs)) *
         polished.linear_error;
}

}  // namespace crease
