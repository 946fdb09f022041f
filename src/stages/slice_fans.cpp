// Fans in chosen cells of a slice.
#include "src/stages/slice_fans.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/paid.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kUnlike = 20;       // standard deviations that a gradient may differ by ...
constexpr int kRetries = 3;          // ... before it is asked again with ...
constexpr double kSmaller = -0.25;   // ... this times its step
constexpr double kMostUnlike = 0.1;  // of all gradients, after the first retry
constexpr double kMostUnlikeAtOnce = 1.0 / 3;
constexpr Index kMirrored = 16;      // points that measure the noise ...
constexpr Index kLeastMirrored = 4;  // ... of which so many must lie in one cell with their mirror
constexpr double kUnknownNoise = 3;  // ratio where they do not
constexpr double kNoiseMargin = 1.2;
constexpr double kLeastNoise = 0.1;

double length(const double* row, Index n) {
  return std::sqrt(dot(row, row, n));
}

}  // namespace

SliceFans::SliceFans(Asker& asker, Random& random, const Hypothesis& traces, const Slice& slice,
                     const NoiseModel& noise, LiftCells cells)
    : asker_(asker),
      device_(asker.device()),
      traces_(traces),
      slice_(slice),
      noise_(noise),
      cells_(std::move(cells)),
      d_(asker.inputs()),
      p_(asker.outputs()),
      k_(traces.neurons()),
      m_(traces.inputs),
      patterns_(patterns(traces, cells_.above)),
      frame_(upload(device_, slice.frame)) {
  for (Index j = 0; j < k_; ++j) trace_.push_back(length(traces.scales.row(j), p_));
  basis_ = random.gaussian_points(device_, Stream::directions, d_, d_);
  orthonormal_rows(device_, basis_);
  directions_ = download(device_, basis_);
}

void SliceFans::ask() {
  centers_ = product(device_, cells_.centers, Transpose::no, frame_, Transpose::no);
  steps_ = HostMatrix(size(), d_);
  answers_ = HostMatrix(size() * d_, p_);
  gradients_ = HostMatrix(size() * p_, d_);
  center_answers_ = download(device_, asker_.points(upload(device_, centers_)));
  std::vector<Index> all;
  for (Index c = 0; c < size(); ++c) all.push_back(c);
  ask_fans(all, Round::same);
}

void SliceFans::ask_fans(const std::vector<Index>& which, Round round) {
  const auto chunk = static_cast<std::size_t>(asker_.rows_at_once(3 * d_ * p_ + 2 * d_));
  for (std::size_t first = 0; first < which.size(); first += chunk) {
    const std::size_t count = std::min(chunk, which.size() - first);
    HostMatrix centers(0, d_);
    HostMatrix middle(0, p_);
    HostMatrix steps(static_cast<Index>(count), d_);
    for (std::size_t i = 0; i < count; ++i) {
      const Index c = which[first + i];
      centers.append_row(centers_.row(c), d_);
      middle.append_row(center_answers_.row(c), p_);
      std::fill_n(steps.row(static_cast<Index>(i)), d_, cells_.step[static_cast<std::size_t>(c)]);
    }
    const DeviceMatrix centers_there = upload(device_, centers);
    const DeviceMatrix steps_there = upload(device_, steps);
    const DeviceMatrix values =
        asker_.fan({centers_there, basis_, steps_there}, first == 0 ? round : Round::same);
    DeviceMatrix differences(device_, centers.rows() * p_, d_);
    divided_differences(device_, values, upload(device_, middle), steps_there, differences);
    DeviceMatrix gradients(device_, centers.rows() * p_, d_);
    multiply(device_, differences, Transpose::no, basis_, Transpose::no, 1.0, 0.0, gradients);
    const HostMatrix got = download(device_, gradients);
    const HostMatrix answers = download(device_, values);
    for (std::size_t i = 0; i < count; ++i) {
      const Index c = which[first + i];
      const auto from = static_cast<Index>(i);
      std::copy_n(steps.row(from), d_, steps_.row(c));
      std::copy_n(answers.row(from * d_), d_ * p_, answers_.row(c * d_));
      std::copy_n(got.row(from * p_), p_ * d_, gradients_.row(c * p_));
    }
  }
  asker_.report();
}

void SliceFans::keep() const {
  if (asker_.paid() == nullptr) return;
  const auto directions = std::make_shared<const HostMatrix>(directions_);
  for (Index c = 0; c < size(); ++c) {
    PaidFan paid;
    paid.center.assign(centers_.row(c), centers_.row(c) + d_);
    paid.directions = directions;
    paid.steps.assign(steps_.row(c), steps_.row(c) + d_);
    paid.answers = HostMatrix(d_, p_);
    std::copy_n(answers_.row(c * d_), d_ * p_, paid.answers.data());
    paid.center_answer.assign(center_answers_.row(c), center_answers_.row(c) + p_);
    for (Index o = 0; o < p_; ++o) paid.center_noise.push_back(noise_.sigma(rho(c), o));
    asker_.paid()->add_fan(std::move(paid));
  }
}

