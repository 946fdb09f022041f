// The report of `crease learn`, as JSON and as exit code.
#pragma once

#include <crease/run.hpp>

#include <string>

namespace crease {

/// JSON with the keys of the program's contract, one line per top-level key.
std::string report_as_json(const RunReport& report);

int exit_code_of(Outcome outcome);

}  // namespace crease
