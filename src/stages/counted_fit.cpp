// Fits from far away, outputs of one size first; thinning; counts upwards.
#include "src/stages/counted_fit.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/activations.hpp"
#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr double kBiasOfStarts = 0.3;
constexpr Index kStepsOfOneSize = 60;
constexpr double kLittleOfOneSize = 1e-2;
constexpr Index kSteps = 100;
constexpr double kReplaceable = 0.1;  // of the deviation: what the others may leave of a neuron
constexpr int kThinningTries = 2;     // neurons tried at a time
constexpr double kAsItIs = 1.1;
constexpr double kRidge = 1e-12;  // of the mean diagonal

/// Standard deviation of h(z), z a standard normal: what a neuron of unit weights gives.
double spread(Activation activation) {
  double mass = 0, sum = 0, squares = 0;
  for (double z = -6; z <= 6; z += 0.01) {
    const double weight = normal_density(z);
    const double value = activation_at(activation, 0, z);
    mass += weight;
    sum += weight * value;
    squares += weight * value * value;
  }
  const double mean = sum / mass;
  return std::sqrt(squares / mass - mean * mean);
}

CountFit fitted(Device& device, const FitData& data, SmoothNetwork start,
                const SmoothFitPlan& plan) {
  SmoothFit fit = fit_smooth(device, data.points, data.values, std::move(start), plan);
  return {std::move(fit.network), fit.rms, fit.stopped};
}

CountFit fitted_freely(Device& device, const FitData& data, SmoothNetwork start) {
  SmoothFitPlan plan;
  plan.most_steps = kSteps;
  plan.stop = data.stop;
  return fitted(device, data, std::move(start), plan);
}

/// Gram matrix of [h(z_1), ..., h(z_k), 1, values], the last layer's neurons, lower triangle.
HostMatrix features_gram(Device& device, const FitData& data, const SmoothNetwork& network) {
  const Index k = network.neurons(network.layers() - 1);
  DeviceMatrix features(device, data.points.rows, k + 2);
  SmoothFitPlan plan;
  plan.weights = plan.biases = false;
  smooth_jacobian(device, network, plan, data.points, features.view().col_block(0, k + 1));
  copy(device, data.values, features.view().col_block(k + 1, 1));
  DeviceMatrix products(device, k + 2, k + 2);
  fill(device, 0.0, products);
  gram(device, features, 0.0, products);
  return download(device, products);
}

/// Without neuron `out`, outputs and constant by least squares; and what that leaves.
CountFit without(const HostMatrix& gram, const SmoothNetwork& network, Index out, Index rows) {
  const Index k = network.neurons(network.layers() - 1);
  std::vector<Index> kept;
  for (Index l = 0; l <= k; ++l) {
    if (l != out) kept.push_back(l);
  }
  const auto size = static_cast<Index>(kept.size());
  HostMatrix system(size, size);
  std::vector<double> right;
  double trace = 0;
  for (Index i = 0; i < size; ++i) {
    const Index row = kept[static_cast<std::size_t>(i)];
    for (Index j = 0; j <= i; ++j) {
      const double value = gram(row, kept[static_cast<std::size_t>(j)]);
      system(i, j) = system(j, i) = value;
    }
    trace += system(i, i);
    right.push_back(gram(k + 1, row));
  }
  for (Index i = 0; i < size; ++i) system(i, i) += kRidge * trace / static_cast<double>(size);
  std::vector<double> outputs = right;
  CountFit rest{network};
  const SmoothNetwork::Layer& layer = network.hidden.back();
  SmoothNetwork::Layer& thinner = rest.network.hidden.back();
  thinner.weights = HostMatrix(k - 1, layer.weights.cols());
  thinner.bias = HostMatrix(k - 1, 1);
  rest.network.output = HostMatrix(1, k - 1);
  const double square = gram(k + 1, k + 1);
  rest.rms = std::sqrt(square / static_cast<double>(rows));
  if (!solve_positive(std::move(system), outputs)) return rest;
  rest.rms = std::sqrt(std::max(square - dot(outputs, right), 0.0) / static_cast<double>(rows));
  for (Index l = 0; l + 1 < k; ++l) {
    const Index from = kept[static_cast<std::size_t>(l)];
    std::copy(layer.weights.row(from), layer.weights.row(from) + layer.weights.cols(),
              thinner.weights.row(l));
    thinner.bias(l, 0) = layer.bias(from, 0);
    rest.network.output(0, l) = outputs[static_cast<std::size_t>(l)];
  }
  rest.network.constant(0, 0) = outputs.back();
  return rest;
}

