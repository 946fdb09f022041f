// One run of learn_from_hessians: what its paths share.
#pragma once

#include <crease/hessian_learner.hpp>

#include <string>

#include "src/stages/ask.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/random.hpp"

namespace crease {

inline constexpr const char* kHessianVanishes =
    "HESSIAN_VANISHES: second differences are zero at most points: a piecewise linear (ReLU-type) "
    "or "
    "affine target, which the query learner is for, or one that is constant at most points";
inline constexpr const char* kHiddenByNoise =
    "HESSIAN_VANISHES: no curvature stands above the errors of the answers: a piecewise linear "
    "(ReLU-type) or affine target, which the query learner is for, or answers too coarse for this "
    "one";
inline constexpr const char* kNotSmooth =
    "HESSIAN_VANISHES: second differences do not agree at two steps: kinks, which the query "
    "learner "
    "is for, or bends that the errors of the answers hide";

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

/// The inputs' subspace that F depends on, from gradients at d + 4 points (4 d where answers are
/// not exact).
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

/// All parameters of a network on fresh Gaussian points; none, with a warning, where unknowns or
/// queries do not allow it.
std::optional<SmoothNetwork> polished(SmoothRun& run, const SmoothNetwork& start);

/// Fresh points for `network`, in the units of F: certificate, errors, outcome and message.
/// `reached` where no point is off by more than ten deviations of an answer (exact ones: 1e-11 of
/// F's size) and the rms is within the accuracy, unless something else ended the run; else the
/// message is `status`, or what the points say.
void certify_smooth(SmoothRun& run, const SmoothNetwork& network, const std::string& status);

}  // namespace crease
