// The second layer from corners: points at which every neuron of the first layer is saturated.
#pragma once

#include <crease/smooth_network.hpp>

#include <functional>
#include <optional>
#include <vector>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// A first layer of known directions, and what saturates it: x = dual^T (reach s + ...), <a_i,
/// dual_j> = 1 where i = j and 0 elsewhere.
struct SaturatedLayer {
  HostMatrix directions;  // [m, d] rows a_i, linearly independent
  HostMatrix dual;        // [m, d]
  Activation activation = Activation::tanh;
  double reach = 20;  // sigmoid: 40
};

/// Where a neuron of unit scale is saturated: 20, sigmoid 40.
double reach_of(Activation activation);

/// Whether the least singular value of the rows is above 1e-10 of the largest; not more rows than
/// columns.
bool are_independent(const HostMatrix& directions);

/// dual = (A A^T)^-1 A, reach by the activation; BadInput where it does not saturate, or the
/// directions are not independent.
SaturatedLayer saturated_layer(const HostMatrix& directions, Activation activation);

/// `reach`, doubled until twice of it makes no difference to 16 random corners (within 1e-10 of
/// their deviation, 6 sigma and rounding), at most six times: for neurons of small scales. 16
/// queries a look. Waits.
double saturating_reach(Asker& asker, Random& random, const SaturatedLayer& first,
                        double sigma = 0);

struct CornersPlan {
  std::optional<Index> neurons;  // m1 of the second layer; none: found, an upper bound
  Index least_neurons = 1;       // where they are not given: counting starts here
  Index most_neurons = 0;        // tried, likewise; 0: eight more than signs
  double sigma = 0;              // deviation of an answer
  Index most_unknowns = 6000;    // of a fit
  std::function<bool()> stop;    // asked within fits too; may be empty
  std::function<void(Index neurons, double rms)> tried;  // called after every fit; may be empty
};

struct Corners {
  /// One hidden layer in the signs s: F(x(s)) = constant + sum_l output_l h(<b_l, s> + tau_l),
  /// s in {-1, 1}^m; the first layer's values are s (tanh, erf) or (1 + s) / 2 (sigmoid).
  SmoothNetwork second;
  double rms = 0;        // of the corners fitted
  double deviation = 0;  // standard deviation of F over them
  bool cut = false;      // counts of more than most_unknowns were left out
  bool settled = false;  // rms <= max(1e-9 * deviation, 1.3 sigma)
  // Whether corners say it all: there are four of them, 2^m in all, for every unknown, and h is not
  // sin, whose weights they give modulo pi only. Where not, `second` may be another function
  // between the corners: learn_both_layers().
  bool determined = false;
};

/// The second layer's neurons, nearly always, where answers are exact, and less where they are not:
/// with two thirds of the first layer's neurons at <a_i, x> = 0 and the others at corners s, slopes
/// along the duals of the former,
///   D_i(s) = s_i g'(theta_i) sum_l output_l h'(z_l(s)) b_li,
/// are a matrix of that rank, whatever scales (up to some 30: truncation shows then) and shifts
/// are. With errors of answers (sigma) only what stands above them counts; at least 1. 2 (2 m / 3)
/// queries a corner, which are 8, 16, ... up to three more than the rank. Waits.
Index least_second_neurons(Asker& asker, Random& random, const SaturatedLayer& first,
                           double sigma = 0);

/// F at saturated corners is a network of one layer in the signs, exactly, whatever the shifts of
/// the first one. Levenberg-Marquardt from random starts finds it, outputs of one size first
/// (counted_fit.hpp), counts of neurons upwards: 4 (m1 (m + 2) + 1) + 50 queries, as the corners
/// are the same for all counts. One output. Waits.
///
/// Second differences over flips of two signs, ~ sum_l output_l h'' b_li b_lj, lead to starts too
/// (Hessian subspace, rank-one search, profiles), but take m^2 (m + 15) queries, show no gap
/// at m1, and miss neurons of little curvature; no case was met where they did better.
Corners learn_corners(Asker& asker, Random& random, const SaturatedLayer& first,
                      Activation second_activation, const CornersPlan& plan = {});

/// Both layers at once, `second` being the whole network in x: the same fits with scales, shifts
/// and directions of the first layer among the unknowns, at points where a quarter of its neurons
/// are saturated. For few signs, where it is as sure, and sin. One output. Waits.
Corners learn_both_layers(Asker& asker, Random& random, const SaturatedLayer& first,
                          Activation second_activation, const CornersPlan& plan = {});

/// The whole network: scales and shifts of the first layer's neurons, two unknowns each, from
/// profiles along dual_i with the others saturated; 41 points of 2 patterns a neuron, of 8 where
/// answers have errors (sigma), one batch.
/// `weights` of the first layer are scale_i a_i. Waits.
SmoothNetwork with_first_layer(Asker& asker, Random& random, const SaturatedLayer& first,
                               const SmoothNetwork& second, double sigma = 0);

/// The same network with the first layer's weights as exact as the answers, all d + 1 unknowns of
/// each neuron by Gauss-Newton: from 1.5 (d + 1) + 8 points where it is not saturated and the
/// others are, at corners. What is left is the rounding of <a_i, x> at such points. In chunks.
/// `second` in the signs, exact, as with_first_layer() takes it; answers without errors. `stop` is
/// asked before every neuron, and may be empty; where it ends the work the network stays as it was.
/// Waits.
SmoothNetwork with_exact_directions(Asker& asker, Random& random, const SaturatedLayer& first,
                                    const SmoothNetwork& second, SmoothNetwork network,
                                    const std::function<bool()>& stop = {});

}  // namespace crease
