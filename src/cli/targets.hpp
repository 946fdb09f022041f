// The black box of a `learn`: what the options say it is, opened.
#pragma once

#include <crease/oracle.hpp>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace crease {

struct TargetOptions {
  std::string name;      // a file
  Imperfection answers;  // of a file: what becomes of its exact answers
};

/// TARGET, --answers
void add_target_options(CLI::App& verb, TargetOptions& options);

/// A black box, ready to be asked. It must be destroyed before the device that asks it.
struct OpenTarget {
  std::unique_ptr<Oracle> oracle;
  std::string file;  // that no output may overwrite; empty where the target is none
};

/// Opens what the options name; nothing is asked. `seed` is the run's: simulated noise comes from
/// it. Throws BadInput or FileError.
OpenTarget open_target(const TargetOptions& options, Seed seed);

}  // namespace crease