double SliceFans::rho(Index c) const {
  return std::hypot(1.0, length(centers_.row(c), d_));
}

/// What the slice says of gradients within it, and how exactly.
bool SliceFans::like_slice(Index c, const HostMatrix& seen, const HostMatrix& expected) const {
  for (Index o = 0; o < p_; ++o) {
    const double* pattern = patterns_.row(c * p_ + o);
    const double of_piece = traces_.gradient_noise[static_cast<std::size_t>(o)];
    double square = of_piece * of_piece;
    for (Index j = 0; j < k_; ++j) {
      const auto jj = static_cast<std::size_t>(j);
      const double error = pattern[j] * traces_.normal_error[jj] * trace_[jj];
      square += error * error;
    }
    const double known = std::sqrt(square) + sigma(c, o) * slice_.stretch;
    const double tolerance = kUnlike * std::sqrt(static_cast<double>(m_)) * known;
    for (Index i = 0; i < m_; ++i) {
      if (!(std::abs(seen(c * p_ + o, i) - expected(c * p_ + o, i)) <= tolerance)) return false;
    }
  }
  return true;
}

std::string SliceFans::hold_against_slice() {
  HostMatrix unknown(0, m_);
  for (Index j = 0; j < k_; ++j) {
    std::vector<double> w(traces_.normals.row(j), traces_.normals.row(j) + m_);
    for (double& value : w) value *= trace_[static_cast<std::size_t>(j)];
    unknown.append_row(w.data(), m_);
  }
  for (Index o = 0; o < p_; ++o) unknown.append_row(traces_.gradient.row(o), m_);
  const HostMatrix expected = product(device_, patterns_, Transpose::no, unknown, Transpose::no);
  for (int attempt = 0;; ++attempt) {
    const HostMatrix seen = product(device_, gradients_, Transpose::no, frame_, Transpose::yes);
    std::vector<Index> unlike;
    for (Index c = 0; c < size(); ++c) {
      if (!like_slice(c, seen, expected)) unlike.push_back(c);
    }
    if (unlike.empty()) return {};
    const double share = attempt == 0 ? kMostUnlikeAtOnce : kMostUnlike;
    const double most = std::max(1.0, share * static_cast<double>(size()));
    if (attempt == kRetries || static_cast<double>(unlike.size()) > most) {
      return std::to_string(unlike.size()) + " of " + std::to_string(size()) +
             " gradients are unlike those of the slice";
    }
    for (const Index c : unlike) cells_.step[static_cast<std::size_t>(c)] *= kSmaller;
    ask_fans(unlike, Round::next);
  }
}

double SliceFans::measured_noise(Random& random, const HostMatrix& w) {
  HostMatrix mirrored(0, d_);
  std::vector<std::pair<Index, Index>> fine;  // cell, direction
  for (Index i = 0; i < kMirrored; ++i) {
    const auto c = std::min(size() - 1,
                            static_cast<Index>(random.uniform(0, 1) * static_cast<double>(size())));
    const auto l =
        std::min(d_ - 1, static_cast<Index>(random.uniform(0, 1) * static_cast<double>(d_)));
    const double step = steps_(c, l);
    const double* direction = directions_.row(l);
    std::vector<double> x(centers_.row(c), centers_.row(c) + d_);
    for (Index e = 0; e < d_; ++e) x[static_cast<std::size_t>(e)] -= step * direction[e];
    bool inside = true;
    for (Index j = 0; j < k_ && inside; ++j) {
      const double height = this->height(c, j);
      inside = std::abs(step * dot(w.row(j), direction, d_)) < std::abs(height);
    }
    if (!inside) continue;
    fine.emplace_back(c, l);
    mirrored.append_row(x.data(), d_);
  }
  if (static_cast<Index>(fine.size()) < kLeastMirrored) return kUnknownNoise;
  const HostMatrix answers = download(device_, asker_.points(upload(device_, mirrored)));
  double sum = 0;
  for (std::size_t i = 0; i < fine.size(); ++i) {
    const auto [c, l] = fine[i];
    for (Index o = 0; o < p_; ++o) {
      const double bend =
          answers_(c * d_ + l, o) + answers(static_cast<Index>(i), o) - 2 * center_answers_(c, o);
      const double ratio = bend / std::sqrt(6.0) / std::max(noise_.sigma(rho(c), o), 1e-300);
      sum += ratio * ratio;
    }
  }
  return std::max(kNoiseMargin * std::sqrt(sum / static_cast<double>(answers.size())), kLeastNoise);
}

}  // namespace crease
