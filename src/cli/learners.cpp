// The query learner, the Hessian learner, or whichever is for the target.
#include "src/cli/learners.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "src/cli/number_options.hpp"

namespace crease {
namespace {

constexpr const char* kQuery = "query";
constexpr const char* kHessian = "hessian";
constexpr const char* kAuto = "auto";
const std::vector<std::string> kSmoothOptions = {"--activation", "--layers", "--neurons",
                                                 "--second-layer", "--entangled"};

std::vector<std::string> given(const CLI::App& verb, const std::vector<std::string>& names) {
  std::vector<std::string> some;
  std::copy_if(names.begin(), names.end(), std::back_inserter(some),
               [&](const std::string& name) { return verb.get_option(name)->count() > 0; });
  return some;
}

void refuse(const std::vector<std::string>& names, const char* owner, const std::string& learner) {
  if (names.empty()) return;
  throw CLI::ValidationError(names.front(),
                             fmt::format("belongs to --learner {}, not to {}", owner, learner));
}

HessianPlan hessian_plan(const LearnerOptions& options, const QueryPlan& plan) {
  HessianPlan hessian = options.hessian;
  hessian.certificate_points = plan.certificate_points;
  hessian.only_smooth = options.learner == kAuto;
  if (plan.certificate_points == 0) hessian.ball_points = 0;
  return hessian;
}

Learned<SmoothNetwork> learn_smooth(const LearnerOptions& options, Device& device, Oracle& oracle,
                                    const QueryProblem& problem, const QueryPlan& plan,
                                    const RunControl& run) {
  SmoothProblem smooth = options.smooth;
  smooth.accuracy = problem.accuracy;
  smooth.failure = problem.failure;
  return learn_from_hessians(device, oracle, smooth, hessian_plan(options, plan), run);
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

void warn(const std::string& message, const RunControl& run, RunReport& report) {
  report.warnings.push_back(message);
  if (!run.log) return;
  Event event;
  event.kind = Event::Kind::warning;
  event.message = message;
  event.queries = report.learning_queries + report.certificate_queries;
  event.budget = run.budget.queries;
  event.neurons = report.neurons;
  event.relative_error = report.relative_error;
  event.seconds = report.total_seconds;
  run.log(event);
}

/// What was asked for and has no part in the network.
void warn_of_unused(const LearnerOptions& options, const RunControl& run, LearnedAny& learned) {
  const auto* smooth = std::get_if<SmoothNetwork>(&learned.network);
  const std::vector<std::string>& unused =
      smooth != nullptr ? options.of_query : options.of_hessian;
  if (!unused.empty()) {
    warn(fmt::format("{} had no effect: the network is that of --learner {}",
                     fmt::join(unused, ", "), smooth != nullptr ? kHessian : kQuery),
         run, learned.report);
  }
  if (smooth != nullptr && smooth->layers() == 1 && smooth->neurons(0) > 0 &&
      options.smooth.first != options.smooth.second) {
    warn(fmt::format("--activation: {} had no effect: the network has one hidden layer",
                     to_string(options.smooth.second)),
         run, learned.report);
  }
}

/// learn_by() but for its warnings.
LearnedAny learn_kept(const LearnerOptions& options, Device& device, Oracle& oracle,
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
      *run.budget.queries >=
          least_queries(options.smooth, hessian_plan(options, plan), oracle.input_dim());
  const bool is_auto = options.learner == kAuto;
  if (options.learner == kQuery || (is_auto && !(one_by_one && affordable))) {
    return any(by_queries(run));
  }
  Learned<SmoothNetwork> smooth = learn_smooth(options, device, oracle, problem, plan, run);
  const RunReport& first = smooth.report;
  const auto says = [&](const char* words) {
    return first.message.find(words) != std::string::npos;
  };
  // Without a certificate nothing is reached; that it was turned off is said of what was found.
  const bool settled = first.outcome != Outcome::not_reached || says("noise floor") ||
                       says("certificate was turned off");
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
  options.of_query = given(verb, query_options);
  options.of_hessian = given(verb, kSmoothOptions);
  if (options.learner == kQuery) {
    refuse(options.of_hessian, kHessian, kQuery);
    return;
  }
  if (options.learner == kHessian) refuse(options.of_query, kQuery, kHessian);
  if (options.smooth.layers.value_or(1) > 2) {
    throw CLI::ValidationError("--layers", "expected 1 or 2");
  }
  if (options.hessian.entangled && !options.smooth.second_neurons) {
    throw CLI::ValidationError("--entangled", "needs --second-layer");
  }
  try {
    const std::vector<Activation> told = activations_of(options.activations);
    const Index most = options.smooth.layers.value_or(2);
    require(static_cast<Index>(told.size()) <= most,
            most == 1 ? "expected one name with --layers 1"
                      : "expected one name, or one each of two hidden layers");
    options.smooth.first = told.front();
    options.smooth.second = told.back();
  } catch (const BadInput& error) {
    throw CLI::ValidationError("--activation", error.what());
  }
}

LearnedAny learn_by(const LearnerOptions& options, Device& device, Oracle& oracle,
                    const QueryProblem& problem, const QueryPlan& plan, const RunControl& run) {
  LearnedAny learned = learn_kept(options, device, oracle, problem, plan, run);
  warn_of_unused(options, run, learned);
  return learned;
}

}  // namespace crease
