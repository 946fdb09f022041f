// Directions from far out, and what saturates their neurons.
#include "src/learners/far_first_layer.hpp"

#include "src/small_dense.hpp"
#include "src/stages/far_field.hpp"

namespace crease {

std::string more_than_directions(const SmoothRun& run, Index neurons) {
  return because(reason::kFarFieldIncomplete,
                 std::to_string(neurons) +
                     " neurons of the first layer were asked for, and F varies in " +
                     std::to_string(run.basis.rows()) +
                     " directions only: the first of two layers must not have more");
}

FarFirstLayer far_first_layer(SmoothRun& run) {
  const Index dimensions = run.basis.rows();
  const Index wanted = run.problem.neurons.value_or(dimensions);
  FarFirstLayer first;
  if (wanted > dimensions) {
    first.status = more_than_directions(run, wanted);
    return first;
  }
  FarFieldPlan far;
  far.sigma = run.sigma;
  far.crude = true;  // corners and profiles need no more, and the last fit moves all directions
  // Noise may look like a step or two; fewer directions than inputs are one more sign of it.
  const bool all_inputs = dimensions == run.asker.inputs();
  const Index false_steps = run.sigma > 0 && all_inputs ? 2 + dimensions / 10 : 0;
  if (!run.problem.neurons) far.most_steps = dimensions + false_steps;
  run.asker.enter("lines");
  const FarField found = far_field(run.asker, run.random, run.basis, wanted, far);
  const Index count = found.directions.rows();
  if (found.too_many && run.sigma > 0 && !all_inputs) {
    // Gradients did not show all directions that F varies in.
    run.basis = identity(run.asker.inputs());
    return far_first_layer(run);
  }
  if (found.too_many) {
    run.least_neurons = found.most_steps;
    first.status = because(
        reason::kFarFieldIncomplete,
        "a line meets more than " + std::to_string(dimensions) +
            " neurons of the first layer, and F varies in so many directions only: the first of "
            "two layers must not have more");
    return first;
  }
  // With noise F may vary in fewer directions than its gradients could show.
  const bool may_be_fewer = run.sigma > 0 && !run.problem.neurons && count > 0;
  first.incomplete = count < wanted;
  if (first.incomplete && !may_be_fewer) {
    first.status = because(reason::kFarFieldIncomplete,
                           std::to_string(count) + " of " + std::to_string(wanted) +
                               " directions of the first layer were found");
    return first;
  }
  if (!are_independent(found.directions)) {
    first.status = because(reason::kFarFieldIncomplete,
                           "the directions of the first layer that were found are not linearly "
                           "independent");
    return first;
  }
  first.layer = saturated_layer(found.directions, run.problem.first);
  run.asker.enter("corners");
  first.layer.reach = saturating_reach(run.asker, run.random, first.layer, run.sigma);
  return first;
}

}  // namespace crease
