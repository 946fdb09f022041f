// All hyperplanes of a network at once: Levenberg-Marquardt with variable projection.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "src/stages/hyperplanes.hpp"

namespace crease {

/// Examples (x, y), y = F(x) + errors, and how far each may be trusted.
struct FitRows {
  ConstDeviceView x;             // [n, d]
  ConstDeviceView y;             // [n, p]
  ConstDeviceView weights = {};  // empty: all 1; [n, 1] or [n, p]: 1 / sigma, finite, >= 0
  /// False: F has none, every hyperplane goes through 0 and there is no constant: x1 = (x, 0)
  /// below.
  bool offsets = true;
};

struct HyperplaneFitPlan {
  Index most_steps = 40;  // few neurons lacking: 10 to 30; more are better spent on more neurons

  /// Damping mu: n sum_i mu phi_i |delta_i|^2 is added to what is minimised, phi_i the angle by
  /// which hyperplane i moved in the last step. What a linear model does not know is the points
  /// that a hyperplane sweeps over, a squared error of about .85 phi_i |delta_i|^2 each: so a
  /// neuron that has arrived is not held back by one that has not. Right as it stands where
  /// E x x^T = I.
  double damping = 1e-2;        // a hundredth of that error: most of it averages out
  double first_turn = 0.1;      // phi of the first step; 1e-3 for a start that is nearly right
  double least_damping = 1e-9;  // of mu phi: below the noise of every Gram matrix
  double most_damping = 30;     // a longer fight is lost: steps of a tenth of the neurons' size

  /// At most so many unknowns are solved for by their normal equations, in double precision.
  Index dense_unknowns = 300;
  /// The others by conjugate gradients, to a residual (in the norm of the preconditioner) of
  /// `loose` times the first one while the rms is above `tighten` times its start, then `tight`.
  double loose = 1e-2;
  double tight = 1e-3;
  double tighten = 0.05;
  Index loose_iterations = 40;
  Index tight_iterations = 80;

  /// Root mean square of the errors of y times weights; 0: not known. The fit ends below
  /// near_noise times that once a step gains less than near_gain, or fails.
  double noise = 0;
  double near_noise = 1.3;
  double near_gain = 0.15;  // of the mean square
  /// It ends after two steps in a row that gain less than this, anywhere.
  double stall = 5e-3;
  /// It ends after slow_steps in a row that each gain less than slow_gain (of the mean square)
  /// while the rms is above slow_above: hyperplanes slide towards neurons that are lacking, and a
  /// few more of them do it faster. 0: never.
  double slow_gain = 0;
  double slow_above = 0;
  int slow_steps = 3;

  /// The inputs are not N(0, I): centre and whiten them first, by their sample covariance.
  bool whiten = false;

  /// Scratch, besides x, y and what n (d + 1 + p) numbers take.
  Index most_bytes = Index{1} << 30;
  /// Asked before every step: end here?
  std::function<bool()> stop;
};

struct HyperplaneFitStep {
  double damping;       // mu
  Index cg_iterations;  // 0: dense
  double predicted;     // rms that the linear model promised
  double rms;           // after it; infinity where the scales could not be solved for
  double turn;          // median angle by which it moved the hyperplanes
  bool accepted;
};

struct HyperplaneFit {
  enum class End { at_noise, stalled, slow, most_damping, most_steps, stopped };

  Hyperplanes network;
  double first_rms = 0;  // of the start, with its best scales
  double rms = 0;        // root of the mean square of weights (y - F'), over rows and outputs
  End end = End::most_steps;
  Index cg_iterations = 0;
  std::vector<HyperplaneFitStep> history;
};

/// Levenberg-Marquardt over all hyperplanes, patterns anew in every step, scales and linear part
/// always the best for the hyperplanes (variable projection). With S_i = sign(<v_i, x> + e_i) fixed
/// and x1 = (x, 1), the step minimises, over rows and outputs,
///   |weights (y - F' - sum_i S_i u_io <delta_i, x1> - sum_i |<V_i, x1>| eta_io - <alpha_o, x1>)|^2
///     + n sum_i mu phi_i (|delta_i|^2 + |eta_i|^2),   V_i = (v_i, e_i),  u_i = c_i / |c_i|;
/// then V_i <- |c_i| V_i + delta_i, of unit normal, and (c, linear) are solved for. For p = 1 that
/// is theta_i = c_i V_i <- theta_i + delta_i (u = 1), which holds every change of the scale, and
/// there is no eta. For p > 1, eta lets the direction of c_i in R^p turn with the hyperplane:
/// without it (scales after planes) convergence is linear.
///
/// A step is taken if the mean square falls, and mu follows what of the promised gain came true:
/// mu / 4 above .75 of it, 2 mu below .4. A step that fails costs 8 mu, further ones in a row 32,
/// 128, ...; a Cholesky factor that does not exist is such a step. Normal equations or conjugate
/// gradients, see the plan. The preconditioner is (E S_i S_j <u_i, u_j> + diag(mu phi))^-1 (x)
/// I_{d+1}: right to low rank for N(0, I).
///
/// Throws BadInput where shapes do not fit, x or y is not finite, n = 0, a weight is negative or
/// not finite, or the start has offsets where the rows have none. Waits.
HyperplaneFit fit_hyperplanes(Device& device, const FitRows& rows, Hyperplanes start,
                              const HyperplaneFitPlan& plan = {});

/// The best scales and linear part for the hyperplanes of `network` (its own are not read), by
/// normal equations with unit columns and a ridge of 1e-10, refined on the residual. No value where
/// there is no Cholesky factor.
struct SolvedScales {
  Hyperplanes network;
  double rms = 0;  // as in HyperplaneFit
  /// Per neuron: rms'^2 = rms^2 + importance^2 if it is dropped and the others are solved for
  /// again, importance_i^2 = sum over o of c_io^2 / (H^-1)_ii / (n p), H the Gram matrix of
  /// [|<V_i, x1>|, x1].
  std::vector<double> importance;
};
std::optional<SolvedScales> solve_scales(Device& device, const FitRows& rows,
                                         const Hyperplanes& network,
                                         Index most_bytes = Index{1} << 30);

/// Root of the mean square of weights (y - F') over rows and outputs; 0 where there are none.
double residual_rms(Device& device, const FitRows& rows, const Hyperplanes& network,
                    Index most_bytes = Index{1} << 30);

}  // namespace crease
