// The black box of a `learn`: what the options say it is, opened.
#pragma once

#include <crease/oracle.hpp>

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace crease {

struct TargetOptions {
  std::string name;                     // a file, or exec:COMMAND
  std::optional<Imperfection> answers;  // of a file: what becomes of its exact answers
  // "probabilities" or "log-probabilities" where the answers are those of a softmax: its logits are
  // learned, modulo their common function. Empty: the answers are what is learned.
  std::string softmax;
  // of a command
  std::optional<Index> inputs;
  std::optional<Index> outputs;
  std::optional<double> timeout;
  std::optional<Index> batch;
};

/// TARGET, --answers, --softmax, --inputs, --outputs, --timeout, --batch
void add_target_options(CLI::App& verb, TargetOptions& options);

/// A black box, ready to be asked. It must be destroyed before the device that asks it.
struct OpenTarget {
  std::unique_ptr<Oracle> oracle;
  std::string file;  // that no output may overwrite; empty where the target is none
  // Two targets of one identity are taken for the same black box: of a file its network and what
  // becomes of its answers, of a command all that is known of it, its words.
  std::string identity;
  Index batch = 0;  // points that are asked, and kept by a log, at a time; 0: as they come
};

/// Opens what the options name; nothing is asked, and no command started. `seed` is the run's:
/// simulated noise comes from it. `errors` gets what a command writes to its standard error output.
/// Throws BadInput or FileError.
OpenTarget open_target(const TargetOptions& options, Seed seed,
                       std::function<void(std::string_view)> errors = {});

/// With --softmax, the log-odds of what `oracle` answers; otherwise `oracle` itself. The last of
/// all wrappers: a log keeps what the black box answered.
std::unique_ptr<Oracle> log_odds_if_asked(const TargetOptions& options,
                                          std::unique_ptr<Oracle> oracle);

}  // namespace crease
