// The end of a run in words.
#pragma once

#include <crease/run.hpp>

#include <string>

namespace crease {

/// A table of the report and its certificate as sentences; ends with a line break.
std::string summary_of(const RunReport& report, const std::string& file);

}  // namespace crease
