// What a command says about its run, as the identity of a log.
#include "src/cli/log_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <set>
#include <string_view>

#include "kernels/cpu_code.hpp"
#include "src/cli/places.hpp"
#include "src/cli/verbs.hpp"

namespace crease {
namespace {

// Options that decide no bit of what is asked and answered, or are named apart; any other is part
// of a log's identity as it was written.
const std::set<std::string_view> kElsewhere = {
    "TARGET",   "--out",     "--report",    "--log",     "--reuse",  "--quiet",
    "--help",   "--seed",    "--budget",    "--seconds", "--device", "--threads",
    "--inputs", "--outputs", "--fold-skip", "--timeout", "--batch",  "--retries"};

std::string options_of(const CLI::App& verb) {
  std::vector<std::string> words;
  for (const CLI::Option* option : verb.get_options()) {
    if (option->count() == 0 || kElsewhere.contains(option->get_name())) continue;
    words.push_back(fmt::format("{} {}", option->get_name(), fmt::join(option->results(), " ")));
  }
  std::sort(words.begin(), words.end());
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

bool is_given(const CLI::App& verb, const std::string& name) {
  const CLI::Option* option = verb.get_option_no_throw(name);
  return option != nullptr && option->count() > 0;
}

void require_places_of_its_own(const CLI::App& verb, const std::string& log) {
  for (const char* name : {"TARGET", "--out", "--report", "--reuse"}) {
    const CLI::Option* option = verb.get_option_no_throw(name);
    if (option == nullptr) continue;
    for (const std::string& other : option->results()) {
      if (same_place(log, other)) throw BadInput("--log: expected another file than " + other);
    }
  }
}

}  // namespace

void add_log_options(CLI::App& verb, LogOptions& options) {
  verb.add_option("--log", options.log,
                  "file that keeps every answer; the same command again goes on from it");
  verb.add_option("--reuse", options.reuse,
                  "another run's log: what it knows is not asked (may be repeated)")
      ->take_all()
      ->expected(1);
}

RunLog::RunLog(const LogOptions& options, const CLI::App& verb, const OpenTarget& target,
               const Device& device, const RunControl& run) {
  LogIdentity identity;
  identity.target = target.identity;
  identity.inputs = target.oracle->input_dim();
  identity.outputs = target.oracle->output_dim();
  identity.run = {{"seed", std::to_string(run.seed.value)},
                  {"version", kVersion},
                  {"device and threads", device.name()},
                  {"instruction set", cpu_code()},
                  {"set of options", options_of(verb)}};
  require(!options.log.empty() || !is_given(verb, "--log"), "--log: expected the name of a file");
  if (!options.log.empty()) require_places_of_its_own(verb, options.log);
  if (!options.reuse.empty()) {
    past_ = std::make_unique<PastAnswers>();
    for (const std::string& path : options.reuse) past_->add(path, identity);
  }
  if (options.log.empty()) return;
  // With a limit on the time two runs ask the same only up to a moment that nobody knows.
  if (!is_given(verb, "--seconds")) {
    identity.control = "budget " + (run.budget.queries ? std::to_string(*run.budget.queries)
                                                       : std::string("none"));
    if (past_) identity.control += ", reuse of " + std::to_string(past_->size()) + " answers";
  }
  // A file that may not grow is a full disk, not the end of the program.
  std::signal(SIGXFSZ, SIG_IGN);
  is_new_ = !std::filesystem::exists(options.log);
  log_ = std::make_unique<AnswerLog>(options.log, identity);
  before_ = log_->answers();
}

RunLog::~RunLog() {
  if (!log_ || !is_new_ || ended_ || log_->answers() > 0) return;
  const std::string path = log_->path();
  log_.reset();
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

std::unique_ptr<Oracle> RunLog::wrap(OpenTarget& target) {
  if (!log_ && !past_) return std::move(target.oracle);
  return make_logged_oracle(std::move(target.oracle), log_.get(), past_.get(), target.batch);
}

void RunLog::watch(RunControl& run) {
  if (!log_ || !run.stop) return;
  run.stop = [stop = run.stop, log = log_.get()] {
    const bool stopped = stop();
    if (stopped) log->interrupted();
    return stopped;
  };
}

std::string RunLog::end(const RunReport& report) {
  ended_ = true;
  if (!log_) return "";
  log_->end(to_string(report.outcome));
  return fmt::format("{:<17}{} answers in {}: {} replayed, {} new\n", "log", log_->answers(),
                     log_->path(), log_->replayed(), log_->answers() - before_);
}

}  // namespace crease
