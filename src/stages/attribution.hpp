// Which layer a direction belongs to: what is left of F along it where all other neurons saturate.
#pragma once

#include <crease/matrix.hpp>

#include <vector>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

struct AttributionPlan {
  Index tries = 400;          // random r of a direction ...
  Index probes = 5;           // ... and how many of the best are asked about
  double saturating = 12;     // least |<w_j, p>| wanted of the other directions
  double reach = 6;           // u in [-reach, reach]
  Index points_of_scan = 49;  // values of u
};

/// How much F changes along every direction w_k, seen from points p at which all others are
/// saturated: the median over p of max_u F(p + u w_k) - min_u F(p + u w_k). p = T r, r a unit
/// vector orthogonal to w_k, the best of many random ones for m = min_{j != k} |<w_j, r>|, T =
/// saturating / m.
///
/// F = G(g(<a_1, x> + theta_1), ..., g(<a_m, x> + theta_m)), g saturating on both sides: along a_k
/// neuron k goes from one end to the other, and the score is of the order of F; along an entangled
/// direction v = sum_i b_i g'(theta_i) a_i all neurons stay where they are, and it is of the order
/// of 1e-4 of F at most. Directions that are neither, or off by more than 1 / T, may score
/// either way.
///
/// basis       [D, d] orthonormal rows
/// directions  [k, D] unit rows w_k, in coordinates of the basis; D >= 2, k >= 2
/// k probes points_of_scan queries, in chunks of one round; host memory for one chunk of points.
/// Throws BadInput. One output. Waits.
/// Source: Fornasier, Klock, Rauchensteiner 2019 (arXiv 1907.00485) attribute by what is constant
/// far out; the score and its numbers are ours.
std::vector<double> saturation_scores(Asker& asker, Random& random, ConstHostView basis,
                                      const HostMatrix& directions,
                                      const AttributionPlan& plan = {});

}  // namespace crease
