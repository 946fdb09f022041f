// The polish as a step of a learner: whether it may run, and what it leaves behind.
#pragma once

#include "src/learners/query_run.hpp"
#include "src/stages/look.hpp"

namespace crease {

/// Polishes where the caller asked for it. With a neuron missing a polish would spread its
/// function over all others: it runs only if the last look was clean, and small beside the spread
/// of F; otherwise a warning says so. What was not reached is a warning, too.
///
/// hypothesis  replaced where the polish was accepted
/// spread      of F under N(0, I)
///
/// The largest linear part, root mean square, that errors of the polished neurons may leave where
/// some of them are turned; none where the hypothesis is as before. Throws what asking throws.
std::optional<double> polish_if_asked(QueryRun& run, const Look& last_look, double spread,
                                      Hypothesis& hypothesis);

}  // namespace crease
