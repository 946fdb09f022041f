// Networks as plain data: evaluate them, and match two of them neuron by neuron.
#pragma once

#include <crease/device.hpp>
#include <crease/matrix.hpp>

#include <string_view>

namespace crease {

/// x -> output * f(weights * x + bias) + linear * x + constant, from R^d to R^p with k neurons;
/// f = relu, or a rectified power of it: f(z) = max(z, 0)^power.
///
/// The bias follows PyTorch and ONNX: relu(<w, x> + bias). The papers write relu(<w, x> - b); b =
/// -bias.
///
/// Networks of another power than 1 are x -> output * f(weights * x), without biases, linear part
/// and constant: what is learned from examples (<crease/sample_learners.hpp>), and what has
/// Gaussian integrals in closed form. Functions that are about relu alone refuse them, and say so.
struct ReluNetwork {
  HostMatrix weights;   // [k, d]
  HostMatrix bias;      // [k, 1]
  HostMatrix output;    // [p, k]
  HostMatrix linear;    // [p, d]
  HostMatrix constant;  // [p, 1]
  double power = 1;     // > 0; unless it is 1, bias, linear and constant are 0

  ReluNetwork() = default;
  /// All zero, power 1.
  ReluNetwork(Index inputs, Index neurons, Index outputs);

  Index inputs() const { return linear.cols(); }
  Index neurons() const { return weights.rows(); }
  Index outputs() const { return linear.rows(); }
};

/// Throws BadInput, saying which part, unless shapes agree, d >= 1, p >= 1, every number is finite,
/// power > 0, and bias, linear and constant are 0 where the power is not 1.
void check(const ReluNetwork& network);

/// Throws BadInput, beginning with `who`, where the power is not 1.
void require_relu(const ReluNetwork& network, std::string_view who);

/// y = F(x) for x [n, d], in chunks; y [n, p].
HostMatrix evaluate(Device& device, const ReluNetwork& network, ConstHostView x);

/// The same function without a linear part: <g, x> as relu(<g, x>) - relu(-<g, x>), one pair per
/// row of `linear` that is not zero. k grows by at most 2 p. A network of another power has no
/// linear part, and comes back as it is.
ReluNetwork fold_linear_part(const ReluNetwork& network);

/// The same function less the mean over its outputs, which softmax probabilities do not determine:
/// (I - 1 1^T / p) F. Neurons that act on all outputs alike, to 8 p roundings, get outputs of 0.
ReluNetwork without_common_function(const ReluNetwork& network);

/// A neuron that no input can tell from an affine function: no weight, or no output. The same for
/// every power.
bool is_dead(const ReluNetwork& network, Index neuron);

/// What happened to every live neuron of a target. Neurons are told apart by what they do whatever
/// their orientation: the hyperplane (w, bias) / |w| up to sign, and the jump of the gradient
/// across it along its normal, J = u |w| in R^p (u = the neuron's column of `output`):
///   u relu(<w, x> + bias) = J relu(+-(<w, x> + bias) / |w|) + an affine function.
/// Neurons on one hyperplane (to rounding, 1e-12) add their jumps. Not live: dead neurons (is_dead)
/// and neurons whose jumps add up to nothing on their hyperplane, such as relu(z) and -relu(-z).
///
/// Powers other than 1: f(-z) is no multiple of f(z) and an affine function, so orientation counts,
///   u f(<w, x>) = J f(<w, x> / |w|),   J = u |w|^power,
/// and what holds for "hyperplanes" and "jumps" holds for half-spaces and this J. Networks of
/// different powers have no neuron in common: all of the target's are missing, all others spurious.
struct NetworkMatch {
  Index target = 0;    // live neurons of the target = matched + merged + missing
  Index matched = 0;   // found one to one
  Index merged = 0;    // found as the sum of several: on one hyperplane, or within the tolerance
  Index missing = 0;   // not found
  Index spurious = 0;  // live neurons learned that stand for no neuron of the target
  // Largest errors over the hyperplanes found one to one, in either orientation (power 1); 0 where
  // there is none. Primes are the learned network's; |J| is Euclidean, all other norms are infinity
  // norms.
  double weights = 0;      // |J'| w' / |w'| -+ |J| w / |w|; |J| w / |w| = |u| w where w is alone
  double biases = 0;       // the same for the bias
  double hyperplanes = 0;  // (w', bias') / |w'| -+ (w, bias) / |w|
  double scales = 0;       // |J' - J| / |J|: the size of u |w|^power, and its direction too
};

/// Matches neuron by neuron, nearest first. A learned hyperplane stands for a target's if they
/// differ by at most `tolerance` in the infinity norm, up to sign, and if the jumps are nearer to
/// each other than either is to none: |J' - J| < min(|J|, |J'|); a hyperplane found with the wrong
/// sign or more than twice too steep is missing and spurious. Target hyperplanes that then remain
/// join a neighbour within the tolerance whose jump they help to explain. k k' d operations at
/// worst, far fewer where the offsets differ. Throws BadInput as check() does, on different d or p,
/// and on a tolerance that is negative or not finite.
NetworkMatch match(const ReluNetwork& target, const ReluNetwork& learned, double tolerance = 1e-3);

}  // namespace crease
