// What single points say about the biases of a network whose weights are known.
#include "src/stages/level_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/device_network.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kCertain = 10;    // offset errors between a point and every hyperplane
constexpr double kDoubt = 12;      // standard deviations: a wrong pattern
constexpr Index kMostRows = 2048;  // or kRowsForEach of each unknown
constexpr Index kRowsForEach = 4;
constexpr double kLeastGain = 1e-4;     // of what is left, over k
constexpr double kFarthestFoot = 1e-4;  // from the hyperplane
// Where a foot is moved to, along its hyperplane: by lengths, and by shares of a normal point.
constexpr std::array<double, 8> kAlong = {0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1};
constexpr std::array<double, 3> kAfar = {0.1, 0.3, 1};
constexpr std::size_t kFeet = kAlong.size() + kAfar.size();
constexpr std::size_t kMostBad = 512;  // neurons at a time

/// sigma [n p] of rows with these coefficients at these points.
std::vector<double> row_sigmas(Device& device, const UnitNetwork& network, const NoiseModel& noise,
                               const HostMatrix& gradient_covariance, const HostMatrix& x,
                               const HostMatrix& above, const HostMatrix& rows) {
  const Index p = network.output_count();
  const HostMatrix through =
      product(device, rows, Transpose::no, gradient_covariance, Transpose::no);
  std::vector<double> certain;
  for (Index j = 0; j < network.neurons(); ++j) {
    certain.push_back(kCertain * network.offset_error[static_cast<std::size_t>(j)] /
                      network.size(j));
  }
  std::vector<double> sigma;
  for (Index i = 0; i < x.rows(); ++i) {
    bool known = true;
    for (Index j = 0; j < network.neurons(); ++j) {
      known = known && std::abs(above(i, j)) > certain[static_cast<std::size_t>(j)];
    }
    const double square = dot(x.row(i), x.row(i), x.cols());
    const double rho = std::sqrt(1 + square);
    for (Index o = 0; o < p; ++o) {
      const Index r = i * p + o;
      const double variance = std::max(0.0, dot(through.row(r), rows.row(r), rows.cols()));
      const double answer = noise.sigma(rho, o);
      sigma.push_back(known ? std::sqrt(answer * answer + variance * rho * rho) : kInfinity);
    }
  }
  return sigma;
}

/// Noise of a difference of two answers, the error of this neuron's weights at their place, and
/// that of the linear part they share over the way between them.
double pair_sigma(const NoiseModel& noise, Index output, const HostMatrix& gradient_covariance,
                  Index neuron, double rho, double linear_variance, double apart) {
  const double answer = noise.sigma(rho, output);
  const double own = std::max(0.0, gradient_covariance(neuron, neuron));
  return std::sqrt(2 * answer * answer + own * rho * rho +
                   std::max(0.0, linear_variance) * apart * apart);
}

}  // namespace

LevelFit::LevelFit(Device& device, const UnitNetwork& network, const Hypothesis& planes,
                   const NoiseModel& noise, const HostMatrix& gradient_covariance,
                   std::vector<double> prior, const HostMatrix& x, const HostMatrix& y,
                   const LevelPairs& pairs)
    : device_(device),
      prior_(std::move(prior)),
      x_(0, x.cols()),
      y_(0, y.cols()),
      coefficients_(0, static_cast<Index>(prior_.size())) {
  const Index p = network.output_count();
  const auto unknowns = static_cast<Index>(prior_.size());
  const HostMatrix above = heights(device, planes, x);
  const HostMatrix rows = patterns(planes, above);
  const std::vector<double> sigma =
      row_sigmas(device, network, noise, gradient_covariance, x, above, rows);
  std::vector<Index> order;
  for (Index i = 0; i < x.rows(); ++i) {
    if (std::isfinite(sigma[static_cast<std::size_t>(i * p)])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return sigma[static_cast<std::size_t>(a * p)] < sigma[static_cast<std::size_t>(b * p)];
  });
  const Index most = std::max(kMostRows, kRowsForEach * unknowns) / p + 1;
  order.resize(std::min(order.size(), static_cast<std::size_t>(most)));
  for (const Index i : order) {
    x_.append_row(x.row(i), x.cols());
    y_.append_row(y.row(i), p);
    for (Index o = 0; o < p; ++o) {
      coefficients_.append_row(rows.row(i * p + o), unknowns);
      sigma_.push_back(sigma[static_cast<std::size_t>(i * p + o)]);
    }
  }
  add_pairs(network, planes, noise, gradient_covariance, pairs);
  std::vector<double> unit(prior_.size(), 0.0);
  for (std::size_t i = 0; i < prior_.size(); ++i) {
    unit[i] = 1;
    coefficients_.append_row(unit.data(), unknowns);
    unit[i] = 0;
    sigma_.push_back(prior_[i]);
  }
}

