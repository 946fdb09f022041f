// Hyperplanes of neurons that a network lacks: uphill, from many places at once.
#pragma once

#include "src/stages/fit_rows.hpp"

namespace crease {

/// `count` hyperplanes, or fewer, no two of them nearly alike, best first: each a local maximum of
/// the correlation of |<v, x> + e| (less its affine part under N(0, I)) with what `network` leaves
/// of the rows. Uphill in twelve steps of .5 rad and less, from 128 random places: in 20 dimensions
/// a neuron's own hill is too steep at its top to be met by chance, but its foot is broad. Nothing
/// is asked. With several outputs the residual is its projection on its principal direction in R^p.
///
/// x of the rows ~ N(0, I), at most 20000 of them are used; network fitted to them (the residual
/// has no affine part).
HostMatrix climbed_seeds(Device& device, const FitRows& rows, const Hyperplanes& network,
                         Index count, Random& random, Index most_bytes);

}  // namespace crease