/// Networks without one neuron, those that lose least first.
std::vector<CountFit> one_less(Device& device, const FitData& data, const SmoothNetwork& network) {
  const HostMatrix gram = features_gram(device, data, network);
  std::vector<CountFit> rests;
  for (Index l = 0; l < network.neurons(network.layers() - 1); ++l) {
    rests.push_back(without(gram, network, l, data.points.rows));
  }
  std::stable_sort(rests.begin(), rests.end(),
                   [](const CountFit& a, const CountFit& b) { return a.rms < b.rms; });
  return rests;
}

}  // namespace

SmoothNetwork random_neurons(Random& random, Index inputs, Activation activation, Index neurons,
                             Index negative) {
  SmoothNetwork network(inputs, {neurons}, 1, {activation});
  for (Index l = 0; l < neurons; ++l) {
    const std::vector<double> drawn = random.normals(inputs + 1);
    const double length = std::sqrt(dot(drawn.data(), drawn.data(), inputs));
    for (Index i = 0; i < inputs; ++i) {
      network.hidden[0].weights(l, i) = drawn[static_cast<std::size_t>(i)] / length;
    }
    network.hidden[0].bias(l, 0) = kBiasOfStarts * drawn.back();
    network.output(0, l) = l < neurons - negative ? 1 : -1;
  }
  return network;
}

CountFit fit_from_afar(Device& device, const FitData& data, SmoothNetwork start) {
  const Index k = start.neurons(start.layers() - 1);
  const double size =
      data.deviation / (std::sqrt(static_cast<double>(k)) * spread(start.hidden.back().activation));
  for (Index l = 0; l < k; ++l) start.output(0, l) = std::copysign(size, start.output(0, l));
  SmoothFitPlan plan;
  plan.output = false;
  plan.most_steps = kStepsOfOneSize;
  plan.little = kLittleOfOneSize;
  plan.stop = data.stop;
  CountFit fit = fitted(device, data, std::move(start), plan);
  if (fit.stopped) return fit;
  return fitted_freely(device, data, std::move(fit.network));
}

CountFit thinned(Device& device, const FitData& data, CountFit fit, Index least) {
  double least_rms = fit.rms;
  while (fit.network.neurons(fit.network.layers() - 1) > std::max<Index>(least, 1) &&
         !fit.stopped) {
    const double as_it_is = std::max(kAsItIs * least_rms, kSettled * data.deviation);
    const double limit = fit.rms <= data.target ? std::min(data.target, as_it_is) : as_it_is;
    std::vector<CountFit> rests = one_less(device, data, fit.network);
    bool is_less = false;
    for (int t = 0; t < kThinningTries && t < static_cast<int>(rests.size()) && !is_less; ++t) {
      CountFit& rest = rests[static_cast<std::size_t>(t)];
      if (rest.rms > std::hypot(kReplaceable * data.deviation, data.target)) break;
      CountFit next = fitted_freely(device, data, std::move(rest.network));
      if (next.stopped) {
        fit.stopped = true;
        return fit;
      }
      is_less = next.rms <= limit;
      if (is_less) fit = std::move(next);
    }
    if (!is_less) break;
    least_rms = std::min(least_rms, fit.rms);
  }
  return fit;
}

}  // namespace crease
