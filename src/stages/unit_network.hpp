// The network so far with unit output coefficients: what a polish solves for.
#pragma once

#include "src/stages/hypothesis.hpp"

namespace crease {

/// F'(x) = gradient x + constant + sum_j outputs_j relu(<weights_j, x> + bias_j), |outputs_j| = 1:
/// of a hypothesis, with scale * normal as weights. With one output, outputs_j is a sign.
struct UnitNetwork {
  HostMatrix weights;            // [k, d]
  std::vector<double> bias;      // [k]
  HostMatrix outputs;            // [k, p]
  HostMatrix gradient;           // [p, d]
  std::vector<double> constant;  // [p]
  // One standard deviation of a component of weights_j, and of <weights_j, x> + bias_j.
  std::vector<double> weight_error;  // [k]
  std::vector<double> offset_error;  // [k]

  explicit UnitNetwork(const Hypothesis& hypothesis);

  Index neurons() const { return weights.rows(); }
  Index inputs() const { return gradient.cols(); }
  Index output_count() const { return gradient.rows(); }
  /// |weights_j|
  double size(Index j) const;

  /// Its hyperplanes, with everything else that `like`, the hypothesis it came from, knows.
  Hypothesis hypothesis(const Hypothesis& like) const;
  ReluNetwork network() const;

  /// Distances within which a hyperplane may be beside where it is taken to be: kGuard of its
  /// offset errors, at least 1e-12. [k]
  std::vector<double> guards() const;
};

}  // namespace crease
