// Exact Gaussian integrals of a network: its mean and its standard deviation under N(0, I).
#include <crease/gaussian.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "src/normal.hpp"

namespace crease {
namespace {

using Row = std::vector<double>;

// Neuron u relu(<w, x> + bias) = jump * relu(<normal, x> - threshold).
struct Hinge {
  Row normal;
  double threshold = 0;
  Row jump;
};

// Hinges of one direction, oriented alike, thresholds ascending.
struct Bundle {
  std::vector<Hinge> hinges;
  double variance = 0;      // of the bundle less its affine part, summed over the outputs
  bool cancelling = false;  // far less variance than its hinges have each
};

// A Gauss-Legendre rule on [0, 1].
struct Rule {
  Row at, weight;
};

constexpr int kNodes = 20;
constexpr double kParallel = 1e-5;    // normals as close as this share a bundle
constexpr double kFarthest = 12.0;    // beyond, P(Z > z) < 2e-33: the neuron is affine
constexpr double kCancelling = 1e-4;  // of (sum of |jump|)^2
constexpr double kBlurred = 0.3;      // sine of the angle from which the conditional mean is smooth

double dot(const Row& a, const Row& b) {
  std::array<double, 4> lanes{};  // four sums at once: one would wait for itself
  std::size_t i = 0;
  for (; i + 4 <= a.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < a.size(); ++i) lanes[0] += a[i] * b[i];
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

Rule gauss_legendre(int nodes) {
  Rule rule;
  for (int i = 0; i < nodes; ++i) {
    double x = std::cos(std::numbers::pi * (i + 0.75) / (nodes + 0.5));
    double slope = 0.0;
    for (int step = 0; step < 100; ++step) {  // Newton on the Legendre polynomial
      double before = 1.0;
      double value = x;
      for (int n = 2; n <= nodes; ++n) {
        before = std::exchange(value, ((2 * n - 1) * x * value - (n - 1) * before) / n);
      }
      slope = nodes * (x * value - before) / (x * x - 1.0);
      const double next = x - value / slope;
      if (std::abs(next - x) <= 1e-16) break;
      x = next;
    }
    rule.at.push_back(0.5 * (1.0 + x));
    rule.weight.push_back(1.0 / ((1.0 - x * x) * slope * slope));
  }
  return rule;
}

// Covariance of relu(g1 - b1) and relu(g2 - b2), less the part their linear components share
// (rho Q(b1) Q(b2)), for unit normals g1, g2 of correlation rho; and its derivative by rho:
//   value = int_0^rho (rho - t) phi2(b1, b2; t) dt,   slope = int_0^rho phi2(b1, b2; t) dt.
// Orientation is free: (rho, b1) and (-rho, -b1) have the same value.
struct Coupling {
  double value = 0;
  double slope = 0;
};

// sine = sqrt(1 - rho^2), handed over because rho alone has lost it near 1.
Coupling coupling(double rho, double sine, double b1, double b2, const Rule& rule) {
  if (rho < 0.0) {
    const Coupling mirrored = coupling(-rho, sine, -b1, b2, rule);
    return {mirrored.value, -mirrored.slope};
  }
  Coupling sum;
  if (rho <= 0.5) {
    for (std::size_t q = 0; q < rule.at.size(); ++q) {
      const double t = rho * rule.at[q];
      const double squared_sine = 1.0 - t * t;
      const double density =
          std::exp(-0.5 * (b1 * b1 + b2 * b2 - 2.0 * t * b1 * b2) / squared_sine) /
          std::sqrt(squared_sine);
      sum.value += rule.weight[q] * (rho - t) * density;
      sum.slope += rule.weight[q] * density;
    }
    const double scale = rho / (2.0 * std::numbers::pi);
    return {scale * sum.value, scale * sum.slope};
  }
  // t = cos(psi). At psi = 0 the density has an essential singularity: panels that double in width
  // away from it stay as far from it as they are wide.
  const double difference = 0.5 * (b1 - b2) * (b1 - b2);
  double low = std::atan2(sine, rho);
  while (low < 0.5 * std::numbers::pi) {
    const double high = std::min(2.0 * low, 0.5 * std::numbers::pi);
    for (std::size_t q = 0; q < rule.at.size(); ++q) {
      const double psi = low + (high - low) * rule.at[q];
      const double t = std::cos(psi);
      const double s = std::sin(psi);
      const double density = std::exp(-difference / (s * s) - b1 * b2 / (1.0 + t));
      sum.value += (high - low) * rule.weight[q] * (rho - t) * density;
      sum.slope += (high - low) * rule.weight[q] * density;
    }
    low = high;
  }
  return {sum.value / (2.0 * std::numbers::pi), sum.slope / (2.0 * std::numbers::pi)};
}

// |a - side * b|
double separation(const Row& a, const Row& b, double side) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - side * b[i]) * (a[i] - side * b[i]);
  }
  return std::sqrt(squares);
}

