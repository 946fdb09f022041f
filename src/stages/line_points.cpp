// The points of a line search: asking them, their noise, and which triples are straight.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "src/stages/line_scan.hpp"

namespace crease {

void LineSearch::ask_first_grid(const LineSearchInput& input, Random& random) {
  const double end = std::atan(plan_.reach);
  const double cell = 2 * end / cells_;
  for (Index i = 0; i <= input.cells; ++i) {
    const bool inner = i > 0 && i < input.cells;
    const double jitter = inner ? random.uniform(-0.1, 0.1) * cell : 0.0;
    t_.push_back(c_ * std::tan(-end + static_cast<double>(i) * cell + jitter));
  }
  t_.insert(t_.end(), input.extra.begin(), input.extra.end());
  std::sort(t_.begin(), t_.end());
  t_.erase(std::unique(t_.begin(), t_.end()), t_.end());

  LineAnswers answers = ask_(t_);
  enough_ = answers.enough;
  values_ = std::move(answers.values);
  answer_sigmas_ = std::move(answers.sigmas);
  if (told_) keep_stretch(random);
  if (t_.empty()) return;
  measure_slope_range();
  LineAnswers all{std::move(values_), std::move(answer_sigmas_)};
  add_rounding(t_, all);
  values_ = std::move(all.values);
  answer_sigmas_ = std::move(all.sigmas);
}

void LineSearch::measure_slope_range() {
  for (std::size_t o = 0; o < p_; ++o) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    double largest = 0;
    for (std::size_t i = 0; i + 1 < t_.size(); ++i) {
      const double slope = (f(i + 1, o) - f(i, o)) / h(i);
      low = std::min(low, slope);
      high = std::max(high, slope);
    }
    for (std::size_t i = 0; i < t_.size(); ++i) largest = std::max(largest, std::abs(f(i, o)));
    const double steepest = std::max(std::abs(low), std::abs(high));
    slope_range_.push_back(std::max({high - low, 1e-3 * steepest, 1e-6 * largest / c_, 1e-100}));
  }
}

void LineSearch::ask_and_merge(const std::vector<double>& proposals) {
  LineAnswers answers = ask_(proposals);
  enough_ = answers.enough;
  if (!told_) {
    add_rounding(proposals, answers);
    merge_points(proposals, answers);
    return;
  }
  std::vector<double> asked = proposals;
  drop_silent(asked, answers);
  add_rounding(asked, answers);
  merge_points(asked, answers);
}

void LineSearch::add_rounding(const std::vector<double>& t, LineAnswers& answers) const {
  for (std::size_t i = 0; i < t.size(); ++i) {
    for (std::size_t o = 0; o < p_; ++o) {
      double& sigma = answers.sigmas[i * p_ + o];
      sigma = std::hypot(sigma, rounding_floor(t[i], answers.values[i * p_ + o], o));
    }
  }
}

/// Both ascending, no point in both.
void LineSearch::merge_points(const std::vector<double>& proposals, const LineAnswers& answers) {
  const std::size_t old_count = t_.size();
  const std::size_t count = old_count + proposals.size();
  std::vector<double> t(count);
  std::vector<double> values(count * p_);
  std::vector<double> sigmas(count * p_);
  std::size_t a = 0;
  std::size_t b = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool old = b == proposals.size() || (a < old_count && t_[a] < proposals[b]);
    t[i] = old ? t_[a] : proposals[b];
    for (std::size_t o = 0; o < p_; ++o) {
      values[i * p_ + o] = old ? values_[a * p_ + o] : answers.values[b * p_ + o];
      sigmas[i * p_ + o] = old ? answer_sigmas_[a * p_ + o] : answers.sigmas[b * p_ + o];
    }
    old ? ++a : ++b;
  }
  t_ = std::move(t);
  values_ = std::move(values);
  answer_sigmas_ = std::move(sigmas);
}

/// A hyperplane that is known to within an error leaves a step and a bend in the residual where it
/// crosses the line. Without their allowance the search would chase them with thousands of points.
void LineSearch::widen_noise_at_known_crossings() {
  sigmas_ = answer_sigmas_;
  if (known_ == nullptr) return;
  const std::size_t n = t_.size();
  for (std::size_t k = 0; k < known_->t.size(); ++k) {
    const auto after =
        static_cast<std::size_t>(std::lower_bound(t_.begin(), t_.end(), known_->t[k]) - t_.begin());
    const double cell = h(std::min(after == 0 ? 0 : after - 1, n - 2));
    for (const std::size_t i : {after == 0 ? 0 : after - 1, std::min(after, n - 1)}) {
      for (std::size_t o = 0; o < p_; ++o) {
        const double left_over = known_->step[k * p_ + o] + known_->bend[k * p_ + o] * cell;
        sigmas_[i * p_ + o] = std::max(sigmas_[i * p_ + o], left_over);
      }
    }
  }
}

