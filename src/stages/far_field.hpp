// The first layer's directions, from far out: there all neurons but one are saturated.
#pragma once

#include <crease/matrix.hpp>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

struct FarFieldPlan {
  double sigma = 0;      // deviation of an answer; 0: only rounding
  int rounds = 16;       // at most
  int most_stale = 5;    // rounds in a row that found no new direction: the end
  Index lines = 4;       // of a round at most; the first rounds have one, two, ...
  Index most_steps = 0;  // of a line: more are more directions than that, and the end; 0: any
  // With noise: secants of a 15th, exact to some 3e-5 + 1e-2 sigma / step by m (28 D + 60) queries.
  bool crude = false;
};

struct FarField {
  HostMatrix directions;  // [found, d] unit rows +-a_i, in the span of the basis
  int rounds = 0;
  bool too_many = false;  // a line had more than most_steps, ...
  Index most_steps = 0;   // ... and so many: nearly all neurons
};

/// Directions a_i of F(x) = G(g(<a_1, x> + theta_1), ..., g(<a_m, x> + theta_m)), g saturating on
/// both sides, the a_i linearly independent. Along a line through points of size R F is constant
/// but for steps, one for every a_i; at a step all other neurons are saturated, F = phi(<a_i, x>),
/// and the gradient is a multiple of a_i. Lines are scanned and steps bisected, all of a round in
/// one batch a level (far_steps.hpp); gradients are made exact by differences over secants of the
/// level set (secants.hpp), and checked along others. With noise the secants are bisected: they
/// need comparisons alone. Steps of known directions are predicted and not measured again.
///
/// Exact to some 1e-10 without noise, R = 1e4 m sqrt(D), by some m (3 D + 50) queries; with noise
/// to some 1e-6 + 1e-3 sigma / step, R = 1e6 m sqrt(D), by m (41 D + 60). A neuron whose steps are
/// all below 24 sigma, or 1e-8 |F|, is not found. For |a_i| of about .1 to 100; steps of smaller
/// ones are too wide for R. An F without steps gives nothing, after most_stale rounds.
///
/// A line meets every hyperplane once: with most_steps = D the first line, longer then, tells m > D
/// by some 25 m queries, where it meets more than D of them: nearly always for m > 1.05 D.
///
/// basis   [D, d] orthonormal rows that span the a_i
/// wanted  m; it ends once so many were found
/// BadInput where wanted is not in 1..D, or the plan's numbers are out of range. One output. Waits.
/// Source: ours, for the black box of Fornasier, Klock, Rauchensteiner 2019.
FarField far_field(Asker& asker, Random& random, const HostMatrix& basis, Index wanted,
                   const FarFieldPlan& plan = {});

}  // namespace crease
