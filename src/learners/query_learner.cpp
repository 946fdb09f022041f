// learn_from_queries: checks, the noise of the answers, and the way to learn from them.
#include <crease/query_learner.hpp>

#include <memory>

#include "src/learners/adaptive_learner.hpp"
#include "src/learners/noisy_learner.hpp"
#include "src/learners/query_memory.hpp"
#include "src/learners/query_plan.hpp"
#include "src/learners/slice_learner.hpp"
#include "src/learners/uniform_learner.hpp"

namespace crease {

Learned<ReluNetwork> learn_from_queries(Device& device, Oracle& oracle, const QueryProblem& problem,
                                        const QueryPlan& plan, const RunControl& control) {
  check(problem, plan, control);
  const Index d = oracle.input_dim();
  const Index p = oracle.output_dim();
  require(d >= 1 && p >= 1, "the oracle must have at least one input and one output");
  check_memory(device, plan, d, p, control.budget);
  check_certificate(plan, p, oracle.answer_kind().sigmas, control.budget);

  QueryRun run(device, oracle, problem, plan, control);
  const bool uniform = plan.mode == QueryPlan::Mode::uniform;
  require(!uniform || !run.asker.knows_sigmas(),
          "the uniform mode needs answers of one accuracy, not a standard deviation of each");
  require(!problem.polish || !run.asker.knows_sigmas(),
          "a polish needs answers of one accuracy, not a standard deviation of each");
  std::unique_ptr<QueryStrategy> strategy;
  if (uniform) {
    strategy = std::make_unique<UniformLearner>(run);
  } else if (takes_slice(plan, d) && !run.asker.knows_sigmas()) {
    strategy = std::make_unique<SliceLearner>(run);
  } else {
    strategy = std::make_unique<AdaptiveLearner>(run);
  }
  begin_report(run.asker, control, uniform ? "uniform" : "adaptive", run.report);
  run.report.method = uniform ? "uniform" : "exact";
  const auto learn = [&] {
    if (!uniform) run.limit_learning();  // a uniform plan has its price in full
    const bool told = run.asker.knows_sigmas();
    run.noise = told ? told_noise(run.asker) : probe_noise(run.asker, run.random);
    if (!uniform && !told && (run.noise.coarse || !is_exact(run.noise))) {
      AnswerNoise noise = measure_noise(run.asker, run.random, run.noise);
      run.noise = noise.model;
      if (!is_exact(run.noise)) {
        run.report.method = "noisy";
        check_noisy_memory(device, plan, d, p, control.budget);
        strategy = std::make_unique<NoisyLearner>(run, std::move(noise));
      }
    }
    strategy->learn();
    if (const HostMatrix seen = strategy->rounded_answers(); !seen.empty()) {
      run.limit_learning();
      AnswerNoise noise = measure_noise(run.asker, run.random, run.noise, seen);
      run.noise = noise.model;
      check_noisy_memory(device, plan, d, p, control.budget);
      run.report.method = "noisy";
      forget_certificate(run.report);
      strategy = std::make_unique<NoisyLearner>(run, std::move(noise));
      strategy->learn();
    }
  };
  if (const auto end = how_it_ends(run.asker, learn)) {
    strategy->finish_short(end->outcome(), end->what());
  }
  if (problem.polish && !run.report.polish.asked) {
    run.asker.warn("no polish: the run did not come to where one could begin");
  }
  end_report(run.asker, run.noise, strategy->network(), run.report);
  return {strategy->network(), run.report};
}

}  // namespace crease
