// The certificate: mass beyond the largest error, and the Lipschitz bound on the rms error.
#include "src/stages/certify.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_arguments(std::span<const double> errors, double failure, double lipschitz,
                     bool may_be_silent) {
  require(failure > 0.0 && failure < 1.0, "certify: failure must be in (0, 1)");
  require(lipschitz >= 0.0, "certify: the Lipschitz constant must not be negative");
  require(std::all_of(errors.begin(), errors.end(),
                      [=](double e) { return e >= 0.0 && (may_be_silent || std::isfinite(e)); }),
          "certify: errors must be finite and not negative");
}

// Of the points that said something.
double largest(std::span<const double> errors) {
  double most = 0.0;
  for (const double e : errors) most = std::isinf(e) ? most : std::max(most, e);
  return most;
}

Index silent_among(std::span<const double> errors) {
  return std::count(errors.begin(), errors.end(), kInfinity);
}

// The mass that n points may all have missed with probability `failure`.
double unseen_mass(std::span<const double> errors, double failure, bool may_be_silent) {
  const auto n = static_cast<Index>(errors.size());
  return may_be_silent ? mass_with_silent_points(n, silent_among(errors), failure)
                       : upper_mass(n, 0, failure);
}

// log P(at most `hits` of n), each with probability q in (0, 1).
double log_at_most(Index n, Index hits, double q) {
  const auto log_choose = [n](Index i) {
    const auto a = static_cast<double>(n);
    const auto b = static_cast<double>(i);
    return std::lgamma(a + 1.0) - std::lgamma(b + 1.0) - std::lgamma(a - b + 1.0);
  };
  const auto term = [&](Index i) {
    return log_choose(i) + static_cast<double>(i) * std::log(q) +
           static_cast<double>(n - i) * std::log1p(-q);
  };
  // The largest term first, so that nothing underflows.
  double most = -kInfinity;
  for (Index i = 0; i <= hits; ++i) most = std::max(most, term(i));
  double sum = 0.0;
  for (Index i = 0; i <= hits; ++i) sum += std::exp(term(i) - most);
  return most + std::log(sum);
}

// sqrt(inside * T^2 + 2 T L a(z) + L^2 b(z)), Q(z) = mass; scaled, so that no square over- or
// underflows.
double rms_with_tail(double inside, double threshold, double lipschitz, double mass) {
  if (mass >= 1.0 || std::isinf(lipschitz)) return kInfinity;
  const double scale = std::max(threshold, lipschitz);
  if (scale == 0.0) return 0.0;
  const TailMoments tail = tail_moments(inverse_normal_tail(mass));
  const double t = threshold / scale;
  const double l = lipschitz / scale;
  return scale * std::sqrt(inside * t * t + 2.0 * t * l * tail.first + l * l * tail.second);
}

// KL(mean, q), the exponent at which n observations with this mean become unlikely under q.
double divergence(double mean, double q) {
  double sum = 0.0;
  if (mean > 0.0) sum += mean * std::log(mean / q);
  if (mean < 1.0) sum += (1.0 - mean) * (std::log1p(-mean) - std::log1p(-q));
  return sum;
}

// The largest q with KL(mean, q) <= exponent, from above.
double chernoff_bound(double mean, double exponent) {
  if (mean >= 1.0) return 1.0;
  if (mean <= 0.0) return -std::expm1(-exponent);
  double below = mean;
  double above = 1.0;
  while (true) {
    // A mean far below the bound is approached in the logarithm first.
    const double middle =
        above > 4.0 * below ? std::sqrt(above * below) : below + 0.5 * (above - below);
    if (middle <= below || middle >= above) return above;
    (divergence(mean, middle) <= exponent ? below : above) = middle;
  }
}

}  // namespace

double upper_mass(Index n, Index hits, double failure) {
  require(failure > 0.0 && failure < 1.0, "upper_mass: failure must be in (0, 1)");
  require(hits >= 0 && hits <= n, "upper_mass: hits must be between 0 and n");
  if (hits == n) return 1.0;
  if (hits == 0) return -std::expm1(std::log(failure) / static_cast<double>(n));
  // P(at most `hits` of n) falls from 1 to 0 with the mass; from above.
  double below = static_cast<double>(hits) / static_cast<double>(n);
  double above = 1.0;
  while (true) {
    const double middle = below + 0.5 * (above - below);
    if (middle <= below || middle >= above) return above;
    (log_at_most(n, hits, middle) > std::log(failure) ? below : above) = middle;
  }
}

