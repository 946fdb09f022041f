// What `crease show` says of a smooth network.
#pragma once

#include <crease/smooth_network.hpp>

namespace crease {

void print_smooth_network(const SmoothNetwork& network);

}  // namespace crease
