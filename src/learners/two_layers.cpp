// Two hidden layers: the first from far out, the second from corners.
#include <algorithm>
#include <utility>

#include "src/learners/far_first_layer.hpp"

namespace crease {
namespace {

constexpr Index kMoreNeurons = 8;  // of the second layer than of the first are tried
constexpr Index kFewSigns = 12;    // for which both layers at once take no long time

}  // namespace

SmoothAttempt learn_two_layers(SmoothRun& run, bool may_be_one) {
  const FarFirstLayer far = far_first_layer(run);
  if (!far.status.empty()) return {{}, far.status};
  const SaturatedLayer& first = far.layer;
  if (may_be_one) {
    std::optional<SmoothNetwork> single = one_layer_of(run, first);
    if (single) return {std::move(single), ""};
    run.asker.enter("corners");
  }
  const Index wanted = run.problem.neurons.value_or(run.basis.rows());
  CornersPlan plan;
  plan.neurons = run.problem.second_neurons;
  plan.sigma = run.sigma;
  plan.most_neurons =
      std::clamp<Index>(run.plan.most_unknowns / (wanted + 2), 1, wanted + kMoreNeurons);
  plan.stop = [&run] { return run.asker.would_end(); };
  Corners second = learn_corners(run.asker, run.random, first, run.problem.second, plan);
  const bool both = !second.determined || (!second.settled && wanted <= kFewSigns);
  if (both) {
    second = learn_both_layers(run.asker, run.random, first, run.problem.second, plan);
  }
  SmoothAttempt attempt;
  attempt.network = both ? second.second
                         : with_first_layer(run.asker, run.random, first, second.second, run.sigma);
  if (!second.settled && far.incomplete) {
    attempt.status = "FAR_FIELD_INCOMPLETE: with the " + std::to_string(first.directions.rows()) +
                     " directions that were found no second layer explains the answers";
  } else if (!second.settled) {
    attempt.status =
        "RESIDUAL_TOO_LARGE: no second layer explains the answers where the first one saturates "
        "(the best has " +
        std::to_string(attempt.network->neurons(1)) + " neurons)";
  }
  return attempt;
}

}  // namespace crease
