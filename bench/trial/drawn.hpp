// What one run of the trial learns: drawn from its number, and from nothing else.
#pragma once

#include <crease/oracle.hpp>
#include <crease/query_learner.hpp>

#include <memory>
#include <string>

#include "src/families.hpp"

namespace crease::trial {

/// A target, how it answers, and what is asked of the learner.
struct Drawn {
  FamilyPlan family;
  ReluNetwork network;
  std::string answers;  // "float64", "float32", "float16", "round:N", "noise", "probabilities"
  Imperfection imperfection;
  bool softmax = false;  // probabilities or their logarithms, in float64
  QueryProblem problem;
  QueryPlan plan;
};

/// What an answer may be off by, whatever it is: at most absolute + relative |F|.
struct Rounding {
  double absolute = 0;
  double relative = 0;
};

/// Half a unit of a drawn target's answers, over all outputs: where all answers are nearly equal,
/// none of them tells that they are rounded. 0 for noise.
Rounding rounding_of(const Drawn& drawn);

/// The run of number `run`: the same on every machine. `exact`: all of them with exact answers.
Drawn draw(std::uint64_t run, bool exact);

/// The black box of a drawn target. `seed` is that of noise, where there is any.
std::unique_ptr<Oracle> open_oracle(const Drawn& drawn, Seed seed);

}  // namespace crease::trial
