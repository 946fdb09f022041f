// A smooth network that is right on a subspace of its inputs, made right on all of them.
#pragma once

#include <crease/smooth_network.hpp>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// Corrects the first layer's weights (m x d), and with `linear` the linear part, of a network that
/// is right where x lies in the span of `basis` and nearly so elsewhere. From random centers x_c in
/// the span, E the weights' errors, e those of the linear part, p_i = dF'/dz_i of the first layer:
///   F(x) - F'(x) = h (sum_i p_i(x) E_ij + e_j) + O(E^2)   at x = x_c + h e_j, h = +-sqrt(d) / 2,
/// a least-squares problem of m (+ 1) unknowns for every input j: nothing grows with m d but the
/// queries, lift_rows() * d of them, where a fit of all weights at once needs normal equations of
/// (m d)^2. No center serves twice: an input without weights would show the same at both.
///
/// basis [D, d] orthonormal rows. One output. Inputs in blocks within Budget::device_bytes. Waits.
SmoothNetwork lift_to_inputs(Asker& asker, Random& random, const HostMatrix& basis,
                             SmoothNetwork network, bool linear, double rows_per_unknown);

/// Rows of the least-squares problem of each input.
Index lift_rows(const SmoothNetwork& network, bool linear, double rows_per_unknown);

}  // namespace crease
