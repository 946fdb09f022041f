// The verbs of the program, one file each.
#pragma once

#include <CLI/CLI.hpp>

namespace crease {

inline constexpr const char* kVersion = "0.1.0";

/// Exit codes besides those of an Outcome.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 2;

// Each adds its verb to the program. When the verb was asked for, app.parse() runs it: it leaves
// the exit code in `exit_code`, or throws what is refused.
void add_make(CLI::App& app, int& exit_code);
void add_learn(CLI::App& app, int& exit_code);
void add_verify(CLI::App& app, int& exit_code);
void add_show(CLI::App& app, int& exit_code);
void add_evaluate(CLI::App& app, int& exit_code);
void add_compress(CLI::App& app, int& exit_code);
void add_draw(CLI::App& app, int& exit_code);
void add_fit(CLI::App& app, int& exit_code);

}  // namespace crease
