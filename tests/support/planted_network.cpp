// Planted networks, in extended precision.
#include "tests/support/planted_network.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace crease {
namespace {

/// <w_j, x> + bias_j.
long double offset(const ReluNetwork& network, Index j, const double* x) {
  long double sum = network.bias(j, 0);
  for (Index i = 0; i < network.inputs(); ++i) {
    sum += static_cast<long double>(network.weights(j, i)) * x[i];
  }
  return sum;
}

}  // namespace

HostMatrix normals(Index rows, Index cols, std::uint64_t seed) {
  // Box-Muller on an engine that the standard fixes: std::normal_distribution is not.
  std::mt19937_64 engine(seed);
  const auto uniform = [&] { return (static_cast<double>(engine() >> 11) + 0.5) * 0x1p-53; };
  HostMatrix values(rows, cols);
  for (Index i = 0; i < values.size(); ++i) {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    values.data()[i] = radius * std::cos(2 * std::acos(-1.0) * uniform());
  }
  return values;
}

ReluNetwork planted_network(Index d, Index k, Index p, std::uint64_t seed) {
  ReluNetwork network(d, k, p);
  network.weights = normals(k, d, seed);
  const HostMatrix biases = normals(k, 1, seed + 1000);
  std::mt19937_64 engine(seed + 2000);
  const auto size = [&] { return 0.5 + static_cast<double>(engine() >> 11) * 0x1p-53; };
  for (Index j = 0; j < k; ++j) {
    double square = 0;
    for (Index i = 0; i < d; ++i) square += network.weights(j, i) * network.weights(j, i);
    const double length = size();
    for (Index i = 0; i < d; ++i) network.weights(j, i) *= length / std::sqrt(square);
    network.bias(j, 0) = biases(j, 0) * length;
    for (Index o = 0; o < p; ++o) network.output(o, j) = size() * (engine() % 2 == 0 ? 1 : -1);
  }
  network.linear = normals(p, d, seed + 3000);
  network.constant = normals(p, 1, seed + 4000);
  return network;
}

HostMatrix exact_values(const ReluNetwork& network, const HostMatrix& x) {
  HostMatrix y(x.rows(), network.outputs());
  for (Index n = 0; n < x.rows(); ++n) {
    std::vector<long double> sum;
    for (Index o = 0; o < network.outputs(); ++o) {
      sum.push_back(network.constant(o, 0));
      for (Index i = 0; i < network.inputs(); ++i) {
        sum.back() += static_cast<long double>(network.linear(o, i)) * x(n, i);
      }
    }
    for (Index j = 0; j < network.neurons(); ++j) {
      long double active = std::max(0.0L, offset(network, j, x.row(n)));
      if (network.power != 1) active = std::pow(active, static_cast<long double>(network.power));
      for (Index o = 0; o < network.outputs(); ++o) {
        sum[static_cast<std::size_t>(o)] += network.output(o, j) * active;
      }
    }
    for (Index o = 0; o < network.outputs(); ++o) {
      y(n, o) = static_cast<double>(sum[static_cast<std::size_t>(o)]);
    }
  }
  return y;
}

HostMatrix exact_gradient(const ReluNetwork& network, const std::vector<double>& x) {
  HostMatrix gradient(network.outputs(), network.inputs());
  for (Index o = 0; o < network.outputs(); ++o) {
    for (Index i = 0; i < network.inputs(); ++i) {
      long double sum = network.linear(o, i);
      for (Index j = 0; j < network.neurons(); ++j) {
        if (offset(network, j, x.data()) <= 0) continue;
        sum += static_cast<long double>(network.output(o, j)) * network.weights(j, i);
      }
      gradient(o, i) = static_cast<double>(sum);
    }
  }
  return gradient;
}

