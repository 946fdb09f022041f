// One run of learn_from_queries: what its parts share, and the ways there are to learn.
#pragma once

#include <crease/query_learner.hpp>

#include <memory>

#include "src/stages/ask.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/paid.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// What every stage of a run may use. The problem, the plan and the control outlive it.
struct QueryRun {
  QueryRun(Device& device_of_run, Oracle& oracle, const QueryProblem& problem_of_run,
           const QueryPlan& plan_of_run, const RunControl& control_of_run)
      : device(device_of_run),
        problem(problem_of_run),
        plan(plan_of_run),
        control(control_of_run),
        owned_asker(std::make_unique<Asker>(device, oracle, control)),
        asker(*owned_asker),
        random(control.seed) {
    if (!problem.polish || asker.knows_sigmas()) return;
    paid.emplace(asker.inputs(), asker.outputs(), control.budget.device_bytes);
    asker.keep(&*paid);
  }

  /// A run within a run, with questions, random decisions and a report of its own: of F on a slice,
  /// say. Budget, counts and events are those of the Asker that its own one looks through.
  QueryRun(const QueryRun& outer, const QueryPlan& plan_of_run, std::unique_ptr<Asker> view,
           Seed seed)
      : device(outer.device),
        problem(outer.problem),
        plan(plan_of_run),
        control(outer.control),
        owned_asker(std::move(view)),
        asker(*owned_asker),
        random(seed) {}

  /// Queries kept for the certificate: its size, or a quarter of the budget where that is less.
  Index reserved() const {
    return control.budget.queries ? std::min(plan.certificate_points, *control.budget.queries / 4)
                                  : 0;
  }
  /// Learning may ask all but the reserved queries; the certificate may ask those too.
  void limit_learning() {
    if (!control.budget.queries) return;
    asker.limit(std::max(asker.charged(), *control.budget.queries - reserved()));
  }
  void lift_limit() { asker.limit(control.budget.queries); }

  Device& device;
  const QueryProblem& problem;
  const QueryPlan& plan;
  const RunControl& control;
  std::unique_ptr<Asker> owned_asker;
  Asker& asker;
  std::optional<Paid> paid;  // kept where a polish was asked for
  Random random;
  NoiseModel noise;      // of no output before it was measured
  int certificates = 0;  // so far: their failures add up
  RunReport report;
};

/// A way to learn: learn() runs to its end, or an EndOfRun or a failing device ends it, and then
/// finish_short() makes the best of what there is.
class QueryStrategy {
 public:
  virtual ~QueryStrategy() = default;

  /// Learns and certifies; writes outcome, message and certificate into the run's report.
  virtual void learn() = 0;

  /// The best network so far and, where the oracle still answers, its certificate. After a lost
  /// device nothing here touches it.
  virtual void finish_short(Outcome outcome, std::string message) = 0;

  /// Answers that learn() met and that are not exact, where it ended because of them: F is constant
  /// nearly everywhere, and the probe saw nothing else. [n, p], empty where there were none.
  virtual HostMatrix rounded_answers() const { return {}; }

  /// What was learned, after either of the two.
  virtual const ReluNetwork& network() const = 0;
};

}  // namespace crease
