// Covariances among the bundles of a network, less what their affine parts share.
#include "src/gaussian_covariance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/gaussian_integral.hpp"
#include "kernels/ops.hpp"
#include "src/normal.hpp"

namespace crease {
namespace {

constexpr double kBlurred = 0.3;  // sine of the angle from which the conditional mean is smooth
constexpr double kEps = std::numeric_limits<double>::epsilon();

// A bundle that cancels, with what every one of its pairs needs.
struct Cancelling {
  const Bundle* bundle;
  double norms;              // sum of |jump|
  std::vector<Row> moments;  // of its profile with He_m / sqrt(m!), by m, then by output
  std::vector<Row> hermite;  // of its hinges without their jumps, by hinge, then by m
};

Cancelling cancelling_of(const Bundle& bundle) {
  Cancelling result{&bundle, sum_of_norms(bundle), {}, {}};
  const Profile profile = profile_of(bundle);
  const std::size_t p = bundle.hinges[0].jump.size();
  result.moments.assign(kHermiteTerms, Row(p, 0.0));
  for (std::size_t q = 0; q < profile.at.size(); ++q) {
    double before = 0.0;
    double h = profile.weight[q];
    for (std::size_t m = 0; m < kHermiteTerms; ++m) {
      for (std::size_t o = 0; o < p; ++o) result.moments[m][o] += h * profile.value[q][o];
      const auto order = static_cast<double>(m);
      const double next = (profile.at[q] * h - std::sqrt(order) * before) / std::sqrt(order + 1.0);
      before = h;
      h = next;
    }
  }
  for (const Hinge& hinge : bundle.hinges) {
    Row& c = result.hermite.emplace_back(kHermiteTerms);
    hermite_coefficients(gaussian_neuron(1.0, -hinge.threshold), c.data(), 1);
  }
  return result;
}

// sum of rho^m <a_m, b_m> from m = 2 on.
double series(const std::vector<Row>& a, const std::vector<Row>& b, double rho) {
  double sum = 0.0;
  for (int m = hermite_terms(std::abs(rho)) - 1; m >= 2; --m) {
    sum = sum * rho + dot(a[static_cast<std::size_t>(m)], b[static_cast<std::size_t>(m)]);
  }
  return sum * rho * rho;
}

// Derivative of the coupling by rho.
double slope(const Row& a, const Row& b, double rho, double tangent, double b1, double b2) {
  if (std::abs(rho) > kSeriesReach) return coupling(rho, tangent, b1, b2).slope;
  double sum = 0.0;
  for (int m = hermite_terms(std::abs(rho)) - 1; m >= 2; --m) {
    const auto term = static_cast<std::size_t>(m);
    sum = sum * rho + m * (a[term] * b[term]);
  }
  return sum * rho;
}

// Hinge by hinge: rounding of the size of the hinges.
double direct(const Bundle& a, const Bundle& b) {
  double sum = 0.0;
  for (const Hinge& left : a.hinges) {
    for (const Hinge& right : b.hinges) {
      const double rho = dot(left.normal, right.normal);
      const double tangent = half_tangent(left.normal, right.normal, rho);
      sum += dot(left.jump, right.jump) *
             coupling(rho, tangent, left.threshold, right.threshold).value;
    }
  }
  return sum;
}

// The profile of one bundle against the conditional mean of the other, as if all normals of a
// bundle were those of its first hinge.
double by_profile(const Profile& profile, const Bundle& b, double rho, double sine) {
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
  return sum;
}

// What the normals of a bundle differ by, to the second order of the scalar products: the first
// order of normals of two bundles is of the second there, as their changes multiply.
double by_normals(const Cancelling& a, const Cancelling& b, double rho, double sine,
                  double tangent) {
  const Row& a_axis = a.bundle->hinges[0].normal;
  const Row& b_axis = b.bundle->hinges[0].normal;
  double sum = 0.0;
  for (std::size_t l = 0; l < a.bundle->hinges.size(); ++l) {
    const Hinge& left = a.bundle->hinges[l];
    for (std::size_t r = 0; r < b.bundle->hinges.size(); ++r) {
      const Hinge& right = b.bundle->hinges[r];
      double change = 0.0;  // <left, right> - rho, without the rounding of that difference
      for (std::size_t i = 0; i < a_axis.size(); ++i) {
        const double left_change = left.normal[i] - a_axis[i];
        change += left_change * right.normal[i] + a_axis[i] * (right.normal[i] - b_axis[i]);
      }
      if (change == 0.0) continue;
      const double b1 = left.threshold;
      const double b2 = right.threshold;
      const double density =
          std::exp(-0.5 * (b1 * b1 + b2 * b2 - 2.0 * rho * b1 * b2) / (sine * sine)) /
          (2.0 * std::numbers::pi * sine);
      sum += dot(left.jump, right.jump) * change *
             (slope(a.hermite[l], b.hermite[r], rho, tangent, b1, b2) + 0.5 * change * density);
    }
  }
  return sum;
}

// Pairs of cancelling bundles.
Covariance among_cancelling(const std::vector<Bundle>& bundles, std::size_t count) {
  std::vector<Cancelling> all(count);
#pragma omp parallel for schedule(static) if (count > 16)
  for (std::size_t a = 0; a < count; ++a) all[a] = cancelling_of(bundles[a]);
  // Summed in order: the same bits for any number of threads.
  std::vector<Covariance> by_bundle(count);
#pragma omp parallel for schedule(dynamic, 4) if (count > 16)
  for (std::size_t a = 0; a < count; ++a) {
    Profile profile;
    for (std::size_t b = 0; b < a; ++b) {
      const Row& a_axis = bundles[a].hinges[0].normal;
      const Row& b_axis = bundles[b].hinges[0].normal;
      const double rho = dot(a_axis, b_axis);
      const double tangent = half_tangent(a_axis, b_axis, rho);
      const double sine = 2.0 * tangent / (1.0 + tangent * tangent);
      Covariance& covariance = by_bundle[a];
      if (sine < kBlurred) {
        covariance.sum += direct(bundles[a], bundles[b]);
        covariance.error += kEps * all[a].norms * all[b].norms;
        continue;
      }
      if (std::abs(rho) <= kSeriesReach) {
        covariance.sum += series(all[a].moments, all[b].moments, rho);
      } else {
        if (profile.at.empty()) profile = profile_of(bundles[a]);
        covariance.sum += by_profile(profile, bundles[b], rho, sine);
      }
      covariance.sum += by_normals(all[a], all[b], rho, sine, tangent);
    }
  }
  Covariance total;
  for (const Covariance& one : by_bundle) {
    total.sum += 2.0 * one.sum;
    total.error += 2.0 * one.error;
  }
  return total;
}

// All other pairs, hinge by hinge: those of bundle `first` and the later ones with all before them.
Covariance hinge_by_hinge(Device& device, const std::vector<Bundle>& bundles, std::size_t first) {
  Index k = 0;
  Index start = 0;
  for (std::size_t a = 0; a < bundles.size(); ++a) {
    if (a == first) start = k;
    k += static_cast<Index>(bundles[a].hinges.size());
  }
  if (first == bundles.size()) return {};
  const Hinge& any = bundles[0].hinges[0];
  HostMatrix normals(k, static_cast<Index>(any.normal.size()));
  HostMatrix jumps(k, static_cast<Index>(any.jump.size()));
  HostMatrix thresholds(k, 1);
  HostMatrix groups(k, 1);
  Covariance total;
  double before = 0.0;
  Index i = 0;
  for (std::size_t a = 0; a < bundles.size(); ++a) {
    const double norms = sum_of_norms(bundles[a]);
    if (a >= first) total.error += 2.0 * kEps * norms * before;
    before += norms;
    for (const Hinge& hinge : bundles[a].hinges) {
      std::copy(hinge.normal.begin(), hinge.normal.end(), normals.row(i));
      std::copy(hinge.jump.begin(), hinge.jump.end(), jumps.row(i));
      thresholds(i, 0) = hinge.threshold;
      groups(i, 0) = static_cast<double>(a);
      ++i;
    }
  }
  DeviceMatrix sums(device, k, 1);
  gaussian_coupling_sums(device, upload(device, normals), upload(device, thresholds),
                         upload(device, jumps), upload(device, groups), start, sums);
  const HostMatrix rows = download(device, sums);
  for (Index row = 0; row < k; ++row) total.sum += 2.0 * rows(row, 0);
  return total;
}

}  // namespace

Covariance covariance_of(Device& device, std::vector<Bundle> bundles) {
  const auto rest = std::stable_partition(bundles.begin(), bundles.end(),
                                          [](const Bundle& bundle) { return bundle.cancelling; });
  const auto cancelling = static_cast<std::size_t>(rest - bundles.begin());
  const Covariance inner = among_cancelling(bundles, cancelling);
  const Covariance outer = hinge_by_hinge(device, bundles, cancelling);
  return {inner.sum + outer.sum, inner.error + outer.error};
}

}  // namespace crease
