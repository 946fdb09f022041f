// learn_from_queries: checks, and the mode that was asked for.
#include <crease/query_learner.hpp>

#include "src/learners/adaptive_learner.hpp"
#include "src/learners/query_memory.hpp"
#include "src/learners/query_plan.hpp"
#include "src/learners/uniform_learner.hpp"

namespace crease {

Learned<ReluNetwork> learn_from_queries(Device& device, Oracle& oracle, const QueryProblem& problem,
                                        const QueryPlan& plan, const RunControl& run) {
  check(problem, plan, run);
  const Index d = oracle.input_dim();
  const Index p = oracle.output_dim();
  require(d >= 1 && p >= 1, "the oracle must have at least one input and one output");
  check_memory(device, plan, d, p, run.budget);
  if (plan.mode == QueryPlan::Mode::uniform) {
    return UniformLearner(device, oracle, problem, plan, run).learn();
  }
  return AdaptiveLearner(device, oracle, problem, plan, run).learn();
}

}  // namespace crease
