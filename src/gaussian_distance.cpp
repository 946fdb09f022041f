// The distance of two networks under N(0, I).
#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"
#include "src/gaussian_covariance.hpp"
#include "src/gaussian_powers.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr std::size_t kMostCancelling = 4096;
constexpr Index kPoints = Index{1} << 15;
constexpr Index kPointsAtOnce = Index{1} << 12;
constexpr std::uint64_t kStream = 0xfd000000;  // away from those of the learner and the program

// F - G of one power, neurons with the same weights and bias as one: their outputs subtract without
// rounding where they are near.
ReluNetwork difference_of(const ReluNetwork& f, const ReluNetwork& g) {
  const Index d = f.inputs();
  const Index p = f.outputs();
  const Index k = f.neurons();
  const auto row_of = [&](Index j) { return j < k ? f.weights.row(j) : g.weights.row(j - k); };
  const auto bias_of = [&](Index j) { return j < k ? f.bias(j, 0) : g.bias(j - k, 0); };
  std::vector<Index> order(static_cast<std::size_t>(k + g.neurons()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto compare = [&](Index a, Index b) {
    if (bias_of(a) != bias_of(b)) return bias_of(a) < bias_of(b) ? -1 : 1;
    for (Index i = 0; i < d; ++i) {
      if (row_of(a)[i] != row_of(b)[i]) return row_of(a)[i] < row_of(b)[i] ? -1 : 1;
    }
    return 0;
  };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return compare(a, b) < 0; });
  std::vector<Index> first;  // of each group of equal ones
  for (std::size_t at = 0; at < order.size(); ++at) {
    if (at == 0 || compare(order[at - 1], order[at]) != 0) {
      first.push_back(static_cast<Index>(at));
    }
  }
  ReluNetwork difference(d, static_cast<Index>(first.size()), p);
  difference.power = f.power;
  for (std::size_t group = 0; group < first.size(); ++group) {
    const auto j = static_cast<Index>(group);
    const auto end =
        group + 1 < first.size() ? static_cast<std::size_t>(first[group + 1]) : order.size();
    const Index member = order[static_cast<std::size_t>(first[group])];
    std::copy_n(row_of(member), d, difference.weights.row(j));
    difference.bias(j, 0) = bias_of(member);
    for (Index o = 0; o < p; ++o) {
      for (auto at = static_cast<std::size_t>(first[group]); at < end; ++at) {
        const Index from = order[at];
        difference.output(o, j) += from < k ? f.output(o, from) : -g.output(o, from - k);
      }
    }
  }
  for (Index o = 0; o < p; ++o) {
    for (Index i = 0; i < d; ++i) difference.linear(o, i) = f.linear(o, i) - g.linear(o, i);
    difference.constant(o, 0) = f.constant(o, 0) - g.constant(o, 0);
  }
  return difference;
}

// S' of the documentation.
double size_of(const ReluNetwork& network) {
  double sum = 0.0;
  for (Index j = 0; j < network.neurons(); ++j) {
    double length = 0.0;
    double output = 0.0;
    for (Index i = 0; i < network.inputs(); ++i) {
      length = std::hypot(length, network.weights(j, i));
    }
    for (Index o = 0; o < network.outputs(); ++o) output = std::hypot(output, network.output(o, j));
    sum += output * (length + std::abs(network.bias(j, 0)));
  }
  double affine = 0.0;
  for (Index i = 0; i < network.linear.size(); ++i) {
    affine = std::hypot(affine, network.linear.data()[i]);
  }
  for (Index o = 0; o < network.outputs(); ++o) {
    affine = std::hypot(affine, network.constant(o, 0));
  }
  return sum + affine;
}

// Of a sum of networks.
double sampled_norm(Device& device, const std::vector<ReluNetwork>& networks) {
  std::vector<DeviceNetwork> on_device;
  for (const ReluNetwork& network : networks) on_device.emplace_back(device, network);
  DeviceMatrix x(device, kPointsAtOnce, networks[0].inputs());
  DeviceMatrix y(device, kPointsAtOnce, networks[0].outputs());
  double sum = 0.0;
  for (Index first = 0; first < kPoints; first += kPointsAtOnce) {
    fill_gaussian(device, Seed{}, kStream, first, 1.0, x);
    HostMatrix values(y.rows(), y.cols());
    for (const DeviceNetwork& network : on_device) {
      network.evaluate(x, y);
      const HostMatrix more = download(device, y);
      for (Index i = 0; i < values.size(); ++i) values.data()[i] += more.data()[i];
    }
    for (Index i = 0; i < values.size(); ++i) sum += values.data()[i] * values.data()[i];
  }
  return std::sqrt(sum / static_cast<double>(kPoints));
}

ReluNetwork negative(ReluNetwork network) {
  for (HostMatrix* part : {&network.output, &network.linear, &network.constant}) {
    for (Index i = 0; i < part->size(); ++i) part->data()[i] = -part->data()[i];
  }
  return network;
}

// The distance where a power is not 1.
GaussianDistance power_distance(Device& device, const ReluNetwork& f, const ReluNetwork& g) {
  require(f.power <= kMostPower && g.power <= kMostPower,
          "gaussian_distance: powers must be at most 64");
  std::vector<ReluNetwork> networks;  // they add up to F - G
  if (f.power == g.power) {
    networks = {difference_of(f, g)};
  } else {
    networks = {f, negative(g)};
  }
  std::vector<PowerTerm> terms;
  double beside = 0.0;  // what biases and affine parts add to S'
  for (const ReluNetwork& network : networks) {
    add_power_terms(network, 1.0, terms);
    if (!is_homogeneous(network)) beside += size_of(network);
  }
  const double rounding = 64.0 * kEps * (power_size(terms) + beside);
  GaussianDistance distance;
  distance.sampled = beside > 0.0;
  if (!distance.sampled) {
    distance.value = std::sqrt(power_second_moment(terms));
    distance.floor = std::sqrt(power_rounding(terms)) + rounding;
    distance.sampled = distance.value < distance.floor;
  }
  if (distance.sampled) {
    distance.value = sampled_norm(device, networks);
    distance.floor = rounding;
  }
  return distance;
}

}  // namespace

GaussianDistance gaussian_distance(Device& device, const ReluNetwork& f, const ReluNetwork& g) {
  check(f);
  check(g);
  require(f.inputs() == g.inputs() && f.outputs() == g.outputs(),
          "gaussian_distance: networks must have the same inputs and outputs");
  if (f.power != 1 || g.power != 1) return power_distance(device, f, g);
  const ReluNetwork difference = difference_of(f, g);
  const double rounding = 64.0 * kEps * size_of(difference);
  const std::optional<GaussianVariance> variance = variance_of(device, difference, kMostCancelling);
  GaussianDistance distance;
  distance.floor = rounding;
  if (variance) {
    distance.floor = std::sqrt(10.0 * variance->error + rounding * rounding);
    distance.value = std::sqrt(variance->value);
    const HostMatrix mean = gaussian_mean(difference);
    for (Index o = 0; o < mean.rows(); ++o) {
      distance.value = std::hypot(distance.value, mean(o, 0));
    }
  }
  distance.sampled = !variance || (distance.value < distance.floor && distance.floor > rounding);
  if (distance.sampled) {
    distance.value = sampled_norm(device, {difference});
    distance.floor = rounding;
  }
  return distance;
}

GaussianDistance gaussian_distance(const ReluNetwork& f, const ReluNetwork& g) {
  return gaussian_distance(*make_cpu_device(), f, g);
}

}  // namespace crease
