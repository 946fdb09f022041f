// The noise of answers, from points opposite to those of fans that are paid for.
#pragma once

#include "src/stages/ask.hpp"
#include "src/stages/fan_rows.hpp"
#include "src/stages/random.hpp"

namespace crease {

inline constexpr Index kMirroredPoints = 16;

/// Asks kMirroredPoints points x - s z opposite to paid x + s z, where both lie in the cell of x:
/// F(x + s z) + F(x - s z) - 2 F(x) is noise alone. The noise model times 1.2 * the ratio of what
/// is seen (root mean square) to what it expects, at least 0.1; as it is for an output with fewer
/// than four such points. In one round; none are asked where no fan has room.
NoiseModel mirrored_noise(Asker& asker, Random& random, const UnitNetwork& network,
                          const NoiseModel& noise, const std::vector<FanRows>& rows);

}  // namespace crease