// Sine of the angle between two unit vectors of scalar product rho.
double sine_between(const Row& a, const Row& b, double rho) {
  if (std::abs(rho) < 0.9) return std::sqrt((1.0 - rho) * (1.0 + rho));
  const double chord = separation(a, b, rho > 0.0 ? 1.0 : -1.0);
  return chord * std::sqrt(1.0 - 0.25 * chord * chord);
}

std::vector<Hinge> hinges_of(const ReluNetwork& network) {
  std::vector<Hinge> hinges;
  for (Index j = 0; j < network.neurons(); ++j) {
    if (is_dead(network, j)) continue;
    Hinge hinge;
    double length = 0.0;
    for (Index i = 0; i < network.inputs(); ++i) {
      length = std::hypot(length, network.weights(j, i));
    }
    for (Index i = 0; i < network.inputs(); ++i) {
      hinge.normal.push_back(network.weights(j, i) / length);
    }
    hinge.threshold = -network.bias(j, 0) / length;
    for (Index o = 0; o < network.outputs(); ++o) {
      hinge.jump.push_back(network.output(o, j) * length);
    }
    hinges.push_back(std::move(hinge));
  }
  return hinges;
}

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

// Parallel hinges (within kParallel of the first of them, up to sign) in bundles.
std::vector<Bundle> bundles_of(std::vector<Hinge> hinges) {
  // Parallel normals have nearly the same |projection| on any vector; this one is in no way
  // special.
  Row probe(hinges.empty() ? 0 : hinges[0].normal.size());
  for (std::size_t i = 0; i < probe.size(); ++i) probe[i] = 1.0 + std::sin(12.9898 * (1.0 + i));
  const double window = 2.0 * kParallel * std::sqrt(dot(probe, probe));
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t j = 0; j < hinges.size(); ++j) {
    order.emplace_back(std::abs(dot(hinges[j].normal, probe)), j);
  }
  std::sort(order.begin(), order.end());
  std::vector<bool> taken(hinges.size(), false);
  std::vector<Bundle> bundles;
  for (std::size_t first = 0; first < order.size(); ++first) {
    if (taken[order[first].second]) continue;
    Bundle bundle;
    for (std::size_t at = first; at < order.size(); ++at) {
      if (order[at].first > order[first].first + window) break;
      const std::size_t j = order[at].second;
      if (taken[j]) continue;
      Hinge& hinge = hinges[j];
      if (!bundle.hinges.empty()) {
        const Row& axis = bundle.hinges[0].normal;
        const double side = dot(axis, hinge.normal) < 0.0 ? -1.0 : 1.0;
        if (separation(axis, hinge.normal, side) > kParallel) continue;
        // relu(z) = z + relu(-z): flipping changes the affine part only.
        for (double& component : hinge.normal) component *= side;
        hinge.threshold *= side;
      }
      taken[j] = true;
      bundle.hinges.push_back(std::move(hinge));
    }
    std::stable_sort(bundle.hinges.begin(), bundle.hinges.end(),
                     [](const Hinge& a, const Hinge& b) { return a.threshold < b.threshold; });
    bundles.push_back(std::move(bundle));
  }
  return bundles;
}

