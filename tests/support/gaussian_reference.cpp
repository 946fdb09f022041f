// Gaussian integrals of hinges by quadrature in extended precision: the reference of the tests.
#include "tests/support/gaussian_reference.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace crease {
namespace {

using Real = long double;

Real density(Real z) {
  return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi_v<Real>);
}

Real tail(Real z) {
  return std::erfc(z / std::numbers::sqrt2_v<Real>) / 2;
}

// E max(Z - z, 0). The difference loses a factor of z^2 of 2^-63: nothing at double precision.
Real hinge_mean(Real z) {
  return density(z) - z * tail(z);
}

// The 8-point Gauss-Legendre rule on panels no wider than `most`.
template <class F>
Real integral(Real from, Real to, Real most, F f) {
  constexpr Real at[] = {
      0.183434642495649804939476142360183981L, 0.525532409916328985817739049189246349L,
      0.796666477413626739591553936475830437L, 0.960289856497536231683560868569472990L};
  constexpr Real weight[] = {
      0.362683783378361982965150449277195612L, 0.313706645877887287337962201986601313L,
      0.222381034453374470544355994426240884L, 0.101228536290376259152531354309962190L};
  if (!(from < to)) return 0;
  const auto panels = static_cast<int>(std::ceil((to - from) / most));
  const Real half = (to - from) / panels / 2;
  Real sum = 0;
  for (int panel = 0; panel < panels; ++panel) {
    const Real middle = from + (2 * panel + 1) * half;
    for (int i = 0; i < 4; ++i) {
      sum += half * weight[i] * (f(middle - half * at[i]) + f(middle + half * at[i]));
    }
  }
  return sum;
}

}  // namespace

ReferenceHinge reference_hinge(const HostMatrix& weights, const HostMatrix& bias, Index row) {
  ReferenceHinge hinge;
  Real squares = 0;
  for (Index c = 0; c < weights.cols(); ++c) {
    hinge.weights.push_back(weights(row, c));
    squares += hinge.weights.back() * hinge.weights.back();
  }
  hinge.length = std::sqrt(squares);
  if (hinge.length == 0) {
    hinge.mean = std::max(bias(row, 0), 0.0);
    return hinge;
  }
  hinge.threshold = -bias(row, 0) / hinge.length;
  hinge.mean = hinge.length * hinge_mean(hinge.threshold);
  hinge.active = tail(hinge.threshold);
  return hinge;
}

long double reference_product(const ReferenceHinge& a, const ReferenceHinge& b) {
  if (a.length == 0 || b.length == 0) return a.mean * b.mean;
  Real dot = 0;
  Real areas = 0;  // Lagrange: |a|^2 |b|^2 - <a, b>^2, without the difference
  for (std::size_t i = 0; i < a.weights.size(); ++i) {
    dot += a.weights[i] * b.weights[i];
    for (std::size_t j = 0; j < i; ++j) {
      const Real area = a.weights[i] * b.weights[j] - a.weights[j] * b.weights[i];
      areas += area * area;
    }
  }
  const Real rho = dot / (a.length * b.length);
  const Real sine = std::sqrt(areas) / (a.length * b.length);
  const Real start = a.threshold;
  const Real end = std::max(start, Real(0)) + 14;  // e^-98 beyond
  const Real begin = std::max(start, Real(-14));
  const auto f = [&](Real z) {
    const Real conditional = sine == 0 ? std::max(rho * z - b.threshold, Real(0))
                                       : sine * hinge_mean((b.threshold - rho * z) / sine);
    return (z - start) * density(z) * conditional;
  };
  constexpr Real kPanel = 0.125;
  Real sum = 0;
  if (rho == 0) {
    sum = integral(begin, end, kPanel, f);
  } else {
    // The second hinge turns on within 12 sine / |rho| of b' / rho.
    const Real centre = std::clamp(b.threshold / rho, begin, end);
    const Real reach = 12 * sine / std::abs(rho);
    const Real low = std::clamp(centre - reach, begin, end);
    const Real high = std::clamp(centre + reach, begin, end);
    const Real most = std::min(kPanel, sine / std::abs(rho) / 4);
    sum = integral(begin, low, kPanel, f) + integral(low, centre, most, f) +
          integral(centre, high, most, f) + integral(high, end, kPanel, f);
  }
  return a.length * b.length * sum;
}

}  // namespace crease
