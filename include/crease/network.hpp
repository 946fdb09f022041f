// Networks as plain data: evaluate them, and match two of them neuron by neuron.
#pragma once

#include <crease/device.hpp>
#include <crease/matrix.hpp>

namespace crease {

/// x -> output * relu(weights * x + bias) + linear * x + constant, from R^d to R^p with k neurons.
///
/// The bias follows PyTorch and ONNX: relu(<w, x> + bias). The papers write relu(<w, x> - b); b =
/// -bias.
struct ReluNetwork {
  HostMatrix weights;   // [k, d]
  HostMatrix bias;      // [k, 1]
  HostMatrix output;    // [p, k]
  HostMatrix linear;    // [p, d]
  HostMatrix constant;  // [p, 1]

  ReluNetwork() = default;
  /// All zero.
  ReluNetwork(Index inputs, Index neurons, Index outputs);

  Index inputs() const { return linear.cols(); }
  Index neurons() const { return weights.rows(); }
  Index outputs() const { return linear.rows(); }
};

/// Throws BadInput, saying which part, unless shapes agree, d >= 1, p >= 1 and every number is
/// finite.
void check(const ReluNetwork& network);

/// y = F(x) for x [n, d], in chunks; y [n, p].
HostMatrix evaluate(Device& device, const ReluNetwork& network, ConstHostView x);

/// The same function without a linear part: <g, x> as relu(<g, x>) - relu(-<g, x>), one pair per
/// row of `linear` that is not zero. k grows by at most 2 p.
ReluNetwork fold_linear_part(const ReluNetwork& network);

/// A neuron that no input can tell from an affine function: no weight, or no output.
bool is_dead(const ReluNetwork& network, Index neuron);

/// What happened to every live hyperplane of a target.
struct NetworkMatch {
  Index target = 0;    // live neurons of the target
  Index matched = 0;   // found, alone on their hyperplane in the target
  Index merged = 0;    // on a hyperplane that several target neurons share, and found as their sum
  Index missing = 0;   // not found
  Index spurious = 0;  // learned, and no neuron of the target
  // Largest errors over matched neurons; 0 where none matched. A hyperplane's neuron is compared in
  // the form u |w| relu(+-(<w, x> + bias) / |w|): its sides differ by an affine function, so
  // orientation is free.
  double weights =
      0;  // |scale * w - scale' * w'|, infinity norm; scale = root of sum of squares of u
  double biases = 0;       // the same for the bias
  double hyperplanes = 0;  // (w, bias) / |w|, infinity norm
  double scales = 0;       // relative error of |u| |w|
};

/// Matches neuron by neuron; two hyperplanes are one if (w, bias)/|w| differ by at most `tolerance`
/// in the infinity norm, up to sign. Throws BadInput on different d or p.
NetworkMatch match(const ReluNetwork& target, const ReluNetwork& learned, double tolerance = 1e-3);

}  // namespace crease
