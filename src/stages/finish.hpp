// The end of every run: what fresh points vouch for, and the numbers of the report.
#pragma once

#include <crease/query_learner.hpp>

#include <functional>
#include <optional>

#include "src/stages/look.hpp"

namespace crease {

/// The standard deviation of F' under N(0, I); 0 where it is no more than the rounding of neurons
/// that cancel to a constant function, or of the constant itself.
double deviation_or_zero(Device& device, const ReluNetwork& network);

/// Gaussian mass of the largest slab ("bump") that n clean points would have missed with
/// probability `failure`: 1 - failure^(1/n), n the look's points and `more_points` others; more
/// where some of them were silent (certify.hpp); 1 where the look shows an error.
double unseen_mass(double failure, const Look& look, Index more_points, Index more_silent);

/// Draws the certificate's points, after the network was fixed, and writes what they say into
/// `report`: certificate, errors, and outcome and message (`reached` only if no point shows an
/// error beyond its limit and the rms is within the accuracy; else the outcome is left alone and
/// the message says why).
///
/// hypothesis    what is known of the errors of every part; it sets the limits
/// network       the network that is vouched for
/// certificates  how many this run has made before this one: their failures add up
///
/// Asks min(plan.certificate_points, queries left); none where that is 0, nor where the caller
/// stopped a run whose last question was not answered. Returns the look.
Look vouch_for(Asker& asker, Random& random, const QueryProblem& problem, const QueryPlan& plan,
               const NoiseModel& noise, const Hypothesis& hypothesis, const ReluNetwork& network,
               int certificates, RunReport& report);

/// Takes back what vouch_for wrote: the network it spoke of is not the one that is returned.
void forget_certificate(RunReport& report);

/// Does a part of a run; none where it got to its end, otherwise why not. A device that fails, or
/// memory that is not there, ends a run with device_lost, any other error with not_reached; before
/// the first answer their error is thrown.
std::optional<EndOfRun> how_it_ends(const Asker& asker, const std::function<void()>& part);

/// Device, seed, mode and sizes.
void begin_report(Asker& asker, const RunControl& run, const char* mode, RunReport& report);

/// What was counted: queries, rounds, seconds, memory, warnings.
void end_report(Asker& asker, const NoiseModel& noise, Index neurons, RunReport& report);

}  // namespace crease