// A bundle as the piecewise-linear function of one variable that it is, less its affine part, at
// the nodes of a quadrature that resolves every piece: weight includes the normal density.
struct Profile {
  Row at, weight;
  std::vector<Row> value;  // by node, then by output
};

Profile profile_of(const Bundle& bundle, const Rule& rule) {
  const std::size_t p = bundle.hinges[0].jump.size();
  Row level(p, 0.0);  // value and slope at the left end of the panel in hand
  Row slope(p, 0.0);
  Row breaks = {-kFarthest};
  for (const Hinge& hinge : bundle.hinges) {
    const double mean = tail_moments(hinge.threshold).first;
    const double active = normal_tail(hinge.threshold);
    for (std::size_t o = 0; o < p; ++o) {
      slope[o] -= hinge.jump[o] * active;
      level[o] -= hinge.jump[o] * (mean - active * kFarthest);
    }
    breaks.push_back(hinge.threshold);
  }
  breaks.push_back(kFarthest);
  Profile profile;
  for (std::size_t piece = 0; piece + 1 < breaks.size(); ++piece) {
    if (piece > 0) {
      for (std::size_t o = 0; o < p; ++o) slope[o] += bundle.hinges[piece - 1].jump[o];
    }
    const double width = breaks[piece + 1] - breaks[piece];
    const int panels = static_cast<int>(std::ceil(width));
    for (int panel = 0; panel < panels; ++panel) {
      for (std::size_t q = 0; q < rule.at.size(); ++q) {
        const double along = width * (panel + rule.at[q]) / panels;
        const double z = breaks[piece] + along;
        profile.at.push_back(z);
        profile.weight.push_back(rule.weight[q] * width / panels * normal_density(z));
        Row value(p);
        for (std::size_t o = 0; o < p; ++o) value[o] = level[o] + slope[o] * along;
        profile.value.push_back(std::move(value));
      }
    }
    for (std::size_t o = 0; o < p; ++o) level[o] += slope[o] * width;
  }
  return profile;
}

// Variance of a bundle less its affine part. One hinge: closed form. Several: the square of their
// profile, a sum without cancellation, and to first order what their normals differ by,
// sum <J_i, J_j> (rho_ij - 1) dK/drho at rho = 1; the next term is of the third order.
double bundle_variance(const Bundle& bundle, const Rule& rule) {
  if (bundle.hinges.size() == 1) {
    const Hinge& hinge = bundle.hinges[0];
    const double threshold = std::abs(hinge.threshold);  // the side on which nothing cancels
    const TailMoments tail = tail_moments(threshold);
    const double active = normal_tail(threshold);
    return dot(hinge.jump, hinge.jump) * (tail.second - tail.first * tail.first - active * active);
  }
  const Profile profile = profile_of(bundle, rule);
  double sum = 0.0;
  for (std::size_t q = 0; q < profile.at.size(); ++q) {
    sum += profile.weight[q] * dot(profile.value[q], profile.value[q]);
  }
  for (std::size_t i = 0; i < bundle.hinges.size(); ++i) {
    const Hinge& a = bundle.hinges[i];
    for (std::size_t j = 0; j < i; ++j) {  // thresholds ascend: a is active only where b is
      const Hinge& b = bundle.hinges[j];
      const double apart = separation(a.normal, b.normal, 1.0);
      const double slope = normal_tail(a.threshold) * normal_tail(-b.threshold);
      sum -= apart * apart * slope * dot(a.jump, b.jump);
    }
  }
  return sum;
}

// Covariance of two bundles less their affine parts, hinge by hinge.
double direct_covariance(const Bundle& a, const Bundle& b, const Rule& rule) {
  double sum = 0.0;
  for (const Hinge& left : a.hinges) {
    for (const Hinge& right : b.hinges) {
      const double rho = dot(left.normal, right.normal);
      const double sine = sine_between(left.normal, right.normal, rho);
      sum += dot(left.jump, right.jump) *
             coupling(rho, sine, left.threshold, right.threshold, rule).value;
    }
  }
  return sum;
}