Hyperplanes hyperplanes_of(const ReluNetwork& network) {
  const Index d = network.inputs();
  const Index p = network.outputs();
  Hyperplanes result(d, p);
  for (Index o = 0; o < p; ++o) {
    for (Index i = 0; i < d; ++i) result.linear(o, i) = network.linear(o, i);
    result.linear(o, d) = network.constant(o, 0);
  }
  // u relu(z) = u |z| / 2 + u z / 2,   |z| = |w| |<w / |w|, x> + bias / |w||.
  for (Index j = 0; j < network.neurons(); ++j) {
    const double* w = network.weights.row(j);
    double square = 0;
    for (Index i = 0; i < d; ++i) square += w[i] * w[i];
    result.add({w, w + d}, network.bias(j, 0));
    for (Index o = 0; o < p; ++o) {
      const double half = 0.5 * network.output(o, j);
      result.scales(j, o) = half * std::sqrt(square);
      for (Index i = 0; i < d; ++i) result.linear(o, i) += half * w[i];
      result.linear(o, d) += half * network.bias(j, 0);
    }
  }
  return result;
}

ReluNetwork times(ReluNetwork network, double factor) {
  for (HostMatrix* part : {&network.output, &network.linear, &network.constant}) {
    for (Index i = 0; i < part->size(); ++i) part->data()[i] *= factor;
  }
  return network;
}

double BrokenLine::slope_of(std::size_t piece, std::size_t o) const {
  long double sum = slope[o];
  for (std::size_t j = 0; j < piece; ++j) sum += jump[j][o];
  return static_cast<double>(sum);
}

double BrokenLine::at(double where, std::size_t o) const {
  long double sum = value[o] + static_cast<long double>(slope[o]) * where;
  for (std::size_t j = 0; j < t.size() && t[j] < where; ++j) {
    sum += static_cast<long double>(jump[j][o]) * (static_cast<long double>(where) - t[j]);
  }
  return static_cast<double>(sum);
}

BrokenLine along(const ReluNetwork& network, const std::vector<double>& origin,
                 const std::vector<double>& direction, std::vector<Index>* order) {
  const auto p = static_cast<std::size_t>(network.outputs());
  BrokenLine line;
  for (Index o = 0; o < network.outputs(); ++o) {
    long double slope = 0;
    long double value = network.constant(o, 0);
    for (Index i = 0; i < network.inputs(); ++i) {
      const auto ii = static_cast<std::size_t>(i);
      slope += static_cast<long double>(network.linear(o, i)) * direction[ii];
      value += static_cast<long double>(network.linear(o, i)) * origin[ii];
    }
    line.slope.push_back(static_cast<double>(slope));
    line.value.push_back(static_cast<double>(value));
  }
  struct Crossing {
    double t;
    Index neuron;
    std::vector<double> jump;
  };
  std::vector<Crossing> crossings;
  for (Index j = 0; j < network.neurons(); ++j) {
    const long double at_origin = offset(network, j, origin.data());
    long double slope = 0;
    for (Index i = 0; i < network.inputs(); ++i) {
      slope +=
          static_cast<long double>(network.weights(j, i)) * direction[static_cast<std::size_t>(i)];
    }
    Crossing crossing{static_cast<double>(-at_origin / slope), j, {}};
    for (std::size_t o = 0; o < p; ++o) {
      const long double u = network.output(static_cast<Index>(o), j);
      crossing.jump.push_back(static_cast<double>(u * std::abs(slope)));
      if (slope > 0) continue;  // not active far out on the left
      line.slope[o] += static_cast<double>(u * slope);
      line.value[o] += static_cast<double>(u * at_origin);
    }
    crossings.push_back(std::move(crossing));
  }
  std::sort(crossings.begin(), crossings.end(),
            [](const Crossing& a, const Crossing& b) { return a.t < b.t; });
  if (order != nullptr) order->clear();
  for (const Crossing& crossing : crossings) {
    line.t.push_back(crossing.t);
    line.jump.push_back(crossing.jump);
    if (order != nullptr) order->push_back(crossing.neuron);
  }
  return line;
}

}  // namespace crease
