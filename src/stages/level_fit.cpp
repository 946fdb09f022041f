// What single points say about the biases of a network whose weights are known.
#include "src/stages/level_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/device_network.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kCertain = 10;    // offset errors between a point and every hyperplane
constexpr double kDoubt = 12;      // standard deviations: a wrong pattern
constexpr Index kMostRows = 2048;  // or kRowsForEach of each unknown
constexpr Index kRowsForEach = 4;
constexpr double kLeastGain = 1e-4;                         // of what is left, over k
constexpr double kFarthestFoot = 0.25;                      // from the hyperplane
constexpr std::array<double, 4> kAlong = {0, 0.1, 0.3, 1};  // where a foot is moved to, along it

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

}  // namespace

HostMatrix value_sigmas(Device& device, const UnitNetwork& network, const Hypothesis& planes,
                        const NoiseModel& noise, const HostMatrix& gradient_covariance,
                        const HostMatrix& x) {
  const HostMatrix above = heights(device, planes, x);
  const std::vector<double> sigma =
      row_sigmas(device, network, noise, gradient_covariance, x, above, patterns(planes, above));
  HostMatrix out(x.rows(), network.output_count());
  std::copy(sigma.begin(), sigma.end(), out.data());
  return out;
}

LevelFit::LevelFit(Device& device, const UnitNetwork& network, const Hypothesis& planes,
                   const NoiseModel& noise, const HostMatrix& gradient_covariance,
                   std::vector<double> prior, const HostMatrix& x, const HostMatrix& y)
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
  std::vector<double> unit(prior_.size(), 0.0);
  for (std::size_t i = 0; i < prior_.size(); ++i) {
    unit[i] = 1;
    coefficients_.append_row(unit.data(), unknowns);
    unit[i] = 0;
    sigma_.push_back(prior_[i]);
  }
  factor();
}

void LevelFit::factor() {
  fit_.emplace(device_, coefficients_, sigma_, prior_);
  covariance_ = fit_->covariance();
}

/// The fit is covariance * rows^T / sigma^2 of the values.
std::vector<double> LevelFit::lever() const {
  const Index p = y_.cols();
  const Index n = x_.rows() * p;
  const Index k = static_cast<Index>(prior_.size()) - p;
  std::vector<double> out(static_cast<std::size_t>(k), 0.0);
  if (n == 0 || k == 0) return out;
  HostMatrix share = product(device_, covariance_, Transpose::no, coefficients_, Transpose::yes);
  HostMatrix of_points(k, x_.rows());
  for (Index j = 0; j < k; ++j) {
    for (Index r = 0; r < n; ++r) {
      const double sigma = sigma_[static_cast<std::size_t>(r)];
      of_points(j, r / p) += share(j, r) * coefficients_(r, j) / (sigma * sigma);
    }
  }
  const HostMatrix from = product(device_, of_points, Transpose::no, x_, Transpose::no);
  for (Index j = 0; j < k; ++j) {
    out[static_cast<std::size_t>(j)] = std::sqrt(dot(from.row(j), from.row(j), from.cols()));
  }
  return out;
}

void LevelFit::sweep(UnitNetwork& network) {
  const Index k = network.neurons();
  const Index p = network.output_count();
  HostMatrix right(coefficients_.rows(), 1);
  if (x_.rows() > 0) {
    const DeviceNetwork on_device(device_, network.network());
    DeviceMatrix expected(device_, x_.rows(), p);
    on_device.evaluate(upload(device_, x_), expected);
    const HostMatrix known = download(device_, expected);
    for (Index i = 0; i < known.size(); ++i) right.data()[i] = y_.data()[i] - known.data()[i];
  }
  HostMatrix change = fit_->solve(right);
  if (!weighed_) {
    weighed_ = true;
    const HostMatrix explained =
        product(device_, coefficients_, Transpose::no, change, Transpose::no);
    bool doubted = false;
    for (Index r = 0; r < x_.rows() * p; ++r) {
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

HostMatrix choose_levels(Device& device, Random& random, const Hypothesis& planes,
                         const UnitNetwork& network, const NoiseModel& noise,
                         const HostMatrix& gradient_covariance, const HostMatrix& covariance,
                         const std::vector<double>& wanted, Index most) {
  const Index k = planes.neurons();
  const Index p = planes.outputs;
  const Index d = planes.inputs;
  FanDesign design(std::vector<double>(wanted.size(), 1.0), wanted);
  design.set_covariance(covariance);
  const std::vector<Index> bad = design.bad_neurons(k);
  HostMatrix chosen(0, d);
  if (bad.empty() || most < 1) return chosen;

  HostMatrix feet(0, d);
  for (const Index i : bad) {
    const double* normal = planes.normals.row(i);
    for (const double far : kAlong) {
      std::vector<double> x(static_cast<std::size_t>(d), 0.0);
      if (far > 0) {
        x = random.normals(d);
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
  for (Index f = 0; f < feet.rows(); ++f) {
    const Index b = f / static_cast<Index>(kAlong.size());
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
  }
  const HostMatrix above = heights(device, planes, x);
  HostMatrix rows = patterns(planes, above);
  std::vector<double> sigma =
      row_sigmas(device, network, noise, gradient_covariance, x, above, rows);
  Greedy greedy(design, std::move(rows), std::move(sigma), p);
  while (chosen.rows() < most && !design.bad_neurons(k).empty()) {
    const Index c = greedy.next(kLeastGain / static_cast<double>(k));
    if (c < 0) break;
    chosen.append_row(x.row(c), d);
  }
  return chosen;
}

}  // namespace crease
