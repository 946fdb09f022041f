// What a query learner accepts to do.
#pragma once

#include <crease/query_learner.hpp>

namespace crease {

/// Throws BadInput naming the number that is out of its range.
void check(const QueryProblem& problem, const QueryPlan& plan, const RunControl& run);

/// The same for the numbers that the uniform mode reads.
void check_uniform(const QueryPlan& plan);

}  // namespace crease
