// What a polish asks: centres that were fits, new fans, points beside hyperplanes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/mirrored.hpp"
#include "src/stages/polisher.hpp"

namespace crease {
namespace {

constexpr double kBesideRoom = 0.25;  // ... so far from it, in units of its room ...
constexpr double kBesideFar = 1e-4;   // ... and of rho, at most
constexpr Index kPairsForEach = 2;    // pairs of new points for each neuron's bias
constexpr Index kLevelPoints = 8192;  // of what was paid for, nearest the origin, at most

}  // namespace

/// Those nearest the origin: of one that is far out, errors of the weights are seen instead.
void Polisher::take_points(const Paid& paid) {
  const HostMatrix& x = paid.points();
  std::vector<std::pair<double, Index>> order;
  for (Index i = 0; i < x.rows(); ++i) order.emplace_back(dot(x.row(i), x.row(i), d_), i);
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), static_cast<std::size_t>(kLevelPoints)));
  for (const auto& [square, i] : order) {
    x_.append_row(x.row(i), d_);
    y_.append_row(paid.answers().row(i), p_);
  }
}

void Polisher::ask_points(const HostMatrix& x) {
  const HostMatrix y = download(device_, asker_.points(upload(device_, x)));
  for (Index i = 0; i < x.rows(); ++i) {
    x_.append_row(x.row(i), d_);
    y_.append_row(y.row(i), p_);
  }
}

/// Where the centre of a fan is the fit of a line: one query against an error that all its
/// directions share. Fans that the queries do not reach are left out.
void Polisher::ask_fitted_centers() {
  HostMatrix centers(0, d_);
  for (const PaidFan*& fan : fans_) {
    if (fan->center_asked) continue;
    if (centers.rows() + kCheckPoints + kMirroredPoints < asker_.left()) {
      centers.append_row(fan->center.data(), d_);
      own_fans_.push_back(*fan);
      own_fans_.back().center_asked = true;
      fan = &own_fans_.back();
    } else {
      fan = nullptr;
    }
  }
  std::erase(fans_, nullptr);
  if (centers.rows() == 0) return;
  const Index first = y_.rows();
  ask_points(centers);
  for (std::size_t i = 0; i < own_fans_.size(); ++i) {
    const double* answer = y_.row(first + static_cast<Index>(i));
    own_fans_[i].center_answer.assign(answer, answer + p_);
  }
}

void Polisher::ask_part(std::vector<WantedFan>& wanted, std::size_t first, std::size_t end,
                        Round round) {
  HostMatrix centers(0, d_);
  HostMatrix steps(0, d_);
  for (std::size_t m = first; m < end; ++m) {
    centers.append_row(wanted[m].center.data(), d_);
    steps.append_row(wanted[m].steps.data(), d_);
  }
  const DeviceMatrix centers_on_device = upload(device_, centers);
  const DeviceMatrix directions = upload(device_, *wanted[first].directions);
  const DeviceMatrix answers =
      asker_.fan({centers_on_device, directions, upload(device_, steps)}, round);
  const HostMatrix values = download(device_, answers);
  // The centres, from both sides: an oracle that knows fans rounds these as it does the others.
  HostMatrix around(0, d_);
  HostMatrix aside(steps.rows(), 2 * beside_);
  for (Index j = 0; j < 2 * beside_; ++j) {
    around.append_row(wanted[first].directions->row(j / 2), d_);
    for (Index m = 0; m < aside.rows(); ++m) {
      const std::vector<double>& center = wanted[first + static_cast<std::size_t>(m)].center;
      const double step = std::min(kBesideRoom * wanted[first + static_cast<std::size_t>(m)].room,
                                   kBesideFar * std::sqrt(1 + dot(center, center)));
      aside(m, j) = j % 2 == 0 ? step : -step;
    }
  }
  const DeviceMatrix near =
      asker_.fan({centers_on_device, upload(device_, around), upload(device_, aside)}, Round::same);
  const HostMatrix middles = download(device_, near);
  for (std::size_t m = first; m < end; ++m) {
    const auto i = static_cast<Index>(m - first);
    PaidFan fan;
    fan.center = wanted[m].center;
    fan.directions = wanted[m].directions;
    fan.steps = wanted[m].steps;
    fan.answers = HostMatrix(d_, p_);
    std::copy_n(values.row(i * d_), d_ * p_, fan.answers.data());
    fan.center_answer.assign(static_cast<std::size_t>(p_), 0.0);
    const auto count = static_cast<double>(2 * beside_);
    for (Index j = 0; j < 2 * beside_; ++j) {
      for (Index o = 0; o < p_; ++o) {
        // Differences from the first are exact: their mean is rounded once.
        fan.center_answer[static_cast<std::size_t>(o)] +=
            (middles(i * 2 * beside_ + j, o) - middles(i * 2 * beside_, o)) / count;
      }
    }
    for (Index o = 0; o < p_; ++o) {
      fan.center_answer[static_cast<std::size_t>(o)] += middles(i * 2 * beside_, o);
    }
    const double rho = std::sqrt(1 + dot(fan.center, fan.center));
    for (Index o = 0; o < p_; ++o) {
      fan.center_noise.push_back(noise_.sigma(rho, o) / std::sqrt(count));
    }
    x_.append_row(fan.center.data(), d_);
    y_.append_row(fan.center_answer.data(), p_);
    own_fans_.push_back(std::move(fan));
    fans_.push_back(&own_fans_.back());
  }
}

/// One round: what shares directions, as far as memory goes, is one batch.
void Polisher::ask_fans(std::vector<WantedFan> wanted) {
  if (wanted.empty()) return;
  std::stable_partition(wanted.begin(), wanted.end(),
                        [&](const WantedFan& fan) { return fan.directions == directions_; });
  const auto most = static_cast<std::size_t>(asker_.rows_at_once(d_ * (p_ + 1)));
  Round round = Round::next;
  for (std::size_t first = 0; first < wanted.size();) {
    std::size_t end = first + 1;
    while (end < wanted.size() && end - first < most &&
           wanted[end].directions == wanted[first].directions) {
      ++end;
    }
    ask_part(wanted, first, end, round);
    round = Round::same;
    first = end;
  }
  result_.report.fans += static_cast<Index>(wanted.size());
}

void Polisher::ask_levels() {
  const Index allowed = (asker_.left() - std::min(asker_.left(), kCheckPoints)) / 2;
  const Index most =
      std::min(kPairsForEach * k_ - static_cast<Index>(level_pairs_.neuron.size()), allowed);
  if (most < 1) {
    short_of_queries_ = short_of_queries_ || allowed == 0;
    return;
  }
  std::vector<double> wanted = wanted_;
  std::fill(wanted.begin() + k_, wanted.end(), std::numeric_limits<double>::infinity());
  const LevelPairs chosen =
      choose_levels(device_, random_, network_.hypothesis(start_), network_, noise_,
                    gradient_covariance_, levels_->covariance(), wanted, most);
  if (chosen.neuron.empty()) return;
  const HostMatrix y = download(device_, asker_.points(upload(device_, chosen.x)));
  for (Index r = 0; r < chosen.x.rows(); ++r) {
    level_pairs_.x.append_row(chosen.x.row(r), d_);
    level_pairs_.y.append_row(y.row(r), p_);
  }
  level_pairs_.neuron.insert(level_pairs_.neuron.end(), chosen.neuron.begin(), chosen.neuron.end());
  result_.report.levels += chosen.x.rows();
}

}  // namespace crease
