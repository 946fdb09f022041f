// A smooth network that is right on a subspace of its inputs, made right on all of them.
#pragma once

#include <crease/smooth_network.hpp>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// Corrects the first layer's weights (m x d), and with `linear` the linear part, of a network that
/// is right where x lies in the span of `basis` and nearly so elsewhere. From centers x_c in the
/// span, E the weights' errors, e those of the linear part and p_i = dF'/dz_i of the first layer:
///   F(x) - F'(x) = +-h (sum_i p_i(x) E_ij + e_j) + O(E^2)   at x = x_c +- h e_j,
/// h = sqrt(d) / 2, a least-squares problem of m (+ 1) unknowns for every input j: nothing grows
/// with m d but the queries, lift_centers() * 2 d of them, where a fit of all weights at once needs
/// normal equations of (m d)^2.
///
/// basis [D, d] orthonormal rows. One output. Inputs in blocks within Budget::device_bytes. Waits.
SmoothNetwork lift_to_inputs(Asker& asker, Random& random, const HostMatrix& basis,
                             SmoothNetwork network, bool linear, double rows_per_unknown);

/// Centers of such a lift, each of which gives two rows to every input.
Index lift_centers(const SmoothNetwork& network, bool linear, double rows_per_unknown);

}  // namespace crease
