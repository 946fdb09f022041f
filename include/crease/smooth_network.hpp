// Networks with one or two hidden layers of smooth neurons, as plain data.
#pragma once

#include <crease/device.hpp>
#include <crease/matrix.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace crease {

/// tanh      tanh z                       odd; saturates on both sides
/// sigmoid   1 / (1 + e^-z)               1 less its mirror image; saturates on both sides
/// softplus  log(1 + e^z)                 its mirror image and z
/// gelu      z (1 + erf(z / sqrt 2)) / 2  z less its mirror image
/// sin       sin z                        odd
/// erf       erf z                        odd; saturates on both sides
enum class Activation { tanh, sigmoid, softplus, gelu, sin, erf };

/// "tanh", "sigmoid", ...
std::string to_string(Activation activation);

/// All of them, in the order of the enumeration.
std::vector<std::string> activation_names();

/// Throws BadInput that lists the names where it is none of them.
Activation activation_of(std::string_view name);

/// Of names separated by commas, as options and files list them: "tanh" or "tanh,sigmoid". Throws
/// as activation_of() does.
std::vector<Activation> activations_of(const std::string& list);

/// Whether g(z) has a limit at both ends.
bool saturates(Activation activation);

/// x -> output * y_L + linear * x + constant, y_0 = x, y_l = g_l(W_l y_{l-1} + b_l), from R^d to
/// R^p, with one or two hidden layers.
///
/// Many parameters give one function: neurons of a layer may be permuted; tanh, sin and erf may
/// change the signs of a neuron's weights and outputs; sigmoid those and add its outputs to the
/// next layer's biases (here: the constant); softplus and gelu those too and add a linear part,
/// where the layer below is the input. Compare functions.
struct SmoothNetwork {
  struct Layer {
    HostMatrix weights;  // [k, inputs of the layer]
    HostMatrix bias;     // [k, 1]
    Activation activation = Activation::tanh;
  };
  std::vector<Layer> hidden;  // one or two
  HostMatrix output;          // [p, k of the last]
  HostMatrix linear;          // [p, d]
  HostMatrix constant;        // [p, 1]

  SmoothNetwork() = default;
  /// All zero. `neurons` of every hidden layer, from the input on.
  SmoothNetwork(Index inputs, const std::vector<Index>& neurons, Index outputs,
                const std::vector<Activation>& activations);

  Index inputs() const { return linear.cols(); }
  Index outputs() const { return linear.rows(); }
  Index layers() const { return static_cast<Index>(hidden.size()); }
  /// Of one hidden layer, from 0.
  Index neurons(Index layer) const {
    return hidden[static_cast<std::size_t>(layer)].weights.rows();
  }
  /// Of all hidden layers.
  Index total_neurons() const {
    Index total = 0;
    for (const Layer& layer : hidden) total += layer.weights.rows();
    return total;
  }
};

/// Throws BadInput, saying which part, unless there are one or two hidden layers, shapes agree, d
/// >= 1, p >= 1, and every number is finite.
void check(const SmoothNetwork& network);

/// y = F(x) for x [n, d], in chunks; y [n, p].
HostMatrix evaluate(Device& device, const SmoothNetwork& network, ConstHostView x);

}  // namespace crease
