// Which side of its hyperplane each neuron was active on.
#include "src/stages/orientation.hpp"

#include <algorithm>
#include <cmath>

#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kClear = 1e-3;       // how close to 0 or -1 every z_j must be
constexpr Index kMostNeurons = 4096;  // beyond, the host solve would cost more than it is worth

}  // namespace

ReluNetwork orient(const Hypothesis& hypothesis, double allowed) {
  ReluNetwork network = hypothesis.network();
  const Index k = hypothesis.neurons();
  const Index d = hypothesis.inputs;
  const Index p = hypothesis.outputs;
  if (k == 0 || k > d * p || k > kMostNeurons) return network;

  // Normal equations of the matrices scale_j normal_j^T: inner products are products of inner
  // products.
  std::vector<double> size(static_cast<std::size_t>(k));
  for (Index j = 0; j < k; ++j) {
    const double* u = hypothesis.scales.row(j);
    size[static_cast<std::size_t>(j)] = std::sqrt(dot(u, u, p));
    if (!(size[static_cast<std::size_t>(j)] > 0)) return network;
  }
  HostMatrix gram(k, k);
  std::vector<double> right(static_cast<std::size_t>(k));
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j <= i; ++j) {
      gram(i, j) = gram(j, i) =
          dot(hypothesis.normals.row(i), hypothesis.normals.row(j), d) *
          dot(hypothesis.scales.row(i), hypothesis.scales.row(j), p) /
          (size[static_cast<std::size_t>(i)] * size[static_cast<std::size_t>(j)]);
    }
    for (Index o = 0; o < p; ++o) {
      right[static_cast<std::size_t>(i)] +=
          hypothesis.scales(i, o) * dot(hypothesis.normals.row(i), hypothesis.gradient.row(o), d);
    }
    right[static_cast<std::size_t>(i)] /= size[static_cast<std::size_t>(i)];
  }
  if (!solve_positive(std::move(gram), right)) return network;
  std::vector<bool> turned(static_cast<std::size_t>(k));
  for (Index j = 0; j < k; ++j) {
    const double z = right[static_cast<std::size_t>(j)] / size[static_cast<std::size_t>(j)];
    turned[static_cast<std::size_t>(j)] = z < -0.5;
    if (std::abs(z - (z < -0.5 ? -1.0 : 0.0)) > kClear) return network;
  }

  HostMatrix left = network.linear;
  for (Index j = 0; j < k; ++j) {
    if (!turned[static_cast<std::size_t>(j)]) continue;
    for (Index o = 0; o < p; ++o) {
      for (Index i = 0; i < d; ++i) left(o, i) += network.output(o, j) * network.weights(j, i);
    }
  }
  // The root mean square of <left, x> is |left|.
  if (!(std::sqrt(dot(left.data(), left.data(), left.size())) <= allowed)) return network;
  // Turning: scale relu(z) = scale z + scale relu(-z).
  for (Index j = 0; j < k; ++j) {
    if (!turned[static_cast<std::size_t>(j)]) continue;
    for (Index o = 0; o < p; ++o)
      network.constant(o, 0) += network.output(o, j) * network.bias(j, 0);
    for (Index i = 0; i < d; ++i) network.weights(j, i) = -network.weights(j, i);
    network.bias(j, 0) = -network.bias(j, 0);
  }
  network.linear = HostMatrix(p, d);
  return network;
}

}  // namespace crease
