// The report of `crease learn` and `crease fit`, as JSON and as exit code.
#pragma once

#include <crease/run.hpp>

#include <string>

namespace crease {

// What a learner from examples counts, under these names in RunReport::queries and in the JSON.
inline constexpr const char* kTraining = "training";
inline constexpr const char* kHeldOut = "held_out";

/// JSON with the keys of the program's contract, one line per top-level key.
std::string report_as_json(const RunReport& report);

/// Whether a learner got examples and asked nothing.
bool is_from_examples(const RunReport& report);

int exit_code_of(Outcome outcome);

}  // namespace crease
