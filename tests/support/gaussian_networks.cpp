// Networks for tests of Gaussian integrals, and integrals of one variable.
#include "tests/support/gaussian_networks.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace crease {

ReluNetwork random_network(Index d, Index k, Index p, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  ReluNetwork network(d, k, p);
  for (HostMatrix* part :
       {&network.weights, &network.bias, &network.output, &network.linear, &network.constant}) {
    for (Index i = 0; i < part->size(); ++i) part->data()[i] = normal(engine);
  }
  return network;
}

ReluNetwork network_of(const std::vector<std::vector<double>>& rows, std::vector<double> outputs) {
  const auto d = static_cast<Index>(rows[0].size()) - 1;
  ReluNetwork network(d, static_cast<Index>(rows.size()), 1);
  for (std::size_t j = 0; j < rows.size(); ++j) {
    for (Index i = 0; i < d; ++i) {
      network.weights(static_cast<Index>(j), i) = rows[j][static_cast<std::size_t>(i)];
    }
    network.bias(static_cast<Index>(j), 0) = rows[j].back();
    network.output(0, static_cast<Index>(j)) = outputs[j];
  }
  return network;
}

void evaluate_at(const ReluNetwork& network, const double* x, double* y) {
  for (Index o = 0; o < network.outputs(); ++o) {
    y[o] = network.constant(o, 0);
    for (Index i = 0; i < network.inputs(); ++i) y[o] += network.linear(o, i) * x[i];
  }
  for (Index j = 0; j < network.neurons(); ++j) {
    double z = network.bias(j, 0);
    for (Index i = 0; i < network.inputs(); ++i) z += network.weights(j, i) * x[i];
    for (Index o = 0; o < network.outputs(); ++o) y[o] += network.output(o, j) * std::max(z, 0.0);
  }
}

double size_of_terms(const ReluNetwork& network) {
  double sum = 0.0;
  for (Index o = 0; o < network.outputs(); ++o) {
    for (Index i = 0; i < network.inputs(); ++i) sum += std::abs(network.linear(o, i));
    for (Index j = 0; j < network.neurons(); ++j) {
      double length = 0.0;
      for (Index i = 0; i < network.inputs(); ++i) {
        length = std::hypot(length, network.weights(j, i));
      }
      sum += std::abs(network.output(o, j)) * (length + std::abs(network.bias(j, 0)));
    }
  }
  return sum;
}

double simpson(const std::function<double(double)>& f, std::vector<double> breaks, int steps) {
  std::sort(breaks.begin(), breaks.end());
  double sum = 0.0;
  for (std::size_t piece = 0; piece + 1 < breaks.size(); ++piece) {
    const double h = (breaks[piece + 1] - breaks[piece]) / steps;
    for (int i = 0; i <= steps; ++i) {
      const double weight = i == 0 || i == steps ? 1.0 : i % 2 == 1 ? 4.0 : 2.0;
      sum += weight * h / 3.0 * f(breaks[piece] + i * h);
    }
  }
  return sum;
}

double density(double z) {
  return std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::numbers::pi);
}

}  // namespace crease
