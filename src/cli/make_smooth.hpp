// What `crease make smooth` has of its own.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/smooth_families.hpp"

namespace crease {

inline constexpr const char* kSmooth = "smooth";  // the family's name

struct SmoothOptions {
  SmoothPlan plan;           // inputs, neurons and outputs by who reads those options
  std::string directions;    // words, empty where they were not given
  std::string coefficients;  // the same
};

/// --second-layer, --activation, --directions, --shifts, --coefficients: these options, each with
/// the family it belongs to.
std::vector<std::pair<CLI::Option*, std::string>> add_smooth_options(CLI::App& verb,
                                                                     SmoothOptions& options);

/// Writes the network of these options, and says so.
void make_smooth(const SmoothOptions& options, Seed seed, const std::string& out);

}  // namespace crease