// The same for two bundles that cancel within themselves: hinge by hinge would leave rounding of
// the size of the hinges, the profile of one against the conditional mean of the other only of
// their product with the profile. What normals differ by within the bundles enters to first order.
double covariance_by_profile(const Profile& profile, const Bundle& a, const Bundle& b,
                             const Rule& rule) {
  const Row& a_axis = a.hinges[0].normal;
  const Row& b_axis = b.hinges[0].normal;
  const double rho = dot(a_axis, b_axis);
  const double sine = sine_between(a_axis, b_axis, rho);
  if (sine < kBlurred) return direct_covariance(a, b, rule);
  double sum = 0.0;
  Row mean(b.hinges[0].jump.size());
  for (std::size_t q = 0; q < profile.at.size(); ++q) {
    const double z = profile.at[q];
    std::fill(mean.begin(), mean.end(), 0.0);
    for (const Hinge& hinge : b.hinges) {
      const double distance = (hinge.threshold - rho * z) / sine;
      const double value = sine * (normal_density(distance) - distance * normal_tail(distance)) -
                           normal_tail(hinge.threshold) * rho * z;
      for (std::size_t o = 0; o < mean.size(); ++o) mean[o] += hinge.jump[o] * value;
    }
    sum += profile.weight[q] * dot(profile.value[q], mean);
  }
  for (const Hinge& left : a.hinges) {
    for (const Hinge& right : b.hinges) {
      double change = 0.0;  // <left, right> - rho, without the rounding of that difference
      for (std::size_t i = 0; i < a_axis.size(); ++i) {
        const double left_change = left.normal[i] - a_axis[i];
        change += left_change * right.normal[i] + a_axis[i] * (right.normal[i] - b_axis[i]);
      }
      sum += change * dot(left.jump, right.jump) *
             coupling(rho, sine, left.threshold, right.threshold, rule).slope;
    }
  }
  return sum;
}

double sum_of_norms(const Bundle& bundle) {
  double sum = 0.0;
  for (const Hinge& hinge : bundle.hinges) sum += std::sqrt(dot(hinge.jump, hinge.jump));
  return sum;
}

}  // namespace

HostMatrix gaussian_mean(const ReluNetwork& network) {
  check(network);
  HostMatrix mean = network.constant;
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

double gaussian_standard_deviation(const ReluNetwork& network) {
  check(network);
  std::vector<Hinge> hinges = hinges_of(network);
  double variance = linear_variance(network, hinges);
  std::erase_if(hinges, [](const Hinge& h) { return std::abs(h.threshold) > kFarthest; });
  const Rule rule = gauss_legendre(kNodes);
  std::vector<Bundle> bundles = bundles_of(std::move(hinges));
  for (Bundle& bundle : bundles) {
    bundle.variance = bundle_variance(bundle, rule);
    const double norms = sum_of_norms(bundle);
    bundle.cancelling = bundle.hinges.size() > 1 && bundle.variance < kCancelling * norms * norms;
    variance += bundle.variance;
  }
  // Summed in order: the same bits for any number of threads.
  Row by_bundle(bundles.size(), 0.0);
#pragma omp parallel for schedule(dynamic, 4) if (bundles.size() > 64)  // less than a millisecond
  for (std::size_t a = 0; a < bundles.size(); ++a) {
    Profile profile;
    if (bundles[a].cancelling) profile = profile_of(bundles[a], rule);
    for (std::size_t b = 0; b < a; ++b) {
      by_bundle[a] += bundles[a].cancelling && bundles[b].cancelling
                          ? covariance_by_profile(profile, bundles[a], bundles[b], rule)
                          : direct_covariance(bundles[a], bundles[b], rule);
    }
  }
  for (const double covariances : by_bundle) variance += 2.0 * covariances;
  return std::sqrt(std::max(variance, 0.0));
}

}  // namespace crease
