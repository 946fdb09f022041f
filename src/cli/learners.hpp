// Which learner asks: --learner, and the options of the one for smooth networks.
#pragma once

#include <crease/hessian_learner.hpp>
#include <crease/query_learner.hpp>

#include <CLI/CLI.hpp>
#include <string>
#include <variant>
#include <vector>

namespace crease {

struct LearnerOptions {
  std::string learner = "query";
  std::string activations = "tanh";  // "g" or "g,h"
  SmoothProblem smooth;
  HessianPlan hessian;
  // Given, of those that belong to one learner alone: without effect where auto keeps the other's
  // network.
  std::vector<std::string> of_query, of_hessian;
};

/// --learner, --activation, --layers, --neurons, --second-layer, --entangled
void add_learner_options(CLI::App& verb, LearnerOptions& options);

/// Reads the activations, and which options of one learner alone were given. Throws
/// CLI::ValidationError on options that belong to the other learner: `query_options` are those of
/// learn_from_queries() alone.
void settle_learner(LearnerOptions& options, const CLI::App& verb,
                    const std::vector<std::string>& query_options);

/// What any of the learners found.
struct LearnedAny {
  std::variant<ReluNetwork, SmoothNetwork> network;
  RunReport report;
};

/// Asks `oracle` by the learner of the options; accuracy, failure and the certificate's size are
/// those of `problem` and `plan` for all of them. `auto`: the Hessian learner where F bends
/// smoothly and has one output; the query learner where not, or where the first did not get there:
/// the better network counts, and the other's queries are in its report as `recognition`. Options
/// that had no say in that network are a warning.
LearnedAny learn_by(const LearnerOptions& options, Device& device, Oracle& oracle,
                    const QueryProblem& problem, const QueryPlan& plan, const RunControl& run);

}  // namespace crease
