// One run of learn_from_hessians: what its paths share.
#pragma once

#include <crease/hessian_learner.hpp>

#include <string>

#include "src/stages/ask.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// What a message begins with where nothing is `reached` (crease/hessian_learner.hpp).
namespace reason {
inline constexpr const char* kHessianVanishes = "HESSIAN_VANISHES";
inline constexpr const char* kRankSaturated = "RANK_SATURATED";
inline constexpr const char* kFarFieldIncomplete = "FAR_FIELD_INCOMPLETE";
inline constexpr const char* kNotSaturating = "NOT_SATURATING";
inline constexpr const char* kResidualTooLarge = "RESIDUAL_TOO_LARGE";
inline constexpr const char* kTooManyUnknowns = "TOO_MANY_UNKNOWNS";
}  // namespace reason

inline std::string because(const char* reason, const std::string& why) {
  return std::string(reason) + ": " + why;
}

inline const std::string kHessianVanishes =
    because(reason::kHessianVanishes,
            "second differences are zero at most points: a piecewise linear (ReLU-type) or affine "
            "target, which the query learner is for, or one that is constant at most points");
inline const std::string kHiddenByNoise =
    because(reason::kHessianVanishes,
            "no curvature stands above the errors of the answers: a piecewise linear (ReLU-type) "
            "or affine target, which the query learner is for, or answers too coarse for this one");
inline const std::string kNotSmooth =
    because(reason::kHessianVanishes,
            "second differences do not agree at two steps: kinks, which the query learner is for, "
            "or bends that the errors of the answers hide");
inline const std::string kUnexplained =
    because(reason::kResidualTooLarge, "what was found does not explain fresh points");

/// What a path found: a network, or why there is none.
struct SmoothAttempt {
  std::optional<SmoothNetwork> network;
  std::string status;  // empty: nothing stands against it but its residual
};

/// Hessians at centres, as vectors.
struct HessianRows {
  HostMatrix centers;  // [N, d]
  HostMatrix rows;     // [N, D (D + 1) / 2]
};

/// The problem, the plan and the control outlive it.
struct SmoothRun {
  SmoothRun(Device& device_of_run, Oracle& oracle, const SmoothProblem& problem_of_run,
            const HessianPlan& plan_of_run, const RunControl& control_of_run)
      : device(device_of_run),
        problem(problem_of_run),
        plan(plan_of_run),
        control(control_of_run),
        asker(device, oracle, control),
        random(control.seed) {}

  /// Points for the certificate are kept from learning.
  Index reserved() const {
    return control.budget.queries
               ? std::min(plan.certificate_points + plan.ball_points, *control.budget.queries / 4)
               : 0;
  }

  /// One deviation of an answer, at least its rounding.
  double sigma_or_rounding() const { return std::max(sigma, 0x1p-52 * size); }

  /// Fresh Gaussian points with their answers.
  struct Points {
    DeviceMatrix x;  // [n, d]
    DeviceMatrix y;  // [n, 1]
  };
  Points gaussian_points(Index n, double scale = 1);

  /// A network of the standardized answers as one of F.
  SmoothNetwork of_target(SmoothNetwork network) const;

  /// rms of F - F' over standard deviation of F, at fresh Gaussian points.
  double held_out_error(const SmoothNetwork& network, Index points);

  Device& device;
  const SmoothProblem& problem;
  const HessianPlan& plan;
  const RunControl& control;
  Asker asker;
  Random random;
  // Answers are seen less their mean and over their standard deviation under N(0, I), once they are
  // measured: all numbers below are in these units.
  double mean = 0, deviation = 1;
  double sigma = 0;  // of an answer; 0: exact
  double size = 1;   // root mean square of F as it came: what rounding is relative to
  NoiseModel noise;
  HostMatrix basis;         // [D, d] orthonormal rows: where F varies
  Index least_neurons = 0;  // of the first layer: a line from far out met so many, nearly all
  HessianRows hessians;     // so far
  RunReport report;
};

/// Asks how exact the answers are, and how large; then standardizes them.
void measure_answers(SmoothRun& run);

/// Of exact answers gradients are taken at so many points at first, ...
inline constexpr Index kFirstGradients = 12;
inline constexpr Index kSpareGradients = 4;  // ... until so many more than their rank, or d

/// The inputs' subspace that F depends on, from gradients at Gaussian points, more of them until
/// they show their rank (4 d where answers are not exact). Exact answers are then compared at 16
/// points and their projections: as many gradients again where they differ, all inputs where they
/// still do, by more than steep neurons' truncation, after four rounds. With errors all inputs too,
/// unless the singular values have a wide gap.
void find_basis(SmoothRun& run);

/// Whether F has a limit along random rays.
bool becomes_constant(SmoothRun& run);

/// One hidden layer (path S of the specification). With `most_hessians` it gives up there. Called
/// again it adds to the Hessians, up to `least_hessians` at first.
SmoothAttempt learn_one_layer(SmoothRun& run, std::optional<Index> most_hessians = {},
                              Index least_hessians = 0);

/// One hidden layer of neurons that saturate, their weights linearly independent: far field,
/// corners, profiles. F must become constant far out. Without a network, and little lost, where
/// there are more neurons than dimensions.
SmoothAttempt learn_one_saturating_layer(SmoothRun& run);

/// Two hidden layers, far field and corners (path C). F must become constant far out. With
/// `may_be_one` the network has one layer where the first layer's neurons add up without a second.
SmoothAttempt learn_two_layers(SmoothRun& run, bool may_be_one);

/// Two hidden layers by the paper's own way (path P): the span of Hessians near the origin, its
/// matrices of rank one, layers told apart where neurons saturate, scalars, everything. F may be
/// one that does not saturate: then the residual tells which candidates are the first layer's.
/// problem.second_neurons must be given. Attempts 0, 1, ... have Hessians on spheres of different
/// radii.
SmoothAttempt learn_entangled_layers(SmoothRun& run, int attempt);

/// Queries of one attempt, at most.
Index entangled_queries(const SmoothRun& run);

/// Why a first of two layers of so many neurons is not looked for: F varies in fewer directions.
std::string more_than_directions(const SmoothRun& run, Index neurons);

/// All parameters of a network on fresh Gaussian points; none, with a warning, where unknowns or
/// queries do not allow it. Where F varies in fewer directions than there are inputs, and answers
/// are exact or the unknowns too many, in the coordinates of the basis; the weights outside of it
/// follow by lift_to_inputs().
std::optional<SmoothNetwork> polished(SmoothRun& run, const SmoothNetwork& start);

/// Fresh points for `network`, in the units of F: certificate, errors, outcome and message.
/// `reached` where no point is off by more than ten deviations of an answer (exact ones: 1e-11 of
/// F's size) and the rms is within the accuracy, unless something else ended the run; else the
/// message is `status`, or what the points say.
void certify_smooth(SmoothRun& run, const SmoothNetwork& network, const std::string& status);

}  // namespace crease
