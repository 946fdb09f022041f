// One neuron's scale and shift from the curvature along its direction.
#pragma once

#include <crease/smooth_network.hpp>

#include <vector>

namespace crease {

/// curvature_n ~ factor * g''(scale * t_n + shift)
struct Profile {
  double factor = 0;
  double scale = 1;
  double shift = 0;
  double error = 1;  // relative rms of what is left
};

/// The best over a grid (17 scales, log-spaced in [1/4, 4], 61 shifts in [-3, 3], the factor in
/// closed form), then Levenberg-Marquardt in the three of them. The signs of tanh, sin and erf
/// neurons stay as the grid has them (scale > 0). Where there is no curvature at all, or
/// numbers are not finite, factor 0 and error 1. Throws BadInput where sizes differ or are 0.
Profile fit_profile(Activation activation, const std::vector<double>& t,
                    const std::vector<double>& curvature);

}  // namespace crease
