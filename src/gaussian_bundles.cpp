// A network as hinges, those of one direction in bundles.
#include "src/gaussian_bundles.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "src/normal.hpp"

namespace crease {
namespace {

// A Gauss-Legendre rule on [0, 1].
struct Rule {
  Row at, weight;
};

constexpr int kNodes = 20;
constexpr double kParallel = 1e-5;    // normals as close as this share a bundle
constexpr double kCancelling = 1e-4;  // of (sum of |jump|)^2

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

// Variance of a bundle less its affine part. One hinge: closed form. Several: the square of their
// profile, a sum without cancellation, and to first order what their normals differ by,
// sum <J_i, J_j> (rho_ij - 1) dK/drho at rho = 1; the next term is of the third order.
double bundle_variance(const Bundle& bundle) {
  if (bundle.hinges.size() == 1) {
    const Hinge& hinge = bundle.hinges[0];
    const double threshold = std::abs(hinge.threshold);  // the side on which nothing cancels
    const TailMoments tail = tail_moments(threshold);
    const double active = normal_tail(threshold);
    return dot(hinge.jump, hinge.jump) * (tail.second - tail.first * tail.first - active * active);
  }
  const Profile profile = profile_of(bundle);
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

}  // namespace

double dot(const Row& a, const Row& b) {
  std::array<double, 4> lanes{};  // four sums at once: one would wait for itself
  std::size_t i = 0;
  for (; i + 4 <= a.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < a.size(); ++i) lanes[0] += a[i] * b[i];
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

double separation(const Row& a, const Row& b, double side) {
  double squares = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += (a[i] - side * b[i]) * (a[i] - side * b[i]);
  }
  return std::sqrt(squares);
}

double half_tangent(const Row& a, const Row& b, double rho) {
  const double along = std::min(std::abs(rho), 1.0);
  if (along < 0.9) return std::sqrt((1.0 - along) / (1.0 + along));
  // Here rho alone has lost it: from the chord, 2 sin(angle / 2).
  const double sine = 0.5 * separation(a, b, rho > 0.0 ? 1.0 : -1.0);
  return sine / std::sqrt(1.0 - sine * sine);
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

Profile profile_of(const Bundle& bundle) {
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
  const Rule nodes = gauss_legendre(kNodes);
  Profile profile;
  for (std::size_t piece = 0; piece + 1 < breaks.size(); ++piece) {
    if (piece > 0) {
      for (std::size_t o = 0; o < p; ++o) slope[o] += bundle.hinges[piece - 1].jump[o];
    }
    const double width = breaks[piece + 1] - breaks[piece];
    const int panels = static_cast<int>(std::ceil(width));
    for (int panel = 0; panel < panels; ++panel) {
      for (std::size_t q = 0; q < nodes.at.size(); ++q) {
        const double along = width * (panel + nodes.at[q]) / panels;
        const double z = breaks[piece] + along;
        profile.at.push_back(z);
        profile.weight.push_back(nodes.weight[q] * width / panels * normal_density(z));
        Row value(p);
        for (std::size_t o = 0; o < p; ++o) value[o] = level[o] + slope[o] * along;
        profile.value.push_back(std::move(value));
      }
    }
    for (std::size_t o = 0; o < p; ++o) level[o] += slope[o] * width;
  }
  return profile;
}

double sum_of_norms(const Bundle& bundle) {
  double sum = 0.0;
  for (const Hinge& hinge : bundle.hinges) sum += std::sqrt(dot(hinge.jump, hinge.jump));
  return sum;
}

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
    bundle.variance = bundle_variance(bundle);
    const double norms = sum_of_norms(bundle);
    bundle.cancelling = bundle.hinges.size() > 1 && bundle.variance < kCancelling * norms * norms;
    bundles.push_back(std::move(bundle));
  }
  return bundles;
}

}  // namespace crease
