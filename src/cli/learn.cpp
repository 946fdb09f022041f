// crease learn: from a target's answers to its network.
#include <crease/files.hpp>

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "src/cli/device_options.hpp"
#include "src/cli/learners.hpp"
#include "src/cli/log_options.hpp"
#include "src/cli/number_options.hpp"
#include "src/cli/places.hpp"
#include "src/cli/progress.hpp"
#include "src/cli/report.hpp"
#include "src/cli/stop_signal.hpp"
#include "src/cli/summary.hpp"
#include "src/cli/targets.hpp"
#include "src/cli/verbs.hpp"

namespace crease {
namespace {

struct LearnOptions {
  TargetOptions target;
  LogOptions log;
  std::string out;
  std::string report;
  QueryProblem problem;
  QueryPlan plan;
  RunControl run;
  std::string mode = "adaptive";
  LearnerOptions learner;
  DeviceOptions device;
  bool quiet = false;
  bool fold_skip = false;
};

/// Options of learn_from_queries() alone.
const std::vector<std::string> kQueryOptions = {"--mode", "--polish", "--resolution", "--softmax",
                                                "--fold-skip"};

/// A certificate that no budget could pay is a slip of the pen; the default one is cut to its
/// share.
void require_payable_certificate(const LearnOptions& options, const CLI::App& verb) {
  const std::optional<Index> budget = options.run.budget.queries;
  const Index points = options.plan.certificate_points;
  if (!budget || verb.get_option("--certificate")->count() == 0 || points <= *budget) return;
  throw BadInput(fmt::format(
      "--certificate: expected no more points than the {} queries of --budget, not {}: each is one",
      *budget, points));
}

int learn(LearnOptions& options, const CLI::App& verb) {
  require_payable_certificate(options, verb);
  settle_learner(options.learner, verb, kQueryOptions);
  options.plan.mode =
      options.mode == "uniform" ? QueryPlan::Mode::uniform : QueryPlan::Mode::adaptive;
  std::unique_ptr<Device> device;  // outlives the target, which uses its memory
  std::unique_ptr<RunLog> log;
  const auto pass_on = [&](std::string_view text) {
    if (!options.quiet) fmt::print(stderr, "{}", text);
  };
  OpenTarget target = open_target(options.target, options.run.seed, pass_on);
  require_places(target.file, "the target ", options.out, options.report);
  device = open_device(options.device);
  log = std::make_unique<RunLog>(options.log, verb, target, *device, options.run);
  target.oracle = log->wrap(target);
  target.oracle = log_odds_if_asked(options.target, std::move(target.oracle));

  catch_stop_signals();
  options.run.stop = stop_requested;
  log->watch(options.run);
  LearnedAny learned;
  {
    Progress progress(stderr, options.quiet, device->name(), Learning::from_queries);
    options.run.log = [&progress](const Event& event) { progress(event); };
    learned = learn_by(options.learner, *device, *target.oracle, options.problem, options.plan,
                       options.run);
  }

  const std::string kept = log->end(learned.report);
  if (const auto* relu = std::get_if<ReluNetwork>(&learned.network)) {
    save_network(options.out, options.fold_skip ? fold_linear_part(*relu) : *relu);
  } else {
    save_network(options.out, std::get<SmoothNetwork>(learned.network));
  }
  if (!options.report.empty()) write_text(options.report, report_as_json(learned.report));
  if (!options.quiet) fmt::print("{}{}", summary_of(learned.report, options.out), kept);
  return exit_code_of(learned.report.outcome);
}

}  // namespace

void add_learn(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<LearnOptions>();
  LearnOptions* o = options.get();
  CLI::App& verb = *app.add_subcommand("learn", "learn a network from its answers alone");
  add_target_options(verb, o->target);
  add_learner_options(verb, o->learner);
  add_log_options(verb, o->log);
  verb.add_option("--out", o->out, "file to write, .safetensors or .npz")->required();
  verb.add_option("--report", o->report, "file for a report, JSON");
  add_real_option(verb, "--accuracy", "wanted relative error (1e-8)", kPositive,
                  [o](double a) { o->problem.accuracy = a; });
  add_real_option(verb, "--failure", "failure probability of the certificate (0.01)", kProbability,
                  [o](double f) { o->problem.failure = f; });
  add_seed_option(verb, o->run.seed);
  add_whole_option(verb, "--budget", "most queries, the certificate's included (no limit)", 1,
                   [o](Index n) { o->run.budget.queries = n; });
  add_real_option(verb, "--seconds", "most time, but for the certificate (no limit)", kPositive,
                  [o](double s) { o->run.budget.seconds = s; });
  add_whole_option(verb, "--retries", "times a failed question is asked again (2)", 0,
                   [o](Index n) { o->run.retries = n; });
  add_whole_option(verb, "--certificate", "fresh points of the certificate (2048); 0: none", 0,
                   [o](Index n) { o->plan.certificate_points = n; });
  verb.add_flag_callback(
      "--polish", [o] { o->problem.polish = 0x1p-40; },
      "go on until weights and biases are right to 2^-40, with unit outputs");
  add_choice_option(verb, "--mode", "adaptive, or the paper's uniform scan",
                    {"adaptive", "uniform"}, o->mode);
  add_real_option(verb, "--resolution", "width of slabs that must not be missed", kPositive,
                  [o](double w) { o->plan.resolution = w; });
  add_device_options(verb, o->device);
  verb.add_flag("--quiet", o->quiet, "print nothing");
  verb.add_flag("--fold-skip", o->fold_skip,
                "write the linear part as extra neurons: a plain PyTorch network");
  verb.callback([options, &verb, &exit_code] { exit_code = learn(*options, verb); });
}

}  // namespace crease
