// The neurons that a network lacks, fitted to its residual in the few directions that it bends in.
#pragma once

#include "src/stages/hyperplane_fit.hpp"
#include "src/stages/random.hpp"

namespace crease {

struct ResidualNeuronsPlan {
  double span = 2;          // directions per neuron ...
  Index least_span = 4;     // ... at least
  Index most_rows = 40000;  // that are looked at
  Index most_steps = 10;    // of Levenberg and Marquardt: seeds need no more
  Index twice_below = 32;   // neurons: two random starts, the better one counts
  Index most_bytes = Index{1} << 30;
  std::function<bool()> stop;
};

/// `count` hyperplanes for what `network` leaves of the rows: a missing neuron c |<v, x> + e| gives
/// E[R (x x' - I)] the eigenvector v with the eigenvalue 2 c phi(e), so the normals of those that
/// stand out lie in the span of the leading eigenvectors, and there all of them are fitted to R
/// from random starts, with count (m + 1) unknowns instead of count (d + 1), m = span * count. The
/// rest of R, spread over all directions, hardly shows in so few.
///
/// With several outputs R is the residual's projection on its principal direction in R^p. Rows
/// without weights. Waits.
HostMatrix residual_neurons(Device& device, const FitRows& rows, const Hyperplanes& network,
                            Index count, Random& random, const ResidualNeuronsPlan& plan = {});

}  // namespace crease
