// crease fit: from a file of examples to a network.
#include <crease/files.hpp>
#include <crease/sample_learners.hpp>

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "src/cli/device_options.hpp"
#include "src/cli/number_options.hpp"
#include "src/cli/places.hpp"
#include "src/cli/progress.hpp"
#include "src/cli/report.hpp"
#include "src/cli/stop_signal.hpp"
#include "src/cli/summary.hpp"
#include "src/cli/verbs.hpp"

namespace crease {
namespace {

constexpr const char* kTwoLayer = "two-layer";
constexpr const char* kNarrow = "narrow";
constexpr Index kLeastDeviceBytes = Index{1} << 20;

struct FitOptions {
  std::string data;
  std::string learner;
  std::string out;
  std::string report;
  std::optional<Index> neurons;  // none: found from the examples
  std::optional<double> power;   // none: 1
  bool robust = false;
  bool biases = false;
  std::optional<double> accuracy;  // none: the learner's own
  double failure = 0.01;
  std::optional<Index> rows;
  std::optional<Index> held_out;
  RunControl run;
  DeviceOptions device;
  bool quiet = false;
};

/// What can be refused before a file is opened.
void require_sense(const FitOptions& options) {
  if (options.learner == kNarrow) {
    const char* foreign = options.power ? "--power" : options.robust ? "--robust" : nullptr;
    if (foreign != nullptr) {
      throw BadInput(fmt::format("{}: belongs to {}, not to {}", foreign, kTwoLayer, kNarrow));
    }
  }
  if (options.biases && options.power && *options.power != 1) {
    throw BadInput("--biases: expected with --power 1 alone");
  }
  if (options.rows && options.held_out && *options.held_out >= *options.rows) {
    throw BadInput(fmt::format("--held-out: expected fewer than the {} examples of --rows, not {}",
                               *options.rows, *options.held_out));
  }
}

/// ... and after.
void require_rows(const FitOptions& options, Index there) {
  if (options.rows && *options.rows > there) {
    throw BadInput(fmt::format("--rows: expected at most {}, the examples in {}, not {}", there,
                               options.data, *options.rows));
  }
  if (options.held_out && *options.held_out >= there) {
    throw BadInput(fmt::format("--held-out: expected fewer than {}, the examples in {}, not {}",
                               there, options.data, *options.held_out));
  }
}

/// What both learners are told.
template <class Problem>
Problem problem_of(const FitOptions& options) {
  Problem problem;
  problem.neurons = options.neurons;
  problem.biases = options.biases;
  problem.accuracy = options.accuracy.value_or(problem.accuracy);
  problem.failure = options.failure;
  return problem;
}

template <class Plan>
Plan plan_of(const FitOptions& options) {
  Plan plan;
  plan.rows = options.rows;
  plan.held_out = options.held_out;
  return plan;
}

Learned<ReluNetwork> learn(Device& device, SampleSource& source, const FitOptions& options) {
  if (options.learner == kNarrow) {
    return learn_narrow(device, source, problem_of<NarrowProblem>(options),
                        plan_of<NarrowPlan>(options), options.run);
  }
  auto problem = problem_of<TwoLayerProblem>(options);
  problem.power = options.power.value_or(problem.power);
  problem.robust = options.robust;
  return learn_two_layer(device, source, problem, plan_of<TwoLayerPlan>(options), options.run);
}

int fit(FitOptions& options) {
  require_sense(options);
  const std::unique_ptr<SampleSource> source = open_samples(options.data);
  require_rows(options, source->rows_left().value());
  require_places(options.data, "the examples ", options.out, options.report);
  const std::unique_ptr<Device> device = open_device(options.device);

  catch_stop_signals();
  options.run.stop = stop_requested;
  Learned<ReluNetwork> learned;
  {
    Progress progress(stderr, options.quiet, device->name(), Learning::from_examples);
    options.run.log = [&progress](const Event& event) { progress(event); };
    learned = learn(*device, *source, options);
  }

  save_network(options.out, learned.network);
  if (!options.report.empty()) write_text(options.report, report_as_json(learned.report));
  if (!options.quiet) fmt::print("{}", summary_of(learned.report, options.out));
  return exit_code_of(learned.report.outcome);
}

}  // namespace

void add_fit(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<FitOptions>();
  FitOptions* o = options.get();
  CLI::App& verb = *app.add_subcommand("fit", "learn a network from examples alone");
  verb.add_option("DATA", o->data, "the examples, x [n, d] and y [n, p], .safetensors or .npz")
      ->required();
  add_choice_option(
      verb, "--learner",
      "two-layer: k <= d neurons, any number of outputs; narrow: one output, few neurons",
      {kTwoLayer, kNarrow}, o->learner)
      ->required();
  add_whole_or_word_option(verb, "--neurons", "neurons k (auto: found from the examples)", 1,
                           "auto", [o](std::optional<Index> k) { o->neurons = k; });
  add_real_option(verb, "--power",
                  "two-layer: neurons max(z, 0)^P, P at most 64, not with --biases (1)", kPositive,
                  [o](double p) { o->power = p; });
  verb.add_flag("--robust", o->robust,
                "two-layer: some numbers of y, at most about 15 %, may have gross errors");
  verb.add_flag(
      "--biases", o->biases,
      "neurons relu(<w, x> + b), b found by the fit; and a constant, which for two-layer takes one "
      "of the k");
  verb.add_option("--out", o->out, "file to write, .safetensors or .npz")->required();
  verb.add_option("--report", o->report, "file for a report, JSON");
  add_whole_option(verb, "--rows", "examples to take, from the first one on (all)", 1,
                   [o](Index n) { o->rows = n; });
  add_whole_option(
      verb, "--held-out",
      "of them, the first ones, that no fit sees, for the certificate (two-layer: a tenth, at most "
      "4096; narrow: a fifth, at most 20000); 0: nothing is vouched for, nothing reached",
      0, [o](Index n) { o->held_out = n; });
  add_real_option(verb, "--accuracy",
                  "wanted relative error of the held-out examples (two-layer 1e-8, narrow 1e-4)",
                  kPositive, [o](double a) { o->accuracy = a; });
  add_real_option(verb, "--failure", "failure probability of the certificate (0.01)", kProbability,
                  [o](double f) { o->failure = f; });
  add_seed_option(verb, o->run.seed);
  add_real_option(verb, "--seconds", "most time, but for the certificate (no limit)", kPositive,
                  [o](double s) { o->run.budget.seconds = s; });
  add_device_options(verb, o->device);
  add_whole_option(
      verb, "--device-bytes",
      "memory of the device, half of it for examples; more are read from the file again and "
      "again (2^30)",
      kLeastDeviceBytes, [o](Index n) { o->run.budget.device_bytes = n; });
  verb.add_flag("--quiet", o->quiet, "print nothing");
  verb.callback([options, &exit_code] { exit_code = fit(*options); });
}

}  // namespace crease
