// Sizes of what is held of many rows at a time.
#pragma once

#include <crease/types.hpp>

namespace crease {

inline constexpr Index kDoubleBytes = sizeof(double);
inline constexpr Index kChunkBytes = Index{1} << 26;  // rows for a product at full speed

}  // namespace crease
