// Whether two networks are the same, bit for bit.
#pragma once

#include <crease/network.hpp>
#include <crease/smooth_network.hpp>

#include "tests/support/near.hpp"

namespace crease {

/// The same shapes, bits and powers; says which part differs.
testing::AssertionResult same_bits(const ReluNetwork& got, const ReluNetwork& expected);

/// The same layers, shapes, bits and activations.
testing::AssertionResult same_bits(const SmoothNetwork& got, const SmoothNetwork& expected);

}  // namespace crease
