// Fresh points, exact distances, and binomial tails.
#include "bench/trial/truth.hpp"

#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "src/sampled_pair.hpp"
#include "src/small_dense.hpp"
#include "src/stages/finish.hpp"

namespace crease::trial {
namespace {

constexpr std::uint64_t kStream = 0xfd000000;  // away from learners, families and `verify`
constexpr Index kMostPoints = 1000000;
constexpr Index kFirstPoints = 20000;
constexpr Index kAtOnce = 8192;
constexpr double kChance = 1e-6;

double rms_of(const std::vector<double>& values) {
  double square = 0;
  for (const double value : values) square += value * value;
  return std::sqrt(square / static_cast<double>(values.size()));
}

/// log P(X = count).
double log_probability(Index n, double p, Index count) {
  const auto k = static_cast<double>(count);
  const auto m = static_cast<double>(n);
  return std::lgamma(m + 1) - std::lgamma(k + 1) - std::lgamma(m - k + 1) + k * std::log(p) +
         (m - k) * std::log1p(-p);
}

/// Adds slope of `network` at x, times `sign`, to slope [p, d].
void add_slope(const ReluNetwork& network, const double* x, double sign, HostMatrix& slope) {
  const Index d = network.inputs();
  for (Index i = 0; i < network.neurons(); ++i) {
    const double* w = network.weights.row(i);
    if (!(std::inner_product(w, w + d, x, network.bias(i, 0)) > 0)) continue;
    for (Index o = 0; o < network.outputs(); ++o) {
      for (Index j = 0; j < d; ++j) slope(o, j) += sign * network.output(o, i) * w[j];
    }
  }
  for (Index o = 0; o < network.outputs(); ++o) {
    for (Index j = 0; j < d; ++j) slope(o, j) += sign * network.linear(o, j);
  }
}

/// Points on either side of a neuron's hyperplane, where it is nearest to the origin; none if it
/// has no hyperplane.
std::vector<std::vector<double>> beside(const ReluNetwork& network, Index neuron) {
  constexpr double kStep = 1e-3;
  const Index d = network.inputs();
  const double* w = network.weights.row(neuron);
  const double square = std::inner_product(w, w + d, w, 0.0);
  const double foot = -network.bias(neuron, 0) / square;
  if (!std::isfinite(foot)) return {};
  std::vector<std::vector<double>> points;
  for (const double side : {-kStep, kStep}) {
    points.emplace_back(w, w + d);
    for (double& x : points.back()) x *= foot + side / std::sqrt(square);
  }
  return points;
}

}  // namespace

double upper_tail(Index n, double p, Index count) {
  if (count <= 0) return 1;
  if (count > n || p <= 0) return 0;
  if (p >= 1) return 1;
  if (static_cast<double>(count) <= p * static_cast<double>(n)) {
    return 1 - lower_tail(n, p, count - 1);
  }
  double sum = 0;  // terms fall from here on
  for (Index k = count; k <= n; ++k) {
    const double term = std::exp(log_probability(n, p, k));
    sum += term;
    if (term < 1e-18 * sum || term == 0) break;
  }
  return std::min(1.0, sum);
}

double lower_tail(Index n, double p, Index count) {
  if (count >= n) return 1;
  if (count < 0 || p >= 1) return 0;
  if (p <= 0) return 1;
  if (static_cast<double>(count) > p * static_cast<double>(n)) {
    return 1 - upper_tail(n, p, count + 1);
  }
  double sum = 0;
  for (Index k = count; k >= 0; --k) {
    const double term = std::exp(log_probability(n, p, k));
    sum += term;
    if (term < 1e-18 * sum || term == 0) break;
  }
  return std::min(1.0, sum);
}

Exceeding count_exceeding(Device& device, const ReluNetwork& f, const ReluNetwork& g,
                          double largest, const Rounding& rounding, double mass, Seed seed) {
  SampledPair pair(device, f, g, seed, kStream, kAtOnce);
  Exceeding result;
  std::vector<double> errors;
  std::vector<double> sizes;
  for (Index wanted = kFirstPoints; !result.decided && result.points < kMostPoints;
       wanted = std::min(kMostPoints, 7 * wanted)) {
    errors.clear();
    sizes.clear();
    pair.errors(result.points, wanted - result.points, errors, &sizes);
    result.points = wanted;
    const double allowed = largest + rounding.absolute;
    for (std::size_t i = 0; i < errors.size(); ++i) {
      if (errors[i] > allowed + rounding.relative * sizes[i]) ++result.beyond;
    }
    result.more = static_cast<double>(result.beyond) > mass * static_cast<double>(result.points);
    const double chance = result.more ? upper_tail(result.points, mass, result.beyond)
                                      : lower_tail(result.points, mass, result.beyond);
    result.decided = chance < kChance;
  }
  return result;
}

TrueError measure_error(Device& device, const ReluNetwork& f, const ReluNetwork& g, Seed seed) {
  TrueError result;
  SampledPair pair(device, f, g, seed, kStream, kAtOnce);
  std::vector<double> errors;
  std::vector<double> sizes;
  pair.errors(kMostPoints, kFirstPoints, errors, &sizes);  // not those of count_exceeding
  result.size = rms_of(sizes);

  const GaussianDistance distance = gaussian_distance(device, f, g);
  if (!distance.sampled && distance.value > distance.floor) {
    result.rms = distance.value;
  } else {
    result.rms = rms_of(errors);
    result.sampled = true;
  }
  const double sd = deviation_or_zero(device, f);
  if (sd > 0) result.relative = result.rms / sd;

  constexpr Index kSlopes = 100;  // half of the largest errors, half of any points
  std::vector<Index> order(errors.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::partial_sort(order.begin(), order.begin() + kSlopes, order.end(), [&](Index a, Index b) {
    return errors[static_cast<std::size_t>(a)] > errors[static_cast<std::size_t>(b)];
  });
  const auto see = [&](const double* x) {
    HostMatrix slope(f.outputs(), f.inputs());
    add_slope(f, x, 1, slope);
    add_slope(g, x, -1, slope);
    result.steepest = std::max(result.steepest, singular_values(slope)[0]);
  };
  for (Index i = 0; i < 2 * kSlopes; ++i) {
    const Index row = i < kSlopes ? order[static_cast<std::size_t>(i)] : i;
    see(pair.point(kMostPoints + row).row(0));
  }
  for (const ReluNetwork* network : {&f, &g}) {
    for (Index i = 0; i < network->neurons(); ++i) {
      for (const std::vector<double>& x : beside(*network, i)) see(x.data());
    }
  }
  return result;
}

}  // namespace crease::trial