double mass_with_silent_points(Index n, Index silent, double failure) {
  if (silent == 0) return upper_mass(n, 0, 0.5 * failure);
  const double hidden = upper_mass(n, silent, 0.25 * failure);
  if (silent == n) return 1.0;
  const double beyond = upper_mass(n - silent, 0, 0.25 * failure);
  return hidden + (1.0 - hidden) * beyond;
}

double upper_mean_of_bounded(std::span<const double> y, double failure) {
  require(failure > 0.0 && failure < 1.0, "upper_mean_of_bounded: failure must be in (0, 1)");
  require(std::all_of(y.begin(), y.end(), [](double v) { return v >= 0.0 && v <= 1.0; }),
          "upper_mean_of_bounded: every y must be in [0, 1]");
  if (y.empty()) return 1.0;
  const double n = static_cast<double>(y.size());
  double mean = 0.0;
  for (const double v : y) mean += v / n;
  double bound = chernoff_bound(mean, std::log(2.0 / failure) / n);
  if (y.size() >= 2) {
    double squares = 0.0;
    for (const double v : y) squares += (v - mean) * (v - mean);
    const double variance = squares / (n - 1.0);
    const double exponent = std::log(4.0 / failure);
    bound = std::min(bound, mean + std::sqrt(2.0 * variance * exponent / n) +
                                7.0 * exponent / (3.0 * (n - 1.0)));
  }
  return std::min(bound, 1.0);
}

double iso_max(std::span<const double> errors, double failure, double lipschitz,
               bool may_be_silent) {
  check_arguments(errors, failure, lipschitz, may_be_silent);
  return rms_with_tail(1.0, largest(errors), lipschitz,
                       unseen_mass(errors, failure, may_be_silent));
}

double iso_split(std::span<const double> errors, double failure, double lipschitz,
                 bool may_be_silent) {
  check_arguments(errors, failure, lipschitz, may_be_silent);
  const std::span<const double> first = errors.first(errors.size() / 2);
  const std::span<const double> second = errors.subspan(errors.size() / 2);
  const double threshold = largest(first);
  double inside = 0.0;
  if (threshold > 0.0) {
    std::vector<double> squares(second.size());
    std::transform(second.begin(), second.end(), squares.begin(), [threshold](double e) {
      const double ratio = std::min(e / threshold, 1.0);
      return ratio * ratio;
    });
    inside = upper_mean_of_bounded(squares, 0.5 * failure);
  }
  return rms_with_tail(inside, threshold, lipschitz,
                       unseen_mass(first, 0.5 * failure, may_be_silent));
}

Certificate certify(std::span<const double> errors, double failure, double lipschitz,
                    bool may_be_silent) {
  check_arguments(errors, failure, lipschitz, may_be_silent);
  Certificate certificate;
  certificate.points = static_cast<Index>(errors.size());
  certificate.silent = silent_among(errors);
  certificate.confidence = 1.0 - failure;
  certificate.largest_error = largest(errors);
  certificate.mass = unseen_mass(errors, failure, may_be_silent);
  certificate.lipschitz = lipschitz;
  certificate.rms_bound = std::min(iso_max(errors, 0.5 * failure, lipschitz, may_be_silent),
                                   iso_split(errors, 0.5 * failure, lipschitz, may_be_silent));
  if (certificate.largest_error > 0.0) {
    double squares = 0.0;
    for (const double e : errors) {
      if (std::isinf(e)) continue;
      const double ratio = e / certificate.largest_error;
      squares += ratio * ratio;
    }
    certificate.rms_error =
        certificate.largest_error *
        std::sqrt(squares / static_cast<double>(certificate.points - certificate.silent));
  }
  return certificate;
}

double largest_lipschitz_guess(const ReluNetwork& network) {
  check(network);
  double steepest = 0.0;
  for (Index j = 0; j < network.neurons(); ++j) {
    double weight = 0.0;
    double output = 0.0;
    for (Index i = 0; i < network.inputs(); ++i) {
      weight = std::hypot(weight, network.weights(j, i));
    }
    for (Index o = 0; o < network.outputs(); ++o) {
      output = std::hypot(output, network.output(o, j));
    }
    steepest = std::max(steepest, 2.0 * weight * output);
  }
  if (steepest > 0.0 && network.power != 1) return kInfinity;
  return steepest;
}

double look_failure(double failure, int look) {
  require(failure > 0.0 && failure < 1.0, "look_failure: failure must be in (0, 1)");
  require(look >= 1, "look_failure: looks are counted from 1");
  return failure / (static_cast<double>(look) * (static_cast<double>(look) + 1.0));
}

}  // namespace crease
