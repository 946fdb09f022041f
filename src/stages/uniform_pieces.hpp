// The pieces of a uniformly scanned line, put together from its intervals.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "src/stages/uniform.hpp"

namespace crease {

/// One interval that passed its check.
struct Interval {
  double t;
  const double* value;        // [p]
  const double* slope;        // [p]
  const double* bias;         // [p]
  const double* gradient;     // [p, d]
  std::vector<double> sigma;  // [p] of an answer
};

/// Puts intervals together into pieces as they come.
class PieceBuilder {
 public:
  PieceBuilder(const UniformGrid& grid, double sigmas, const std::vector<double>& direction,
               Index p)
      : grid_(grid),
        sigmas_(sigmas),
        direction_(direction),
        d_(static_cast<Index>(direction.size())),
        p_(p) {}

  void add(const Interval& interval) {
    if (open_ && belongs(interval)) {
      append(interval);
      return;
    }
    close();
    start(interval);
  }

  void close() {
    if (!open_) return;
    open_ = false;
    finish();
    // A function that comes back to an earlier piece (beyond a bump) makes no new one.
    for (UniformPiece& other : pieces_) {
      if (!same(other)) continue;
      if (piece_.count > other.count) {
        std::swap(other.gradient, piece_.gradient);
        std::swap(other.bias, piece_.bias);
        std::swap(other.gradient_noise, piece_.gradient_noise);
        std::swap(other.bias_noise, piece_.bias_noise);
      }
      other.count += piece_.count;
      other.last = piece_.last;
      other.last_value = piece_.last_value;
      return;
    }
    pieces_.push_back(std::move(piece_));
  }

  std::vector<UniformPiece> take() { return std::move(pieces_); }

 private:
  double gradient_sigma(double sigma) const { return std::sqrt(2.0) * sigma / grid_.step; }

  double bias_sigma(double sigma, double t) const {
    return std::hypot(sigma, t * sigma / (std::sqrt(2.0) * grid_.bias_half));
  }

  /// |a - b| over all outputs within `sigmas` times its standard deviation, for gradients and for
  /// intercepts.
  bool equal(const double* gradient_a, const double* gradient_b, const double* bias_a,
             const double* bias_b, const std::vector<double>& gradient_noise,
             const std::vector<double>& bias_noise) const {
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      double square = 0;
      for (Index i = o * d_; i < (o + 1) * d_; ++i) {
        const double difference = gradient_a[i] - gradient_b[i];
        square += difference * difference;
      }
      const double allowed = sigmas_ * gradient_noise[oo] * std::sqrt(static_cast<double>(d_));
      if (!(std::sqrt(square) <= allowed)) return false;
      if (!(std::abs(bias_a[o] - bias_b[o]) <= sigmas_ * bias_noise[oo])) return false;
    }
    return true;
  }

  bool belongs(const Interval& interval) const {
    const double more = std::sqrt(1 + 1 / static_cast<double>(piece_.count));
    std::vector<double> gradient_noise;
    std::vector<double> bias_noise;
    for (const double sigma : interval.sigma) {
      gradient_noise.push_back(gradient_sigma(sigma) * more);
      bias_noise.push_back(bias_sigma(sigma, interval.t) * more);
    }
    return equal(interval.gradient, piece_.gradient.data(), interval.bias, piece_.bias.data(),
                 gradient_noise, bias_noise);
  }

  bool same(const UniformPiece& other) const {
    std::vector<double> gradient_noise;
    std::vector<double> bias_noise;
    for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
      gradient_noise.push_back(std::hypot(other.gradient_noise[o], piece_.gradient_noise[o]));
      bias_noise.push_back(std::hypot(other.bias_noise[o], piece_.bias_noise[o]));
    }
    return equal(other.gradient.data(), piece_.gradient.data(), other.bias.data(),
                 piece_.bias.data(), gradient_noise, bias_noise);
  }

  void start(const Interval& interval) {
    open_ = true;
    const auto p = static_cast<std::size_t>(p_);
    piece_ = UniformPiece();
    piece_.first = interval.t;
    piece_.first_value.assign(interval.value, interval.value + p_);
    piece_.gradient = HostMatrix(p_, d_);
    piece_.bias.assign(p, 0.0);
    mean_t_ = 0;
    spread_t_ = 0;
    mean_value_.assign(p, 0.0);
    product_.assign(p, 0.0);
    mean_slope_.assign(p, 0.0);
    largest_sigma_.assign(p, 0.0);
    append(interval);
  }

  void append(const Interval& interval) {
    const double share = 1 / static_cast<double>(++piece_.count);
    piece_.last = interval.t;
    piece_.last_value.assign(interval.value, interval.value + p_);
    for (Index i = 0; i < p_ * d_; ++i) {
      double& mean = piece_.gradient.data()[i];
      mean += share * (interval.gradient[i] - mean);
    }
    const double before = interval.t - mean_t_;
    mean_t_ += share * before;
    spread_t_ += before * (interval.t - mean_t_);
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      piece_.bias[oo] += share * (interval.bias[o] - piece_.bias[oo]);
      mean_value_[oo] += share * (interval.value[o] - mean_value_[oo]);
      product_[oo] += before * (interval.value[o] - mean_value_[oo]);
      mean_slope_[oo] += share * (interval.slope[o] - mean_slope_[oo]);
      largest_sigma_[oo] = std::max(largest_sigma_[oo], interval.sigma[oo]);
    }
  }

  /// The line through all midpoints of the piece says more about slope and intercept than the
  /// intervals one by one: it is get_bias on one long interval.
  void finish() {
    const auto n = static_cast<double>(piece_.count);
    const double short_share = 1 / (std::sqrt(2.0 * n) * grid_.bias_half);
    const bool long_line = spread_t_ > 0 && 1 / std::sqrt(spread_t_) < short_share;
    const double slope_share = long_line ? 1 / std::sqrt(spread_t_) : short_share;
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      const double slope = long_line ? product_[oo] / spread_t_ : mean_slope_[oo];
      const double change = slope - mean_slope_[oo];
      for (Index i = 0; i < d_; ++i) {
        piece_.gradient(o, i) += change * direction_[static_cast<std::size_t>(i)];
      }
      piece_.bias[oo] = mean_value_[oo] - slope * mean_t_;
      const double sigma = largest_sigma_[oo];
      piece_.gradient_noise.push_back(gradient_sigma(sigma) / std::sqrt(n));
      piece_.bias_noise.push_back(std::hypot(sigma / std::sqrt(n), mean_t_ * slope_share * sigma));
    }
  }

  const UniformGrid& grid_;
  double sigmas_;
  const std::vector<double>& direction_;
  Index d_;
  Index p_;
  bool open_ = false;
  UniformPiece piece_;
  // Of the midpoints and values of the open piece (Welford)
  double mean_t_ = 0;
  double spread_t_ = 0;
  std::vector<double> mean_value_;
  std::vector<double> product_;
  std::vector<double> mean_slope_;
  std::vector<double> largest_sigma_;
  std::vector<UniformPiece> pieces_;
};

}  // namespace crease
