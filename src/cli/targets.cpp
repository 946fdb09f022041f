// One target after the other, and the wrappers around it.
#include "src/cli/targets.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "src/cli/any_network.hpp"
#include "src/cli/number_options.hpp"
#include "src/digest.hpp"

namespace crease {
namespace {

constexpr const char* kProbabilities = "probabilities";
constexpr const char* kLogProbabilities = "log-probabilities";
constexpr const char* kAnswers = "float64, float32, float16, round:N (decimals) or noise:S";

/// False where the text is none of kAnswers.
bool parse_answers(std::string_view text, Imperfection& answers) {
  using Kind = Imperfection::Kind;
  for (const auto& [word, kind] :
       {std::pair{"float64", Kind::float64}, std::pair{"float32", Kind::float32},
        std::pair{"float16", Kind::float16}}) {
    if (text != word) continue;
    answers.kind = kind;
    return true;
  }
  if (text.starts_with("round:")) {
    answers.kind = Kind::decimals;
    return parse_all(text.substr(6), answers.decimals) && answers.decimals >= 0 &&
           answers.decimals <= Imperfection::kMostDecimals;
  }
  if (text.starts_with("noise:")) {
    answers.kind = Kind::noise;
    return parse_all(text.substr(6), answers.deviation) && std::isfinite(answers.deviation) &&
           answers.deviation >= 0;
  }
  return false;
}

std::string to_string(const Imperfection& answers) {
  switch (answers.kind) {
    case Imperfection::Kind::float64:
      return "float64";
    case Imperfection::Kind::float32:
      return "float32";
    case Imperfection::Kind::float16:
      return "float16";
    case Imperfection::Kind::decimals:
      return "round:" + std::to_string(answers.decimals);
    case Imperfection::Kind::noise:
      return fmt::format("noise:{} of seed {}", answers.deviation, answers.seed.value);
  }
  return "";
}

constexpr std::string_view kExec = "exec:";

bool is_command(const TargetOptions& options) {
  return options.name.starts_with(kExec);
}

/// Options that say nothing of such a target are refused, not ignored.
void check_options(const TargetOptions& options) {
  if (is_command(options)) {
    if (options.name.size() == kExec.size()) throw BadInput("exec: expected a command behind it");
    if (!options.inputs || !options.outputs) {
      throw BadInput("exec: expected --inputs D and --outputs P, which a command does not tell");
    }
    if (options.answers) throw BadInput("--answers: expected a file as target, not a command");
    require(options.softmax.empty() || *options.outputs >= 2,
            "--softmax needs two outputs or more: one probability alone has no odds");
    return;
  }
  const std::pair<const char*, bool> given[] = {{"--inputs", options.inputs.has_value()},
                                                {"--outputs", options.outputs.has_value()},
                                                {"--timeout", options.timeout.has_value()},
                                                {"--batch", options.batch.has_value()}};
  for (const auto& [name, is_given] : given) {
    if (is_given) {
      throw BadInput(std::string(name) + ": expected a target exec:COMMAND, not a file");
    }
  }
}

std::unique_ptr<Oracle> open_command(const TargetOptions& options,
                                     std::function<void(std::string_view)> errors) {
  ProcessOptions process;
  process.command = options.name.substr(kExec.size());
  process.inputs = *options.inputs;
  process.outputs = *options.outputs;
  if (options.timeout) process.timeout_seconds = *options.timeout;
  if (options.batch) process.batch = *options.batch;
  process.errors = std::move(errors);
  return make_process_oracle(std::move(process));
}

std::string identity_of(const AnyNetwork& network) {
  if (const auto* relu = std::get_if<ReluNetwork>(&network)) {
    return "network " + to_string(digest_of(*relu));
  }
  const SmoothNetwork& smooth = std::get<SmoothNetwork>(network);
  Digester digester;
  for (const SmoothNetwork::Layer& layer : smooth.hidden) {
    digester.add(to_string(layer.activation)).add(layer.weights).add(layer.bias);
  }
  digester.add(smooth.output).add(smooth.linear).add(smooth.constant);
  return "smooth network " + to_string(digester.digest());
}

std::unique_ptr<Oracle> oracle_of(AnyNetwork network, const std::string& file) {
  if (auto* smooth = std::get_if<SmoothNetwork>(&network)) {
    return make_network_oracle(std::move(*smooth));
  }
  auto& relu = std::get<ReluNetwork>(network);
  if (relu.power != 1) {
    throw BadInput(
        fmt::format("{}: its power is {}, which no learner that asks knows; examples of it are for "
                    "`crease draw` and `crease fit`",
                    file, relu.power));
  }
  return make_network_oracle(std::move(relu));
}

}  // namespace

void add_target_options(CLI::App& verb, TargetOptions& options) {
  verb.add_option("TARGET", options.name,
                  "file of the network that answers, or exec:COMMAND, a program that does (README)")
      ->required();
  verb.add_option(
          "--answers",
          [&options](const CLI::results_t& texts) {
            if (parse_answers(texts.at(0), options.answers.emplace())) return true;
            throw CLI::ValidationError(
                "--answers", std::string("expected ") + kAnswers + ", not \"" + texts.at(0) + "\"");
          },
          "how exactly a file's network answers (float64)")
      ->type_name("float64|float32|float16|round:N|noise:S")
      ->expected(1);
  add_choice_option(verb, "--softmax", "the answers are those of a softmax: learn its logits",
                    {kProbabilities, kLogProbabilities}, options.softmax);
  add_whole_option(verb, "--inputs", "of a command: d", 1,
                   [&options](Index d) { options.inputs = d; });
  add_whole_option(verb, "--outputs", "of a command: p", 1,
                   [&options](Index p) { options.outputs = p; });
  add_real_option(verb, "--timeout", "seconds a command may take for a request (60)", kPositive,
                  [&options](double s) { options.timeout = s; });
  add_whole_option(verb, "--batch", "points of a request to a command, at most (4096)", 1,
                   [&options](Index n) { options.batch = n; });
}

OpenTarget open_target(const TargetOptions& options, Seed seed,
                       std::function<void(std::string_view)> errors) {
  check_options(options);
  OpenTarget target;
  if (is_command(options)) {
    target.identity =
        fmt::format("command {}, {} inputs, {} outputs", options.name.substr(kExec.size()),
                    *options.inputs, *options.outputs);
    target.batch = options.batch.value_or(ProcessOptions().batch);
    target.oracle = open_command(options, std::move(errors));
    return target;
  }
  target.file = options.name;
  Imperfection answers = options.answers.value_or(Imperfection{});
  AnyNetwork network = load_any_network(options.name);
  target.identity = identity_of(network);
  target.oracle = oracle_of(std::move(network), options.name);
  if (!options.softmax.empty()) {
    require(answers.kind != Imperfection::Kind::noise,
            "--softmax: probabilities may be rounded, but not noisy");
    require(target.oracle->output_dim() >= 2,
            "--softmax needs two outputs or more; " + options.name + " has one");
    target.identity += ", softmax " + options.softmax;
    target.oracle =
        make_softmax_oracle(std::move(target.oracle), options.softmax == kLogProbabilities);
  }
  if (answers.kind != Imperfection::Kind::float64) {
    answers.seed = seed;
    target.identity += ", " + to_string(answers);
    target.oracle = make_imperfect_oracle(std::move(target.oracle), answers);
  }
  return target;
}

std::unique_ptr<Oracle> log_odds_if_asked(const TargetOptions& options,
                                          std::unique_ptr<Oracle> oracle) {
  if (options.softmax.empty()) return oracle;
  LogOddsOptions told;
  told.logarithms = options.softmax == kLogProbabilities;
  return make_log_odds_oracle(std::move(oracle), told);
}

}  // namespace crease