void LineSearch::set_resolution() {
  if (resolution_set_) return;
  resolution_set_ = true;
  scale_.assign(p_, 0);
  excluded_share_.assign(p_, 0);
  smallest_angle_ = std::numeric_limits<double>::infinity();
  for (std::size_t o = 0; o < p_; ++o) {
    std::vector<double> relative(t_.size());
    for (std::size_t i = 0; i < t_.size(); ++i) relative[i] = answer_sigmas_[i * p_ + o] / rho(i);
    const double noise = median(std::move(relative));
    // A triple of the first grid must be able to count as evidence.
    slope_range_[o] = std::max(slope_range_[o], 50 * plan_.sigmas * cells_ * noise);
    excluded_share_[o] = std::clamp(
        2 * plan_.sigmas * noise / (slope_range_[o] * plan_.angle_resolution), 1e-4, 3e-2);
    smallest_angle_ = std::min(smallest_angle_,
                               2 * plan_.sigmas * noise / (excluded_share_[o] * slope_range_[o]));
    scale_[o] = noise * c_;
  }
}

/// The slope range comes from the first grid, where a function may be zero almost everywhere: it
/// grows with what refinement uncovers, or real kinks would be taken for clusters.
bool LineSearch::slope_range_grew() {
  bool grew = false;
  for (std::size_t o = 0; o < p_; ++o) {
    double low = 0;
    double high = 0;
    for (std::size_t i = 0; i + 1 < t_.size(); ++i) {
      const double rise = f(i + 1, o) - f(i, o);
      if (std::abs(rise) <= 100 * plan_.sigmas * (s(i, o) + s(i + 1, o))) continue;
      low = std::min(low, rise / h(i));
      high = std::max(high, rise / h(i));
    }
    if (high - low > 2 * slope_range_[o]) {
      slope_range_[o] = high - low;
      grew = true;
    }
  }
  return grew;
}

/// After ten rounds, many cells far smaller than the first ones of which nearly all are bent are
/// not kinks.
bool LineSearch::noise_was_underestimated() {
  std::vector<std::size_t> tiny;
  Index bent = 0;
  for (std::size_t i = 1; i + 1 < t_.size(); ++i) {
    if (angle(t_[i - 1], t_[i + 1]) >= 4e-3 * std::numbers::pi / cells_) continue;
    tiny.push_back(i);
    bent += bent_[i] ? 1 : 0;
  }
  const auto count = static_cast<double>(tiny.size());
  if (count <= std::max(100.0, 2 * cells_) || static_cast<double>(bent) <= 0.8 * count)
    return false;
  for (std::size_t o = 0; o < p_; ++o) {
    std::vector<double> deviations;
    for (const std::size_t i : tiny) {
      const double h1 = h(i - 1);
      const double h2 = h(i);
      const double bend = f(i, o) - (h2 * f(i - 1, o) + h1 * f(i + 1, o)) / (h1 + h2);
      deviations.push_back(std::abs(bend) / rho(i));
    }
    const double level = median(std::move(deviations));
    for (std::size_t i = 0; i < t_.size(); ++i) {
      double& sigma = answer_sigmas_[i * p_ + o];
      sigma = std::max(sigma, 0.3 * level * rho(i));
    }
  }
  return true;
}

Bend LineSearch::bend(std::size_t i, std::size_t o) const {
  const double h1 = h(i - 1);
  const double h2 = h(i);
  const double w1 = h2 / (h1 + h2);
  const double w2 = h1 / (h1 + h2);
  return {f(i, o) - (w1 * f(i - 1, o) + w2 * f(i + 1, o)),
          std::sqrt(s(i, o) * s(i, o) + w1 * w1 * s(i - 1, o) * s(i - 1, o) +
                    w2 * w2 * s(i + 1, o) * s(i + 1, o))};
}

void LineSearch::test_triples() {
  const std::size_t n = t_.size();
  bent_.assign(n, false);
  straight_.assign(n, false);
  for (std::size_t i = 1; i + 1 < n; ++i) {
    bool strong = true;
    for (std::size_t o = 0; o < p_; ++o) {
      const auto [deviation, sd] = bend(i, o);
      if (std::abs(deviation) > plan_.sigmas * sd) bent_[i] = true;
      strong = strong && plan_.sigmas * sd * (1 / h(i - 1) + 1 / h(i)) <=
                             excluded_share_[o] * slope_range_[o] * c_ / rho(i);
    }
    straight_[i] = strong && !bent_[i];
  }
}

}  // namespace crease
