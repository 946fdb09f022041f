// What the paths through the far field share: the first layer, saturated.
#pragma once

#include "src/learners/smooth_run.hpp"
#include "src/stages/corners.hpp"

namespace crease {

struct FarFirstLayer {
  SaturatedLayer layer;     // no directions: none can be used, and the status says why
  bool incomplete = false;  // fewer directions than F could vary in, where answers have errors
  std::string status;
};

/// Directions of the first layer from far out, and how far saturates it. F must become constant
/// there. With more directions than F varies in dimensions it ends after one line.
FarFirstLayer far_first_layer(SmoothRun& run);

struct OneLayerFromAfar {
  bool is_linear = false;                // answers at corners, in the signs: no second layer
  std::optional<SmoothNetwork> network;  // none: not linear, or a neuron's profile does not fit
};

/// One hidden layer with these directions.
OneLayerFromAfar one_layer_of(SmoothRun& run, const SaturatedLayer& first);

}  // namespace crease
