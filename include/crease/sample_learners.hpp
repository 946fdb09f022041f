// Learn a network from examples alone.
#pragma once

#include <crease/network.hpp>
#include <crease/run.hpp>
#include <crease/samples.hpp>

#include <optional>

namespace crease {

/// What the caller wants of y = U f(V x) + errors, f(z) = max(z, 0)^power, several outputs, k <= d.
struct TwoLayerProblem {
  std::optional<Index> neurons;  // k; none: found from the examples, as reported
  double power = 1;              // > 0, at most 64
  /// y = U relu(V x + b) + errors. Moments know nothing of b: the start takes it for 0, the fit
  /// finds it; large b (beyond about 1) may not be found. Power 1 only.
  bool biases = false;
  bool robust = false;     // some of the numbers of y may have gross errors
  double accuracy = 1e-8;  // wanted rms(y - F') / sd(F') on held-out examples
  double failure = 0.01;   // of the certificate
};

/// What the run will use.
struct TwoLayerPlan {
  std::optional<Index> rows;  // examples to take; none: all that the source has
  // Of them, the first ones, never fitted: examples must come in random order. None: a tenth, at
  // most 4096, and what a quarter of the memory holds.
  std::optional<Index> held_out;
  int tries = 8;        // joint diagonalisations ...
  int iterations = 50;  // ... of so many steps of alternating least squares each
  int starts = 4;       // candidates that are fitted, at most
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
/// `reached` if the rms of the held-out examples lies within the accuracy times sd(F') over the
/// inputs' law, or that of the answers where that is less. Where y has errors of its own it cannot:
/// `not_reached`, with a message that says whether what is left looks like errors alone (no second
/// Hermite moment of the residual stands out: "at the noise floor") or like a network that is not
/// the right one. Where robust, held-out answers with gross errors are the certificate's silent
/// points. After the first fit a lost device and a source that fails are outcomes too.
///
/// Throws BadInput before anything is fitted: k > d, fewer than 2 (d + p) training rows, inputs
/// that are collinear, an endless source without plan.rows, numbers out of range; OracleError on a
/// number of the examples that is not finite; DeviceError and what the source throws. Waits. Rank
/// deficiency found on the way, answers that are constant or linear, and k too small are outcomes.
/// Source: Bakshi, Jayaram, Woodruff, COLT 2019 (start, row space, signs); the fit is ours.
Learned<ReluNetwork> learn_two_layer(Device& device, SampleSource& source,
                                     const TwoLayerProblem& problem, const TwoLayerPlan& plan = {},
                                     const RunControl& control = {});

/// What the caller wants of y = sum_i lambda_i relu(<u_i, x>) + errors: one output, few neurons of
/// any signs, more than inputs where need be.
struct NarrowProblem {
  std::optional<Index> neurons;  // k, at most so many; none: one more as long as that helps
  bool biases = false;           // relu(<u_i, x> + b_i), and a constant
  double accuracy = 1e-4;        // wanted rms(y - F') / sd(F') on held-out examples
  double failure = 0.01;         // of the certificate
};

struct NarrowPlan {
  std::optional<Index> rows;      // examples to take; none: all that the source has
  std::optional<Index> held_out;  // as there; none: a fifth, at most 20,000
  int starts = 12;                // searches for all neurons at once, at most
  int rounds = 3;                 // further ones, for what the residual shows, at most
  Index most_neurons = 64;        // where k is not known
  Index fit_steps = 40;           // of one fit
};

/// Learns u_i, lambda_i from Gaussian examples. With relu(z) = z / 2 + |z| / 2 every neuron is a
/// hyperplane without orientation: a subspace that holds all u_i comes from Hermite moments of the
/// answers (second, contracted fourth, and the second one of their absolute value) less what is
/// affine and quadratic in them, each measured against labels that do not belong; searches within
/// it, from joint eigenvectors, matching pursuit and at random, give starts; all hyperplanes at
/// once are fitted to the examples (Levenberg-Marquardt, patterns anew in every step); what is left
/// shows which neurons are lacking, or were found once instead of twice. At the end neurons are
/// oriented and fitted as ReLUs over all rows. Neurons nearer to each other than the examples can
/// tell stay one. Where no orientation fits, the network keeps a linear part.
///
/// `reached` if the held-out examples lie within the accuracy; else `not_reached`, with a message
/// as of learn_two_layer(). Warns below 3 k d rows. Inputs that are not Gaussian: whitened, warned
/// of, and searched at random without moments as well.
///
/// Throws BadInput before anything is fitted: several outputs, fewer training rows than (k + 1) d
/// (k unknown: 2 d) unknowns, and as learn_two_layer(). Waits. Source: Chen, Dou, Goel, Klivans,
/// Meka, COLT 2023 (moments, iterations); the absolute value, the fit and the searches are ours.
Learned<ReluNetwork> learn_narrow(Device& device, SampleSource& source,
                                  const NarrowProblem& problem, const NarrowPlan& plan = {},
                                  const RunControl& control = {});

}  // namespace crease
