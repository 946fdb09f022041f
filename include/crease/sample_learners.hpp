// Learn a network from examples alone.
#pragma once

#include <crease/network.hpp>
#include <crease/run.hpp>
#include <crease/samples.hpp>

#include <optional>

namespace crease {

/// What the caller wants of y = U relu(V x) + errors, several outputs, no biases, k <= d.
struct TwoLayerProblem {
  std::optional<Index> neurons;  // k; none: found from the examples, as reported
  bool robust = false;           // some of the numbers of y may have gross errors
  double accuracy = 1e-8;        // wanted rms(y - F') / sd(F') on held-out examples
  double failure = 0.01;         // of the certificate
};

/// What the run will use.
struct TwoLayerPlan {
  std::optional<Index> rows;      // examples to take; none: all that the source has
  std::optional<Index> held_out;  // of them, never fitted; none: a tenth, at most 4096
  int tries = 4;                  // joint diagonalisations ...
  int iterations = 50;            // ... of so many steps of alternating least squares each
  int starts = 4;                 // candidates that are fitted, at most
  Index fit_steps = 80;
  double exact = 1e-12;  // relative residual below which a fit is exact: neurons too many
                         // are looked for, and no further candidate is
};

/// Learns V [k, d], unit rows, and U [p, k] from Gaussian examples: directions from Hermite moments
/// of the answers (their span by the second ones, joint diagonalisation within it), signs by
/// regression; where answers are exact and U has full column rank, the exact row-space step; else,
/// and to finish, Levenberg-Marquardt with U eliminated. Inputs of any covariance are whitened; of
/// a mean that is not 0 beyond chance a warning is given (the start is then biased, the fit not).
///
/// `reached` if the held-out examples lie within the accuracy. Where y has errors of its own they
/// cannot: `not_reached`, with a message that says whether what is left looks like errors alone (no
/// second Hermite moment of the residual stands out: "at the noise floor") or like a network that
/// is not the right one.
///
/// Throws BadInput before anything is fitted: k > d, fewer than 2 (d + p) training rows, inputs
/// that are collinear, an endless source without plan.rows, numbers out of range; OracleError on a
/// number of the examples that is not finite; DeviceError, and what the source throws, at any time.
/// Waits. Rank deficiency found on the way, answers that are constant or linear, and k too
/// small are outcomes. Source: Bakshi, Jayaram, Woodruff, COLT 2019 (start, row space, signs); the
/// fit is ours.
Learned<ReluNetwork> learn_two_layer(Device& device, SampleSource& source,
                                     const TwoLayerProblem& problem, const TwoLayerPlan& plan = {},
                                     const RunControl& control = {});

}  // namespace crease
