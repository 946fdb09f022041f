// Directions from far out, and what saturates their neurons.
#include "src/learners/far_first_layer.hpp"

#include "src/stages/far_field.hpp"

namespace crease {

FarFirstLayer far_first_layer(SmoothRun& run) {
  const Index dimensions = run.basis.rows();
  const Index wanted = run.problem.neurons.value_or(dimensions);
  FarFirstLayer first;
  if (wanted > dimensions) {
    first.status = "FAR_FIELD_INCOMPLETE: " + std::to_string(wanted) +
                   " neurons of the first layer were asked for, and F varies in " +
                   std::to_string(dimensions) + " directions only";
    return first;
  }
  FarFieldPlan far;
  far.sigma = run.sigma;
  far.crude = true;  // corners and profiles need no more, and the last fit moves all directions
  if (!run.problem.neurons) far.most_steps = dimensions;
  run.asker.enter("lines");
  const FarField found = far_field(run.asker, run.random, run.basis, wanted, far);
  const Index count = found.directions.rows();
  if (found.too_many) {
    run.least_neurons = found.most_steps;
    first.status = "FAR_FIELD_INCOMPLETE: a line meets more than " + std::to_string(dimensions) +
                   " neurons of the first layer, and F varies in " + std::to_string(dimensions) +
                   " directions only";
    return first;
  }
  // With noise F may vary in fewer directions than its gradients could show.
  const bool may_be_fewer = run.sigma > 0 && !run.problem.neurons && count > 0;
  first.incomplete = count < wanted;
  if (first.incomplete && !may_be_fewer) {
    first.status = "FAR_FIELD_INCOMPLETE: " + std::to_string(count) + " of " +
                   std::to_string(wanted) + " directions of the first layer were found";
    return first;
  }
  first.layer = saturated_layer(found.directions, run.problem.first);
  run.asker.enter("corners");
  first.layer.reach = saturating_reach(run.asker, run.random, first.layer, run.sigma);
  return first;
}

}  // namespace crease
