// Planted smooth networks, and their values in extended precision.
#pragma once

#include <crease/smooth_network.hpp>

#include <cmath>
#include <numbers>

#include "tests/support/planted_network.hpp"

namespace crease {

inline long double exact_activation(Activation activation, long double z) {
  switch (activation) {
    case Activation::tanh:
      return std::tanh(z);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Activation::softplus:
      return z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z));
    case Activation::gelu:
      return z * std::erfc(-z / std::numbers::sqrt2_v<long double>) / 2;
    case Activation::sin:
      return std::sin(z);
    case Activation::erf:
      return std::erf(z);
  }
  return z;
}

inline constexpr Activation kActivations[] = {Activation::tanh,     Activation::sigmoid,
                                              Activation::softplus, Activation::gelu,
                                              Activation::sin,      Activation::erf};

/// Weights of about unit length, biases of size .3, outputs and constant normal.
inline SmoothNetwork planted_smooth(Index d, const std::vector<Index>& neurons, Index p,
                                    const std::vector<Activation>& activations,
                                    std::uint64_t seed) {
  SmoothNetwork network(d, neurons, p, activations);
  const auto drawn = [&](Index rows, Index cols, double scale) {
    HostMatrix values = normals(rows, cols, ++seed * 101);
    for (Index i = 0; i < values.size(); ++i) values.data()[i] *= scale;
    return values;
  };
  for (SmoothNetwork::Layer& layer : network.hidden) {
    const Index k = layer.weights.rows();
    const Index width = layer.weights.cols();
    layer.weights = drawn(k, width, 1 / std::sqrt(static_cast<double>(width)));
    layer.bias = drawn(k, 1, 0.3);
  }
  network.output = drawn(p, network.output.cols(), 1);
  network.constant = drawn(p, 1, 1);
  return network;
}

/// Neurons of both layers of unit weights, biases of size .3, outputs of magnitude in [.5, 1.5] and
/// random sign.
inline SmoothNetwork planted_layers(Index d, Index m, Index k, Activation g, Activation h,
                                    std::uint64_t seed) {
  SmoothNetwork network = planted_smooth(d, {m, k}, 1, {g, h}, seed);
  for (SmoothNetwork::Layer& layer : network.hidden) {
    for (Index i = 0; i < layer.weights.rows(); ++i) {
      double square = 0;
      for (Index j = 0; j < layer.weights.cols(); ++j) square += std::pow(layer.weights(i, j), 2);
      for (Index j = 0; j < layer.weights.cols(); ++j) layer.weights(i, j) /= std::sqrt(square);
    }
  }
  for (Index l = 0; l < k; ++l) {
    const double drawn = network.output(0, l);
    network.output(0, l) = std::copysign(0.5 + std::min(std::abs(drawn), 1.0), drawn);
  }
  return network;
}

/// F(x) [n, p].
inline HostMatrix exact_values(const SmoothNetwork& network, const HostMatrix& x) {
  HostMatrix y(x.rows(), network.outputs());
  for (Index i = 0; i < x.rows(); ++i) {
    std::vector<long double> at(x.row(i), x.row(i) + x.cols());
    const auto image = [&](const HostMatrix& weights, Index r) {
      long double sum = 0;
      for (Index j = 0; j < weights.cols(); ++j) {
        sum += weights(r, j) * at[static_cast<std::size_t>(j)];
      }
      return sum;
    };
    std::vector<long double> linear;
    for (Index o = 0; o < y.cols(); ++o) linear.push_back(image(network.linear, o));
    for (const SmoothNetwork::Layer& layer : network.hidden) {
      std::vector<long double> next;
      for (Index r = 0; r < layer.weights.rows(); ++r) {
        next.push_back(
            exact_activation(layer.activation, image(layer.weights, r) + layer.bias(r, 0)));
      }
      at = next;
    }
    for (Index o = 0; o < y.cols(); ++o) {
      y(i, o) = static_cast<double>(image(network.output, o) + linear[static_cast<std::size_t>(o)] +
                                    network.constant(o, 0));
    }
  }
  return y;
}

}  // namespace crease