const HostMatrix& LevelFit::covariance() {
  if (!fit_) factor();
  return covariance_;
}

void LevelFit::add_pairs(const UnitNetwork& network, const Hypothesis& planes,
                         const NoiseModel& noise, const HostMatrix& gradient_covariance,
                         const LevelPairs& pairs) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  const auto m = static_cast<Index>(pairs.neuron.size());
  lower_pattern_ = HostMatrix(0, k);
  pairs_.x = HostMatrix(0, x_.cols());
  pairs_.y = HostMatrix(0, p);
  if (m == 0) return;
  const HostMatrix above = heights(device_, planes, pairs.x);
  const HostMatrix rows = patterns(planes, above);
  const HostMatrix through =
      product(device_, rows, Transpose::no, gradient_covariance, Transpose::no);
  for (Index r = 0; r < m; ++r) {
    const Index i = pairs.neuron[static_cast<std::size_t>(r)];
    bool known = above(2 * r, i) > 0 && above(2 * r + 1, i) < 0;
    std::vector<double> pattern;
    for (Index j = 0; j < k; ++j) {
      const double certain =
          kCertain * network.offset_error[static_cast<std::size_t>(j)] / network.size(j);
      for (const Index side : {2 * r, 2 * r + 1}) {
        known = known && std::abs(above(side, j)) > certain;
      }
      known = known && (j == i || above(2 * r, j) * above(2 * r + 1, j) > 0);
      pattern.push_back(above(2 * r + 1, j) > 0 ? 1.0 : 0.0);
    }
    if (!known) continue;
    const double* x = pairs.x.row(2 * r);
    double apart = 0;
    for (Index c = 0; c < x_.cols(); ++c) {
      apart += (x[c] - pairs.x(2 * r + 1, c)) * (x[c] - pairs.x(2 * r + 1, c));
    }
    for (const Index side : {2 * r, 2 * r + 1}) {
      pairs_.x.append_row(pairs.x.row(side), x_.cols());
      pairs_.y.append_row(pairs.y.row(side), p);
    }
    pairs_.neuron.push_back(i);
    lower_pattern_.append_row(pattern.data(), k);
    for (Index o = 0; o < p; ++o) {
      std::vector<double> coefficient(prior_.size(), 0.0);
      coefficient[static_cast<std::size_t>(i)] = network.outputs(i, o);
      coefficients_.append_row(coefficient.data(), coefficients_.cols());
      const Index lower = (2 * r + 1) * p + o;
      sigma_.push_back(
          pair_sigma(noise, o, gradient_covariance, i, std::sqrt(1 + dot(x, x, x_.cols())),
                     dot(through.row(lower), rows.row(lower), rows.cols()), std::sqrt(apart)));
    }
  }
}

void LevelFit::factor() {
  fit_.emplace(device_, coefficients_, sigma_, prior_);
  covariance_ = fit_->covariance();
}

HostMatrix LevelFit::pair_coefficients() const {
  const Index first = x_.rows() * y_.cols();
  HostMatrix out(0, coefficients_.cols());
  for (Index r = 0; r < pair_count() * y_.cols(); ++r) {
    out.append_row(coefficients_.row(first + r), coefficients_.cols());
  }
  return out;
}

std::vector<double> LevelFit::pair_sigmas() const {
  const auto first = static_cast<std::ptrdiff_t>(x_.rows() * y_.cols());
  const auto count = static_cast<std::ptrdiff_t>(pair_count() * y_.cols());
  return {sigma_.begin() + first, sigma_.begin() + first + count};
}

