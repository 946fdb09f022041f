// Rectified powers under N(0, I).
#include "src/gaussian_powers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <set>
#include <utility>

namespace crease {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kReach = 3.25;  // exp(-pi sinh(kReach)) = 3e-18
constexpr int kLevels = 10;      // the last with steps of 2^-10
constexpr int kFirst = 3;        // steps of 1/8 before two sums are compared
constexpr double kAgree = 1e-11;

double norm(const Row& values) {
  double length = 0.0;
  for (const double value : values) length = std::hypot(length, value);
  return length;
}

/// sin(a), a = pi - beyond: near pi from what is beyond.
double sine(double a, double beyond) {
  return std::sin(std::min(a, beyond));
}

bool all_zero(const HostMatrix& matrix) {
  return std::all_of(matrix.data(), matrix.data() + matrix.size(),
                     [](double value) { return value == 0.0; });
}

}  // namespace

double power_mean(double p) {
  return std::exp2(p / 2 - 1) * std::tgamma((p + 1) / 2) / std::sqrt(kPi);
}

double power_square(double p) {
  return power_mean(2 * p);
}

Angle angle_between(const Row& v, const Row& w) {
  double apart = 0.0;
  double together = 0.0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    apart += (v[i] - w[i]) * (v[i] - w[i]);
    together += (v[i] + w[i]) * (v[i] + w[i]);
  }
  apart = std::sqrt(apart);
  together = std::sqrt(together);
  return {2 * std::atan2(apart, together), 2 * std::atan2(together, apart)};
}

PowerProduct::PowerProduct(double p, double q)
    : p_(p), q_(q), radius_(std::exp2((p + q) / 2) * std::tgamma((p + q) / 2 + 1) / (2 * kPi)) {
  require(p > 0 && q > 0 && p <= kMostPower && q <= kMostPower,
          "Gaussian integrals: powers must be above 0 and at most 64");
  for (int level = 0; level <= kLevels; ++level) {
    const double step = std::ldexp(1.0, -level);
    std::vector<Node>& nodes = levels_.emplace_back();
    for (int i = level == 0 ? 0 : 1; i * step <= kReach; i += level == 0 ? 1 : 2) {
      const double u = i * step;
      const double e = std::exp(-kPi * std::sinh(u));
      const double half = i == 0 ? 0.5 : 1.0;  // u = 0 is its own mirror image
      nodes.push_back(
          {1 / (1 + e), e / (1 + e), half * kPi * std::cosh(u) * e / ((1 + e) * (1 + e))});
    }
  }
}

double PowerProduct::sum_at(const Node& node, const Angle& angle) const {
  const double far = node.far * angle.rest;
  const double near = node.near * angle.rest;
  const double of_far = sine(far, angle.between + near);
  const double of_near = sine(near, angle.between + far);
  if (p_ == q_) return 2 * node.weight * std::pow(of_far * of_near, p_);
  return node.weight * (std::pow(of_far, q_) * std::pow(of_near, p_) +
                        std::pow(of_near, q_) * std::pow(of_far, p_));
}

double PowerProduct::operator()(const Angle& angle) const {
  double sum = 0.0;
  double before = 0.0;
  for (int level = 0; level <= kLevels; ++level) {
    for (const Node& node : levels_[static_cast<std::size_t>(level)]) sum += sum_at(node, angle);
    const double value = std::ldexp(sum, -level);
    if (level >= kFirst && std::abs(value - before) <= kAgree * value)
      return radius_ * angle.rest * value;
    before = value;
  }
  return radius_ * angle.rest * before;
}

void add_power_terms(const ReluNetwork& network, double sign, std::vector<PowerTerm>& terms) {
  for (Index j = 0; j < network.neurons(); ++j) {
    if (is_dead(network, j)) continue;
    PowerTerm term;
    term.power = network.power;
    term.normal.assign(network.weights.row(j), network.weights.row(j) + network.inputs());
    const double length = norm(term.normal);
    for (double& value : term.normal) value /= length;
    const double scale = sign * std::pow(length, network.power);
    for (Index o = 0; o < network.outputs(); ++o) {
      term.jump.push_back(scale * network.output(o, j));
    }
    terms.push_back(std::move(term));
  }
}

bool is_homogeneous(const ReluNetwork& network) {
  return all_zero(network.bias) && all_zero(network.linear) && all_zero(network.constant);
}

double power_size(const std::vector<PowerTerm>& terms) {
  double size = 0.0;
  for (const PowerTerm& term : terms) size += norm(term.jump) * std::sqrt(power_square(term.power));
  return size;
}

double power_rounding(const std::vector<PowerTerm>& terms) {
  const double size = power_size(terms);
  return 100 * std::numeric_limits<double>::epsilon() * size * size;
}

double power_second_moment(const std::vector<PowerTerm>& terms) {
  std::set<double> powers;
  for (const PowerTerm& term : terms) powers.insert(term.power);
  std::map<std::pair<double, double>, PowerProduct> products;
  for (const double p : powers) {
    for (const double q : powers) products.emplace(std::pair(p, q), PowerProduct(p, q));
  }
  const auto count = static_cast<Index>(terms.size());
  std::vector<double> rows(terms.size(), 0.0);
#pragma omp parallel for schedule(dynamic) if (count > 64)
  for (Index i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const PowerTerm& a = terms[at];
    double sum = dot(a.jump, a.jump) * power_square(a.power);
    for (std::size_t j = 0; j < at; ++j) {
      const PowerTerm& b = terms[j];
      const double jumps = dot(a.jump, b.jump);
      if (jumps == 0.0) continue;
      const PowerProduct& product = products.at({a.power, b.power});
      sum += 2 * jumps * product(angle_between(a.normal, b.normal));
    }
    rows[at] = sum;
  }
  double sum = 0.0;
  for (const double row : rows) sum += row;
  return std::max(sum, 0.0);
}

Row power_means(const std::vector<PowerTerm>& terms, Index outputs) {
  Row mean(static_cast<std::size_t>(outputs), 0.0);
  for (const PowerTerm& term : terms) {
    const double active = power_mean(term.power);
    for (std::size_t o = 0; o < mean.size(); ++o) mean[o] += term.jump[o] * active;
  }
  return mean;
}

}  // namespace crease
