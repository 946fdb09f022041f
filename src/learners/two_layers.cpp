// Two hidden layers: the first from far out, the second from corners.
#include <chrono>
#include <cstdio>
#include <utility>

#include "src/learners/far_first_layer.hpp"

namespace crease {
namespace {

constexpr std::chrono::seconds kSilence{5};  // within fits, between progress reports
constexpr Index kFewSigns = 12;              // for which both layers at once take no long time

/// Why no second layer of so many neurons is looked for; empty where one is.
std::string too_many_told(const SmoothRun& run) {
  if (!run.problem.second_neurons) return "";
  const Index neurons = *run.problem.second_neurons;
  const Index first = run.problem.neurons.value_or(run.basis.rows());
  const Index unknowns = neurons * (first + 2) + 1;
  if (unknowns <= run.plan.most_unknowns) return "";
  return because(reason::kTooManyUnknowns,
                 "a second layer of " + std::to_string(neurons) + " neurons has " +
                     std::to_string(unknowns) + " unknowns, at most " +
                     std::to_string(run.plan.most_unknowns) + " (most_unknowns)");
}

}  // namespace

SmoothAttempt learn_two_layers(SmoothRun& run, bool may_be_one) {
  if (std::string reason = too_many_told(run); !reason.empty()) return {{}, std::move(reason)};
  const FarFirstLayer far = far_first_layer(run);
  if (!far.status.empty()) return {{}, far.status};
  const SaturatedLayer& first = far.layer;
  if (may_be_one) {
    OneLayerFromAfar single = one_layer_of(run, first);
    if (single.is_linear) return {std::move(single.network), ""};
    run.asker.enter("corners");
  }
  CornersPlan plan;
  plan.neurons = run.problem.second_neurons;
  plan.sigma = run.sigma;
  plan.most_unknowns = run.plan.most_unknowns;
  if (!plan.neurons) {
    plan.least_neurons = least_second_neurons(run.asker, run.random, first, run.sigma);
  }
  plan.tried = [&run](Index neurons, double rms) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2g", rms);
    run.asker.report("a second layer of " + std::to_string(neurons) + " neurons leaves " + text +
                     " standard deviations of F at corners");
  };
  auto reported = std::chrono::steady_clock::now();
  plan.stop = [&run, &reported] {
    const auto now = std::chrono::steady_clock::now();
    if (now - reported > kSilence) {
      run.asker.report();
      reported = now;
    }
    return run.asker.would_end();
  };
  Corners second = learn_corners(run.asker, run.random, first, run.problem.second, plan);
  const bool both = !second.determined || (!second.settled && first.directions.rows() <= kFewSigns);
  if (both) {
    second = learn_both_layers(run.asker, run.random, first, run.problem.second, plan);
  }
  SmoothAttempt attempt;
  attempt.network = both ? second.second
                         : with_first_layer(run.asker, run.random, first, second.second, run.sigma);
  // Where F varies in fewer directions than there are inputs, the last fit and its lift cost less.
  const bool all_inputs = run.basis.rows() == run.asker.inputs();
  if (!both && second.settled && run.sigma == 0 && all_inputs) {
    try {
      attempt.network = with_exact_directions(run.asker, run.random, first, second.second,
                                              *attempt.network, plan.stop);
    } catch (const EndOfRun&) {
      // What there is must not be lost: the next question ends the run.
    }
  }
  if (!second.settled && far.incomplete) {
    attempt.status =
        because(reason::kFarFieldIncomplete,
                "with the " + std::to_string(first.directions.rows()) +
                    " directions that were found no second layer explains the answers");
  } else if (!second.settled && second.cut) {
    attempt.status =
        because(reason::kTooManyUnknowns,
                "second layers of more neurons than were tried have more than " +
                    std::to_string(run.plan.most_unknowns) + " unknowns (most_unknowns)");
  } else if (!second.settled) {
    attempt.status = because(
        reason::kResidualTooLarge,
        "no second layer explains the answers where the first one saturates (the best has " +
            std::to_string(attempt.network->neurons(1)) + " neurons)");
  }
  return attempt;
}

}  // namespace crease
