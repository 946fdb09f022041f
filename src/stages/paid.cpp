// What was paid for.
#include "src/stages/paid.hpp"

#include <cmath>
#include <utility>

#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kReach = 6;  // in units of sqrt(d), and as much again for small d

}  // namespace

Paid::Paid(Index inputs, Index outputs, Index most_bytes)
    : inputs_(inputs),
      outputs_(outputs),
      most_bytes_(most_bytes),
      reach_(kReach * std::sqrt(static_cast<double>(inputs)) + kReach),
      points_(0, inputs),
      answers_(0, outputs) {}

Index Paid::point_bytes() const {
  return (points_.size() + answers_.size()) * kDoubleBytes;
}

void Paid::add_fan(PaidFan fan) {
  const auto d = static_cast<std::size_t>(inputs_);
  const auto p = static_cast<std::size_t>(outputs_);
  require(fan.directions != nullptr && fan.center.size() == d &&
              fan.directions->cols() == inputs_ &&
              static_cast<Index>(fan.steps.size()) == fan.directions->rows() &&
              fan.answers.rows() == fan.directions->rows() && fan.answers.cols() == outputs_ &&
              fan.center_answer.size() == p && fan.center_noise.size() == p,
          "a paid fan has parts of different shapes");
  const bool counted = last_directions_.lock() == fan.directions;
  const Index bytes = (inputs_ + fan.answers.size() + static_cast<Index>(fan.steps.size()) +
                       (counted ? 0 : fan.directions->size())) *
                      kDoubleBytes;
  if (fan_bytes_ + bytes > most_bytes_) {
    ++dropped_fans_;
    return;
  }
  if (fan_bytes_ + bytes + point_bytes() > most_bytes_) {
    dropped_points_ += points_.rows();
    points_ = HostMatrix(0, inputs_);
    answers_ = HostMatrix(0, outputs_);
  }
  last_directions_ = fan.directions;
  fan_bytes_ += bytes;
  fans_.push_back(std::move(fan));
}

void Paid::add_points(ConstHostView x, ConstHostView y) {
  require(x.cols == inputs_ && y.cols == outputs_ && x.rows == y.rows,
          "paid points have answers of another shape");
  for (Index i = 0; i < x.rows; ++i) {
    const double* point = x.data + i * x.ld;
    if (!(dot(point, point, inputs_) <= reach_ * reach_)) continue;
    if (bytes() + (inputs_ + outputs_) * kDoubleBytes > most_bytes_) {
      ++dropped_points_;
      continue;
    }
    points_.append_row(point, inputs_);
    answers_.append_row(y.data + i * y.ld, outputs_);
  }
}

}  // namespace crease