/// The fit is covariance * rows^T / sigma^2 of the values.
std::vector<double> LevelFit::lever() {
  if (!fit_) factor();
  const Index p = y_.cols();
  const Index n = (x_.rows() + pair_count()) * p;
  const Index k = static_cast<Index>(prior_.size()) - p;
  std::vector<double> out(static_cast<std::size_t>(k), 0.0);
  if (n == 0 || k == 0) return out;
  HostMatrix share = product(device_, covariance_, Transpose::no, coefficients_, Transpose::yes);
  HostMatrix of_points(k, x_.rows() + pair_count());
  HostMatrix places = x_;
  for (Index r = 0; r < pair_count(); ++r) places.append_row(pairs_.x.row(2 * r), places.cols());
  for (Index j = 0; j < k; ++j) {
    for (Index r = 0; r < n; ++r) {
      const double sigma = sigma_[static_cast<std::size_t>(r)];
      of_points(j, r / p) += share(j, r) * coefficients_(r, j) / (sigma * sigma);
    }
  }
  const HostMatrix from = product(device_, of_points, Transpose::no, places, Transpose::no);
  for (Index j = 0; j < k; ++j) {
    out[static_cast<std::size_t>(j)] = std::sqrt(dot(from.row(j), from.row(j), from.cols()));
  }
  return out;
}

HostMatrix LevelFit::differences(const UnitNetwork& network) const {
  const Index k = network.neurons();
  const Index p = network.output_count();
  const Index d = network.inputs();
  HostMatrix right(coefficients_.rows(), 1);
  if (x_.rows() > 0) {
    const DeviceNetwork on_device(device_, network.network());
    DeviceMatrix expected(device_, x_.rows(), p);
    on_device.evaluate(upload(device_, x_), expected);
    const HostMatrix known = download(device_, expected);
    for (Index i = 0; i < known.size(); ++i) right.data()[i] = y_.data()[i] - known.data()[i];
  }
  // Of a pair the affine piece of one side is taken along the way between, and the hinge: not two
  // values of F', whose roundings would be seen.
  HostMatrix way(pair_count(), d);
  for (Index r = 0; r < pair_count(); ++r) {
    for (Index c = 0; c < d; ++c) way(r, c) = pairs_.x(2 * r, c) - pairs_.x(2 * r + 1, c);
  }
  const HostMatrix rise = product(device_, way, Transpose::no, network.weights, Transpose::yes);
  for (Index r = 0; r < pair_count(); ++r) {
    const Index i = pairs_.neuron[static_cast<std::size_t>(r)];
    const double hinge = dot(network.weights.row(i), pairs_.x.row(2 * r), d) +
                         network.bias[static_cast<std::size_t>(i)];
    for (Index o = 0; o < p; ++o) {
      double known = dot(network.gradient.row(o), way.row(r), d) + network.outputs(i, o) * hinge;
      for (Index j = 0; j < k; ++j) {
        if (lower_pattern_(r, j) > 0) known += network.outputs(j, o) * rise(r, j);
      }
      right((x_.rows() + r) * p + o, 0) = (pairs_.y(2 * r, o) - pairs_.y(2 * r + 1, o)) - known;
    }
  }
  return right;
}

void LevelFit::sweep(UnitNetwork& network) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  if (!fit_) factor();
  const HostMatrix right = differences(network);
  HostMatrix change = fit_->solve(right);
  if (!weighed_) {
    weighed_ = true;
    const HostMatrix explained =
        product(device_, coefficients_, Transpose::no, change, Transpose::no);
    bool doubted = false;
    for (Index r = 0; r < (x_.rows() + pair_count()) * p; ++r) {
      double& sigma = sigma_[static_cast<std::size_t>(r)];
      const double chi = std::abs(right(r, 0) - explained(r, 0)) / sigma;
      if (!(chi > kDoubt)) continue;
      sigma *= chi;
      doubted = true;
    }
    if (doubted) {
      factor();
      change = fit_->solve(right);
    }
  }
  for (Index j = 0; j < k; ++j) network.bias[static_cast<std::size_t>(j)] += change(j, 0);
  for (Index o = 0; o < p; ++o) network.constant[static_cast<std::size_t>(o)] += change(k + o, 0);
}

