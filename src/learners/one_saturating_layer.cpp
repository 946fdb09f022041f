// One hidden layer that saturates, from far out: corners, then one profile a neuron.
#include <algorithm>

#include "src/learners/far_first_layer.hpp"
#include "src/stages/saturated_profiles.hpp"

namespace crease {
namespace {

constexpr double kLinear = 1e-9;    // of the root mean square of F: no residual at corners ...
constexpr double kNoisyLinear = 3;  // ... or so many deviations of an answer
constexpr Index kPairs = 2;         // of points of a profile, ...
constexpr Index kNoisyPairs = 12;   // ... where answers have errors

}  // namespace

OneLayerFromAfar one_layer_of(SmoothRun& run, const SaturatedLayer& first) {
  run.asker.enter("corners");
  const LinearCorners corners = linear_corners(run.asker, run.random, first);
  // Errors of rounded answers grow with their size, which may be larger here.
  const double size = std::max(run.size, corners.largest);
  const double sigma = run.sigma * size / run.size;
  if (!(corners.residual <= std::max(kLinear * size, kNoisyLinear * sigma))) return {};
  run.asker.enter("profiles");
  return {true, saturated_profiles(run.asker, run.random, first, corners,
                                   run.sigma > 0 ? kNoisyPairs : kPairs)};
}

SmoothAttempt learn_one_saturating_layer(SmoothRun& run) {
  const FarFirstLayer first = far_first_layer(run);
  if (first.layer.directions.rows() == 0) return {};
  return {one_layer_of(run, first.layer).network, ""};
}

}  // namespace crease
