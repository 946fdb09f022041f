// The query learner, the Hessian learner, or whichever is for the target.
#include "src/cli/learners.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "src/cli/number_options.hpp"

namespace crease {
namespace {

constexpr const char* kQuery = "query";
constexpr const char* kHessian = "hessian";
constexpr const char* kAuto = "auto";
constexpr const char* kSmoothOptions[] = {"--activation", "--layers", "--neurons", "--second-layer",
                                          "--entangled"};

void refuse(const CLI::App& verb, const std::string& name, const char* owner,
            const std::string& learner) {
  if (verb.get_option(name)->count() == 0) return;
  throw CLI::ValidationError(name,
                             fmt::format("belongs to --learner {}, not to {}", owner, learner));
}

Learned<SmoothNetwork> learn_smooth(const LearnerOptions& options, Device& device, Oracle& oracle,
                                    const QueryProblem& problem, const QueryPlan& plan,
                                    const RunControl& run) {
  SmoothProblem smooth = options.smooth;
  smooth.accuracy = problem.accuracy;
  smooth.failure = problem.failure;
  HessianPlan hessian = options.hessian;
  hessian.certificate_points = plan.certificate_points;
  hessian.only_smooth = options.learner == kAuto;
  if (plan.certificate_points == 0) hessian.ball_points = 0;
  return learn_from_hessians(device, oracle, smooth, hessian, run);
}

/// The questions of the learner whose network is not kept, in the report of the other.
void add_recognition(const RunReport& first, RunReport& report) {
  const Index asked = first.learning_queries + first.certificate_queries;
  report.queries["recognition"] += asked;
  report.learning_queries += asked;
  report.unanswered_queries += first.unanswered_queries;
  report.reused_queries += first.reused_queries;
  report.rounds += first.rounds;
  report.learning_rounds += first.rounds;
  report.seconds["recognition"] += first.total_seconds;
  report.total_seconds += first.total_seconds;
  report.warnings.insert(report.warnings.begin(), first.warnings.begin(), first.warnings.end());
}

}  // namespace

void add_learner_options(CLI::App& verb, LearnerOptions& options) {
  LearnerOptions* o = &options;
  add_choice_option(verb, "--learner",
                    "query: ReLU networks; hessian: smooth ones; auto: by whether the target bends",
                    {kQuery, kHessian, kAuto}, options.learner);
  verb.add_option("--activation", options.activations,
                  fmt::format("hessian: of the hidden layers, one name for both or G,H: {} (tanh)",
                              fmt::join(activation_names(), ", ")));
  add_whole_option(verb, "--layers", "hessian: hidden layers, 1 or 2 (found)", 1,
                   [o](Index n) { o->smooth.layers = n; });
  add_whole_option(verb, "--neurons", "hessian: neurons of the first hidden layer (found)", 1,
                   [o](Index n) { o->smooth.neurons = n; });
  add_whole_option(verb, "--second-layer", "hessian: neurons of the second (found)", 1,
                   [o](Index n) { o->smooth.second_neurons = n; });
  verb.add_flag("--entangled", options.hessian.entangled,
                "hessian: two layers by the paper's own way; needs --second-layer");
}

void settle_learner(LearnerOptions& options, const CLI::App& verb,
                    const std::vector<std::string>& query_options) {
  if (options.learner == kQuery) {
    for (const char* name : kSmoothOptions) refuse(verb, name, kHessian, kQuery);
    return;
  }
  if (options.learner == kHessian) {
    for (const std::string& name : query_options) refuse(verb, name, kQuery, kHessian);
  }
  if (options.smooth.layers.value_or(1) > 2) {
    throw CLI::ValidationError("--layers", "expected 1 or 2");
  }
  const auto comma = options.activations.find(',');
  if (comma != std::string::npos && options.smooth.layers == 1) {
    throw CLI::ValidationError("--activation", "expected one name with --layers 1");
  }
  if (options.hessian.entangled && !options.smooth.second_neurons) {
    throw CLI::ValidationError("--entangled", "needs --second-layer");
  }
  try {
    options.smooth.first = activation_of(options.activations.substr(0, comma));
    options.smooth.second = comma == std::string::npos
                                ? options.smooth.first
                                : activation_of(options.activations.substr(comma + 1));
  } catch (const BadInput& error) {
    throw CLI::ValidationError("--activation", error.what());
  }
}

LearnedAny learn_by(const LearnerOptions& options, Device& device, Oracle& oracle,
                    const QueryProblem& problem, const QueryPlan& plan, const RunControl& run) {
  const auto by_queries = [&](const RunControl& control) {
    return learn_from_queries(device, oracle, problem, plan, control);
  };
  const auto any = [](auto learned) {
    return LearnedAny{std::move(learned.network), std::move(learned.report)};
  };
  const bool one_by_one = oracle.output_dim() == 1 && !oracle.answer_kind().sigmas;
  const bool affordable =
      !run.budget.queries ||
      *run.budget.queries >= least_queries(options.smooth, options.hessian, oracle.input_dim());
  const bool is_auto = options.learner == kAuto;
  if (options.learner == kQuery || (is_auto && !(one_by_one && affordable))) {
    return any(by_queries(run));
  }
  Learned<SmoothNetwork> smooth = learn_smooth(options, device, oracle, problem, plan, run);
  const RunReport& first = smooth.report;
  const bool settled = first.outcome != Outcome::not_reached ||
                       first.message.find("noise floor") != std::string::npos;
  if (!is_auto || settled) return any(std::move(smooth));
  RunControl rest = run;
  if (rest.budget.queries) {
    *rest.budget.queries -= first.learning_queries + first.certificate_queries;
    if (*rest.budget.queries < 1) return any(std::move(smooth));
  }
  if (rest.budget.seconds) {
    rest.budget.seconds = std::max(1e-3, *rest.budget.seconds - first.total_seconds);
  }
  Learned<ReluNetwork> relu = by_queries(rest);
  const double infinity = std::numeric_limits<double>::infinity();
  if (first.relative_error.value_or(infinity) < relu.report.relative_error.value_or(infinity)) {
    add_recognition(relu.report, smooth.report);
    return any(std::move(smooth));
  }
  add_recognition(first, relu.report);
  return any(std::move(relu));
}

}  // namespace crease
