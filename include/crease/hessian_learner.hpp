// Learn a smooth network with one or two hidden layers from the answers of a black box.
#pragma once

#include <crease/oracle.hpp>
#include <crease/run.hpp>
#include <crease/smooth_network.hpp>

#include <optional>

namespace crease {

/// What the caller wants of F: R^d -> R,
///   one hidden layer   F(x) = c0 + <g0, x> + sum_i c_i g(<a_i, x> + theta_i)
///   two                F(x) = c0 + sum_l c_l h(<b_l, g(A x + theta)> + tau_l)
/// in the second case the rows of A linearly independent, and g saturating on both sides (tanh,
/// sigmoid, erf) unless the second layer's number of neurons is given. A linear part is looked for
/// where the activation may need one (softplus, gelu).
struct SmoothProblem {
  std::optional<Index> layers;           // 1 or 2; none: found
  Activation first = Activation::tanh;   // g
  Activation second = Activation::tanh;  // h
  std::optional<Index> neurons;          // of the first layer; none: found
  std::optional<Index> second_neurons;   // of the second; none: found, an upper bound
  double accuracy = 1e-8;                // wanted rms(F - F') / sd(F') under N(0, I); > 0
  double failure = 0.01;                 // delta of the certificate; in (0, 1)
  std::optional<double> lipschitz;       // promise: F - F' is L-Lipschitz; > 0
};

/// Numbers of a run, with their defaults' reasons in src/README.md.
struct HessianPlan {
  Index certificate_points = 2048;  // Gaussian; 0: none, and then the outcome is never `reached`
  Index ball_points = 256;          // of the certificate, uniform on the unit ball
  double radius = 1.5;              // one layer: Hessians at radius * N(0, I)
  Index first_hessians = 16;        // one layer: their number at first ...
  double more_hessians = 1.5;       // ... and times this as long as too few show the rank
  // Ends at once, with HESSIAN_VANISHES, unless second differences agree at most points: where the
  // target may be a ReLU network.
  bool only_smooth = false;
  bool ascent = false;  // the paper's projected gradient ascent for rank-one matrices
  // Two hidden layers by the paper's own path, instead of far field and corners; second_neurons
  // must be given.
  bool entangled = false;
  double rows_per_unknown = 2;  // of the last fit; three times that where answers are not exact
  // Of a fit: work grows as their third power, memory as their square. The last one keeps what was
  // found where it has more, and second layers of more are not tried.
  Index most_unknowns = 6000;
};

/// Learns a smooth network from finite-difference Hessians. One hidden layer: Hessians are sum_i
/// c_i s_i^2 g''(...) a_i a_i^T; their span, its matrices of rank one, a profile for every neuron.
/// Two, and one that saturates with linearly independent weights: directions of the first layer
/// from far out, where all neurons but one are saturated; the second layer, or the outputs, from
/// corners, where all are; then scales and shifts. At the end all parameters are fitted on Gaussian
/// points, and fresh ones certify.
///
/// After Fornasier, Klock, Rauchensteiner (arXiv 1907.00485); far field and corners are ours. Their
/// own path takes matrices of rank one near the span of Hessians near the origin, tells by
/// saturation which belong to the first layer, and fits. The span has no gap behind both layers, so
/// that it needs second_neurons, and it finds part of the neurons: the fits have to make up for the
/// rest. It is tried where plan.entangled asks for it; and, second_neurons given, where F does not
/// become constant far out, or the other way stays a hundred times above what explains fresh points
/// (1e-6 of sd(F), or twice the noise) and the budget allows.
///
/// Outcomes as of learn_from_queries(); where it is not `reached` the message says why, beginning
/// with
///   HESSIAN_VANISHES      F is piecewise linear (ReLU) or affine, for which learn_from_queries()
///                         is, or constant at most points, or its bends are below its answers'
///                         errors
///   RANK_SATURATED        the Hessians span all, or nearly all, symmetric matrices
///   FAR_FIELD_INCOMPLETE  directions of the first layer are missing
///   TOO_MANY_UNKNOWNS     two layers, or a second one of so many neurons as was tried, have
///                         more of them than HessianPlan::most_unknowns
///   NOT_SATURATING        two layers, F does not become constant far out, and second_neurons is
///                         not given
///   RESIDUAL_TOO_LARGE    what was found does not explain fresh points
/// Several outputs are BadInput. Throws as learn_from_queries(). Waits.
Learned<SmoothNetwork> learn_from_hessians(Device& device, Oracle& oracle,
                                           const SmoothProblem& problem,
                                           const HessianPlan& plan = {},
                                           const RunControl& run = {});

/// Fewer queries than any run in d inputs takes that learns something, certificate included; known
/// before the first question, and what a budget is held against: noise, gradients and, where
/// g does not saturate, the first Hessians. Throws BadInput on d < 1.
Index least_queries(const SmoothProblem& problem, const HessianPlan& plan, Index d);

}  // namespace crease
