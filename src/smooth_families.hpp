// Planted smooth networks: targets that tests, benchmarks and `crease make smooth` draw from a
// seed.
#pragma once

#include <crease/smooth_network.hpp>

#include <optional>
#include <vector>

namespace crease {

/// A planted smooth network and its numbers.
struct SmoothPlan {
  enum class Directions {
    sphere,      // independent, uniform on the sphere
    orthogonal,  // nearly: orthonormal, plus 0.3 / sqrt(d) N(0, I); at most d of them
  };
  enum class Coefficients {
    unit,    // 1
    spread,  // of random sign, |c| uniform in [0.5, 1.5]
  };

  Index inputs = 0;                   // d >= 1
  Index neurons = 0;                  // m0 of the first hidden layer; >= 1
  std::optional<Index> second_layer;  // m1 >= 1; none: one hidden layer
  Index outputs = 1;                  // p >= 1
  // One for all layers, or one a layer.
  std::vector<Activation> activations = {Activation::tanh};
  Directions directions = Directions::sphere;  // of the first layer's weights
  std::optional<double> shifts;  // standard deviation of the biases (0.3; two layers 0.05); >= 0
  std::optional<Coefficients> coefficients;  // (spread; with two layers and one output unit)
};

/// One hidden layer:   c0 + sum_i c_i g(s_i <a_i, x> + theta_i), |a_i| = 1, s_i uniform in
///                     [0.7, 1.5], theta_i ~ N(0, shifts^2), c0 = 0.3
/// Two hidden layers:  sum_l c_l h(<b_l, y> + tau_l), y_i = g(<a_i, x> + theta_i), |a_i| = |b_l| =
///                     1, b_l uniform on the sphere, theta_i and tau_l ~ N(0, shifts^2)
/// with c as the plan says, others for every output. No linear part. The two-layer network is the
/// model of Fornasier, Klock and Rauchensteiner, "Robust and resource efficient identification of
/// two hidden layer neural networks".
///
/// A function of plan and seed alone, bit for bit, on every machine. Throws BadInput on a number
/// out of its range, on more activations than layers, on more than d nearly orthogonal directions,
/// and on unit coefficients of several outputs, which would all be one function.
SmoothNetwork make_smooth_network(const SmoothPlan& plan, Seed seed);

}  // namespace crease
