// learn_from_queries: checks, the noise of the answers, and the way to learn from them.
#include <crease/query_learner.hpp>

#include <algorithm>
#include <memory>
#include <string>

#include "src/learners/adaptive_learner.hpp"
#include "src/learners/noisy_learner.hpp"
#include "src/learners/query_memory.hpp"
#include "src/learners/query_plan.hpp"
#include "src/learners/slice_learner.hpp"
#include "src/learners/uniform_learner.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/curvature.hpp"

namespace crease {
namespace {

constexpr const char* kBendsSmoothly =
    "the target bends smoothly, as far as its answers show, it is no ReLU network: "
    "learn_from_hessians() (--learner hessian) is for ";
constexpr double kSmallStep = 2e-5;    // a million neurons have few kinks that near
constexpr double kLargestStep = 0.05;  // of answers with errors: ten thousand neurons, likewise

CurvaturePlan curvature_plan(const QueryRun& run, Index output) {
  CurvaturePlan plan;
  plan.output = output;
  plan.size = run.noise.size[static_cast<std::size_t>(output)];
  return plan;
}

/// A smooth function has no kinks: ends a run that would look for them until its budget is spent.
void end_where_smooth(QueryRun& run, const CurvaturePlan& plan) {
  if (probe_curvature(run.asker, run.random, plan) != Bending::smooth) return;
  const Index p = run.asker.outputs();
  const std::string whom =
      p == 1 ? "it" : "one output at a time, not for " + std::to_string(p) + " at once";
  throw EndOfRun(Outcome::not_reached, kBendsSmoothly + whom);
}

void end_where_smooth(QueryRun& run) {
  if (!run.noise.curved) return;
  CurvaturePlan plan = curvature_plan(run, *run.noise.curved);
  plan.step = kSmallStep;
  end_where_smooth(run, plan);
}

/// Of answers with errors, which hide small steps: with large ones a wide ReLU network looks the
/// same.
void end_where_smooth(QueryRun& run, double sigma) {
  CurvaturePlan plan = curvature_plan(run, 0);
  plan.sigma = sigma;
  plan.size = std::max(plan.size, sigma);
  if (hessian_step(plan.sigma, plan.size) <= kLargestStep) end_where_smooth(run, plan);
}

}  // namespace

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
    end_where_smooth(run);
    if (!uniform && !told && (run.noise.coarse || !is_exact(run.noise))) {
      AnswerNoise noise = measure_noise(run.asker, run.random, run.noise);
      run.noise = noise.model;
      if (!is_exact(run.noise)) {
        end_where_smooth(run, noise.sigma.front());
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
  end_report(run.asker, run.noise, strategy->network().neurons(), run.report);
  return {strategy->network(), run.report};
}

}  // namespace crease
