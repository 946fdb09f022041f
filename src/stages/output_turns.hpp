// Directions of neurons' outputs, improved on gradients in several cells: with p > 1 outputs a
// slice knows them less well than a lift needs.
#pragma once

#include <vector>

#include "src/stages/cells.hpp"

namespace crease {

/// Unknowns of turn_outputs, at most: its system is solved on the host.
inline constexpr Index kMostTurned = 4096;

/// What turning the output direction s_j by tangent t adds to the patterns of cells: column
/// j (p - 1) + t holds t at the rows of the cells where neuron j is active. The p - 1 tangents of a
/// neuron are orthonormal and orthogonal to s_j.
///
/// above  [n, k] heights of the cells' points
/// out    [n p, k (p - 1)]
HostMatrix turned_patterns(const Hypothesis& planes, const HostMatrix& above);

/// How well gradients in cells determine each output direction beside all W and g: with one
/// standard deviation in every gradient, |W_j| times the angle by which s_j is off is about one
/// over this (other neurons' angles taken as known). [k]
///
/// fit  of patterns(planes, above)
std::vector<double> turn_certainty(const WeightedFit& fit, const Hypothesis& planes,
                                   const HostMatrix& above);

/// One Gauss-Newton step of all output directions with W and g eliminated: turning s_j by t adds
/// (e_jt)_co W_j^T to the gradients; of the pattern e_jt only what no W explains counts, M_jt. The
/// columns M_jt W_j^T have the inner products <M_jt, M_it'> <W_j, W_i>: a system of k (p - 1)
/// unknowns, whatever d is. False, and nothing is done, where that is none or more than
/// kMostTurned, or the system cannot be solved.
///
/// fit      of patterns(planes, above)
/// w        [k, d] the W_j
/// left     [n p, d] of the gradients, what fit leaves unexplained
/// planes   output directions are turned, lengths of `scales` stay
bool turn_outputs(Device& device, const WeightedFit& fit, const HostMatrix& above,
                  const HostMatrix& w, const HostMatrix& left, Hypothesis& planes);

}  // namespace crease
