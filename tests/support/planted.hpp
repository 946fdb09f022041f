// Planted values: no two alike, none of them round.
#pragma once

#include <crease/matrix.hpp>

namespace crease {

/// Values in (offset - 1, offset + 1), no two alike, of both signs where offset is 0, in no order,
/// and with mantissas long enough that sums and products round.
HostMatrix distinct(Index rows, Index cols, double offset = 0.0);

/// The same with a zero at every fifth element and ties between the elements 7 k + 3 and 7 k + 4.
HostMatrix with_zeros_and_ties(HostMatrix values);

}  // namespace crease
