// The offsets of hyperplanes whose normals are known: k unknowns instead of k (d + 1).
#pragma once

#include <functional>

#include "src/stages/hyperplane_fit.hpp"

namespace crease {

struct OffsetFitPlan {
  Index most_steps = 25;
  double damping = 1e-2;      // mu: n mu |c_i|^2 (change of e_i)^2 is added; / 4 or * 8
  double most_damping = 100;  // where it gives up
  double most_change = 0.5;   // of an offset in one step
  double stall = 0.02;        // it ends after two steps in a row that gain less of the mean square
  /// Rows that are used: at most so many per unknown, 2 k + d + 1 of one output.
  double rows = 8;
  Index most_bytes = Index{1} << 30;  // scratch for rows; besides three matrices of (k + d + 1)^2
  std::function<bool()> stop;         // asked before every step: end here?
};

struct OffsetFit {
  Hyperplanes network;
  double first_rms = 0;  // of the start, with its best scales
  double rms = 0;
  Index steps = 0;
};

/// Levenberg-Marquardt over the offsets e_i alone, scales and linear part always the best for them.
/// With S_i = sign(<v_i, x> + e_i) fixed, H = [|<v_i, x> + e_i|, x, 1] and P the projection off H,
/// a step minimises sum_o |r_o - sum_i c_io P S_i delta_i|^2 + n mu sum_i |c_i|^2 delta_i^2.
///
/// Lines far out know normals well and offsets hardly at all; a fit of both at once turns normals
/// that were right to make up for offsets that are not.
///
/// rows   no weights; as for fit_hyperplanes
///
/// Throws BadInput as fit_hyperplanes does, and for weights. Waits.
OffsetFit fit_offsets(Device& device, const FitRows& rows, const Hyperplanes& start,
                      const OffsetFitPlan& plan = {});

}  // namespace crease
