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
  // of a command
  std::optional<Index> inputs;
  std::optional<Index> outputs;
  std::optional<double> timeout;
  std::optional<Index> batch;
};

/// TARGET, --answers, --inputs, --outputs, --timeout, --batch
void add_target_options(CLI::App& verb, TargetOptions& options);

/// A black box, ready to be asked. It must be destroyed before the device that asks it.
struct OpenTarget {
  std::unique_ptr<Oracle> oracle;
  std::string file;  // that no output may overwrite; empty where the target is none
};

/// Opens what the options name; nothing is asked, and no command started. `seed` is the run's:
/// simulated noise comes from it. `errors` gets what a command writes to its standard error output.
/// Throws BadInput or FileError.
OpenTarget open_target(const TargetOptions& options, Seed seed,
                       std::function<void(std::string_view)> errors = {});

}  // namespace crease
