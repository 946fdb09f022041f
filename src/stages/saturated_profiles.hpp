// One hidden layer of saturating neurons whose directions are known: outputs, scales, shifts.
#pragma once

#include <optional>
#include <vector>

#include "src/stages/corners.hpp"

namespace crease {

/// F(x(s)) = constant + <outputs, s> at corners s in {-1, 1}^m, where all neurons are saturated.
struct LinearCorners {
  std::vector<double> outputs;  // [m], of the neurons' values in signs: tanh, erf, 2 sigmoid - 1
  double constant = 0;
  double residual = 0;  // rms of what is left, over degrees of freedom: of an answer
  double largest = 0;   // |F| at those corners
};

/// By least squares at m + 33 random corners. Exact for one hidden layer, whatever its scales and
/// shifts; a second layer leaves a residual of the size of what it bends. One output. Waits.
LinearCorners linear_corners(Asker& asker, Random& random, const SaturatedLayer& first);

/// The network of one hidden layer: scales and shifts from profiles along dual_i with the others
/// saturated, where F = constant + sum of the others + output_i z(u), and g's inverse makes of z(u)
/// a line, scale u + shift. Bisection finds two points with |z| < 0.8, whatever the scale; then the
/// line is fitted to `pairs` of points more, a weighted least squares problem in two unknowns. Some
/// 8 + 2 pairs queries a neuron, all neurons' in one batch a level.
///
/// None where a neuron is nowhere seen between its ends. One output. Throws BadInput. Waits.
std::optional<SmoothNetwork> saturated_profiles(Asker& asker, Random& random,
                                                const SaturatedLayer& first,
                                                const LinearCorners& corners, Index pairs = 2);

}  // namespace crease
