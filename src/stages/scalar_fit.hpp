// The scalars of a two-layer network whose directions are known: shifts and scales.
#pragma once

#include <crease/smooth_network.hpp>

#include <functional>

#include "src/stages/random.hpp"

namespace crease {

/// Directions, before scales and shifts.
struct TwoLayerDirections {
  HostMatrix first;      // [m0, d] unit rows a_i, linearly independent
  HostMatrix entangled;  // [m1, d] unit rows v_l = sum_i b_li g'(theta_i) a_i over its length
};

struct ScalarFitPlan {
  int starts = 4;
  double most_shift = 1.5;     // |theta_i|, |tau_l|
  double most_scale = 20;      // |s_l|
  double output = 1;           // of every neuron of the second layer, up to sign
  double exact = 1e-8;         // rms that ends it, of the deviation of the values
  Index most_steps = 60;       // of a start
  std::function<bool()> stop;  // asked before every step; may be empty
};

struct ScalarFit {
  SmoothNetwork network;
  double rms = 0;
};

/// F'(x) = c0 + sum_l c_l h(<b_l, g(A x + theta)> + tau_l), b_l = s_l (A^+ v_l) / g'(theta), fitted
/// to values y [n, 1] at points x [n, d] in theta, tau, s and c0 alone, |c_l| = plan.output:
/// Levenberg-Marquardt within bounds. The first start has no shifts, all c_l > 0, and s by least
/// squares on the linear second layer; others have shifts of .05, and signs of c at random where h
/// makes them a choice. g' must not vanish within the bounds (softplus and those that saturate).
///
/// This is the last step of Fornasier, Klock, Rauchensteiner 2019, who fit all but directions.
/// Throws BadInput where shapes differ. Waits.
ScalarFit fit_scalars(Device& device, Random& random, const HostMatrix& x, const HostMatrix& y,
                      const TwoLayerDirections& directions, Activation first, Activation second,
                      const ScalarFitPlan& plan = {});

}  // namespace crease
