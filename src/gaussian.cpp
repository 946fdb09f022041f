// Exact Gaussian integrals of a network: its mean and its standard deviation under N(0, I).
#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ops.hpp"
#include "src/gaussian_bundles.hpp"
#include "src/gaussian_covariance.hpp"
#include "src/gaussian_powers.hpp"
#include "src/normal.hpp"

namespace crease {
namespace {

// The gradient of the best affine approximation: linear + sum of jump * Q(threshold) * normal.
// Squared and summed.
double linear_variance(const ReluNetwork& network, const std::vector<Hinge>& hinges) {
  HostMatrix gradient = network.linear;
  for (const Hinge& hinge : hinges) {
    const double active = normal_tail(hinge.threshold);
    for (Index o = 0; o < gradient.rows(); ++o) {
      const double scale = hinge.jump[static_cast<std::size_t>(o)] * active;
      for (Index i = 0; i < gradient.cols(); ++i) {
        gradient(o, i) += scale * hinge.normal[static_cast<std::size_t>(i)];
      }
    }
  }
  double sum = 0.0;
  for (Index i = 0; i < gradient.size(); ++i) sum += gradient.data()[i] * gradient.data()[i];
  return sum;
}

void require_integrable(const ReluNetwork& network) {
  require(network.power <= kMostPower, "Gaussian integrals: the power must be at most 64");
}

std::vector<PowerTerm> terms_of(const ReluNetwork& network) {
  std::vector<PowerTerm> terms;
  add_power_terms(network, 1.0, terms);
  return terms;
}

GaussianVariance power_variance(const ReluNetwork& network) {
  require_integrable(network);
  const std::vector<PowerTerm> terms = terms_of(network);
  const Row mean = power_means(terms, network.outputs());
  return {std::max(power_second_moment(terms) - dot(mean, mean), 0.0), power_rounding(terms)};
}

}  // namespace

HostMatrix gaussian_mean(const ReluNetwork& network) {
  check(network);
  HostMatrix mean = network.constant;
  if (network.power != 1) {
    require_integrable(network);
    const Row means = power_means(terms_of(network), network.outputs());
    std::copy(means.begin(), means.end(), mean.data());
    return mean;
  }
  for (Index j = 0; j < network.neurons(); ++j) {
    double length = 0.0;
    for (Index i = 0; i < network.inputs(); ++i) {
      length = std::hypot(length, network.weights(j, i));
    }
    const double active = length == 0.0 ? std::max(network.bias(j, 0), 0.0)
                                        : length * tail_moments(-network.bias(j, 0) / length).first;
    for (Index o = 0; o < network.outputs(); ++o) mean(o, 0) += network.output(o, j) * active;
  }
  return mean;
}

std::optional<GaussianVariance> variance_of(Device& device, const ReluNetwork& network,
                                            std::size_t most_cancelling) {
  check(network);
  if (network.power != 1) return power_variance(network);
  std::vector<Hinge> hinges = hinges_of(network);
  double variance = linear_variance(network, hinges);
  std::erase_if(hinges, [](const Hinge& h) { return std::abs(h.threshold) > kFarthest; });
  std::vector<Bundle> bundles = bundles_of(std::move(hinges));
  std::size_t cancelling = 0;
  for (const Bundle& bundle : bundles) {
    variance += bundle.variance;
    if (bundle.cancelling) ++cancelling;
  }
  if (cancelling > most_cancelling) return std::nullopt;
  const Covariance covariance = covariance_of(device, std::move(bundles));
  return GaussianVariance{std::max(variance + covariance.sum, 0.0), covariance.error};
}

double gaussian_variance(Device& device, const ReluNetwork& network) {
  return variance_of(device, network)->value;
}

double gaussian_variance(const ReluNetwork& network) {
  return gaussian_variance(*make_cpu_device(), network);
}

double gaussian_standard_deviation(Device& device, const ReluNetwork& network) {
  return std::sqrt(gaussian_variance(device, network));
}

double gaussian_standard_deviation(const ReluNetwork& network) {
  return std::sqrt(gaussian_variance(network));
}

HostMatrix gaussian_gram(Device& device, const ReluNetwork& network) {
  check(network);
  require_relu(network, "gaussian_gram");
  const Index q = network.neurons() + network.inputs() + 1;
  DeviceMatrix g(device, q, q);
  gaussian_gram(device, upload(device, network.weights), upload(device, network.bias), true, g);
  HostMatrix full = download(device, g);
  for (Index i = 0; i < q; ++i) {
    for (Index j = 0; j < i; ++j) full(j, i) = full(i, j);
  }
  return full;
}

HostMatrix gaussian_gram(const ReluNetwork& network) {
  return gaussian_gram(*make_cpu_device(), network);
}

}  // namespace crease
