// Points in the coordinates of the first layer's neurons, and what is said of its values there.
#pragma once

#include "src/stages/corners.hpp"

namespace crease {

/// n rows of m independent signs.
HostMatrix random_signs(Random& random, Index n, Index m);

/// Answers [n, 1] at the points factor y dual of coordinates y [n, m]: <a_i, x> = factor y_i. In
/// chunks of one round. Waits.
HostMatrix values_at(Asker& asker, const SaturatedLayer& first, ConstHostView coordinates,
                     double factor);

/// The first layer's value at an argument as one in signs, in [-1, 1]; or its derivative.
double value_in_signs(Activation first, double argument, int derivative = 0);

/// A layer on signs s in [-1, 1] as one on the first layer's values: for sigmoid s = 2 y - 1.
SmoothNetwork::Layer on_values(SmoothNetwork::Layer on_signs, Activation first);

}  // namespace crease