LevelPairs choose_levels(Device& device, Random& random, const Hypothesis& planes,
                         const UnitNetwork& network, const NoiseModel& noise,
                         const HostMatrix& gradient_covariance, const HostMatrix& covariance,
                         const std::vector<double>& wanted, Index most) {
  const Index k = planes.neurons();
  const Index p = planes.outputs;
  const Index d = planes.inputs;
  FanDesign design(std::vector<double>(wanted.size(), 1.0), wanted);
  design.set_covariance(covariance);
  std::vector<Index> bad = design.bad_neurons(k);
  bad.resize(std::min(bad.size(), kMostBad));
  LevelPairs chosen{HostMatrix(0, d), HostMatrix(0, p), {}};
  if (bad.empty() || most < 1) return chosen;

  HostMatrix feet(0, d);
  for (const Index i : bad) {
    const double* normal = planes.normals.row(i);
    for (std::size_t moved = 0; moved < kFeet; ++moved) {
      std::vector<double> x(static_cast<std::size_t>(d), 0.0);
      if (moved > 0) {
        x = random.normals(d);
        const double far = moved < kAlong.size() ? kAlong[moved] / std::sqrt(static_cast<double>(d))
                                                 : kAfar[moved - kAlong.size()];
        const double along = dot(normal, x.data(), d);
        for (Index c = 0; c < d; ++c) {
          auto& value = x[static_cast<std::size_t>(c)];
          value = far * (value - along * normal[c]);
        }
      }
      for (Index c = 0; c < d; ++c) {
        x[static_cast<std::size_t>(c)] -= planes.bias[static_cast<std::size_t>(i)] * normal[c];
      }
      feet.append_row(x.data(), d);
    }
  }
  const HostMatrix feet_above = heights(device, planes, feet);
  HostMatrix bad_normals(0, d);
  for (const Index i : bad) bad_normals.append_row(planes.normals.row(i), d);
  const HostMatrix gram =
      product(device, bad_normals, Transpose::no, planes.normals, Transpose::yes);
  HostMatrix x(0, d);
  std::vector<Index> neuron;
  for (Index f = 0; f < feet.rows(); ++f) {
    const Index b = f / static_cast<Index>(kFeet);
    const Index i = bad[static_cast<std::size_t>(b)];
    double nearest = 2 * kFarthestFoot;
    for (Index j = 0; j < k; ++j) {
      if (j != i && gram(b, j) != 0) {
        nearest = std::min(nearest, std::abs(feet_above(f, j) / gram(b, j)));
      }
    }
    for (const double side : {0.5, -0.5}) {
      std::vector<double> point(feet.row(f), feet.row(f) + d);
      for (Index c = 0; c < d; ++c) {
        point[static_cast<std::size_t>(c)] += side * nearest * planes.normals(i, c);
      }
      x.append_row(point.data(), d);
    }
    neuron.push_back(i);
  }
  // As if answered: what is certain of its sides, and how much each would say.
  const LevelFit candidates(device, network, planes, noise, gradient_covariance,
                            std::vector<double>(wanted.size(), 1.0), HostMatrix(0, d),
                            HostMatrix(0, p), {x, HostMatrix(x.rows(), p), neuron});
  Greedy greedy(design, candidates.pair_coefficients(), candidates.pair_sigmas(), p);
  while (static_cast<Index>(chosen.neuron.size()) < most && !design.bad_neurons(k).empty()) {
    const Index c = greedy.next(kLeastGain / static_cast<double>(k));
    if (c < 0) break;
    chosen.x.append_row(candidates.pairs().x.row(2 * c), d);
    chosen.x.append_row(candidates.pairs().x.row(2 * c + 1), d);
    chosen.neuron.push_back(candidates.pairs().neuron[static_cast<std::size_t>(c)]);
  }
  return chosen;
}

}  // namespace crease
