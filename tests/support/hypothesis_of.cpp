// A known network as a learner would hold it.
#include "tests/support/hypothesis_of.hpp"

#include "src/stages/numbers.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {

Hypothesis hypothesis_of(const ReluNetwork& network, const std::vector<double>& base,
                         double normal_error, double offset_error) {
  Hypothesis out(network.inputs(), network.outputs());
  out.base = base;
  out.gradient = network.linear;
  out.constant = network.constant;
  for (Index j = 0; j < network.neurons(); ++j) {
    const double* w = network.weights.row(j);
    const double bias = network.bias(j, 0);
    const double size = std::sqrt(dot(w, w, network.inputs()));
    std::vector<double> scale;
    const bool active = dot(w, base.data(), network.inputs()) + bias > 0;
    for (Index o = 0; o < network.outputs(); ++o) {
      scale.push_back(network.output(o, j));
      if (!active) continue;
      for (Index i = 0; i < network.inputs(); ++i) out.gradient(o, i) += scale.back() * w[i];
      out.constant(o, 0) += scale.back() * bias;
    }
    out.add({w, w + network.inputs()}, bias, scale, offset_error * size, normal_error * size);
  }
  return out;
}

Hypothesis disturbed(Hypothesis h, double by, std::uint64_t seed) {
  const Index k = h.neurons();
  const HostMatrix noise = normals(k + h.outputs, h.inputs + h.outputs + 1, seed);
  for (Index j = 0; j < k; ++j) {
    for (Index i = 0; i < h.inputs; ++i) h.normals(j, i) += by * noise(j, i);
    for (Index o = 0; o < h.outputs; ++o) h.scales(j, o) *= 1 + by * noise(j, h.inputs + o);
    h.bias[static_cast<std::size_t>(j)] += by * noise(j, h.inputs + h.outputs);
  }
  for (Index o = 0; o < h.outputs; ++o) {
    for (Index i = 0; i < h.inputs; ++i) h.gradient(o, i) += by * noise(k + o, i);
    h.constant(o, 0) += by * noise(k + o, h.inputs);
  }
  return h;
}

}  // namespace crease
