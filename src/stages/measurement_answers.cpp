// What a measurement takes from its answers besides gradients: centres, what was paid for, told
// noise.
#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/measurement.hpp"

namespace crease {

/// The fit of a whole piece of the residual drifts over known hyperplanes, and answers along a line
/// may be off from those at points by more than either is by chance: the centre is asked.
void Measurement::ask_centers(const std::vector<std::size_t>& todo) {
  std::vector<std::size_t> fresh;
  HostMatrix points(0, d_);
  for (const std::size_t m : todo) {
    if (center_asked_[m]) continue;
    center_asked_[m] = true;
    fresh.push_back(m);
    points.append_row(line_.point(pieces_.t[m]).data(), d_);
  }
  if (fresh.empty()) return;
  const DeviceMatrix x = upload(device_, points);
  HostMatrix sigmas;
  DeviceMatrix values = asker_.points(x, Round::same, &sigmas);
  if (asker_.paid() != nullptr) {
    const HostMatrix answers = download(device_, values);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      std::copy_n(answers.row(static_cast<Index>(i)), p_,
                  center_answers_.row(static_cast<Index>(fresh[i])));
    }
  }
  DeviceMatrix known(device_, x.rows(), p_);
  current_->evaluate(x, known);
  subtract(device_, known, values);
  const HostMatrix residuals = download(device_, values);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    for (Index o = 0; o < sigmas.cols(); ++o) {
      const double sigma =
          sigmas(static_cast<Index>(i), o) / pieces_.scale[static_cast<std::size_t>(o)];
      if (std::isinf(sigma)) {
        center_silent_[fresh[i]] = true;
      } else {
        pieces_.noise[fresh[i]] = std::max(pieces_.noise[fresh[i]], sigma);
      }
    }
    for (Index o = 0; o < p_; ++o) {
      pieces_.values(static_cast<Index>(fresh[i]), o) = residuals(static_cast<Index>(i), o);
    }
  }
}

void Measurement::keep_paid(const FanAnswers& fan, const HostMatrix& centers,
                            ConstDeviceView answers) {
  for (std::size_t i = 0; i < fan.todo.size(); ++i) {
    const auto row = static_cast<Index>(i);
    const auto m = static_cast<Index>(fan.todo[i]);
    PaidFan paid;
    paid.center.assign(centers.row(row), centers.row(row) + d_);
    paid.directions = paid_basis_;
    paid.steps.assign(fan.steps.row(row), fan.steps.row(row) + d_);
    paid.answers = download(device_, answers.row_block(row * d_, d_));
    const HostMatrix& middle = line_.of_residual ? center_answers_ : pieces_.values;
    paid.center_answer.assign(middle.row(m), middle.row(m) + p_);
    for (Index o = 0; o < p_; ++o) {
      paid.center_noise.push_back(noise_.sigma(line_.rho(pieces_.t[fan.todo[i]]), o));
    }
    paid.center_asked = line_.of_residual;
    asker_.paid()->add_fan(std::move(paid));
  }
}

bool Measurement::take_noise(const HostMatrix& sigmas, Index i, double expected,
                             FanAnswers& fan) const {
  const std::size_t m = fan.todo[static_cast<std::size_t>(i)];
  if (center_silent_[m]) return false;
  const auto more_than_expected = [&](double noise) {
    return std::max(0.0, noise * noise - expected * expected);
  };
  for (Index j = 0; j < d_ && !sigmas.empty(); ++j) {
    double worst = 0;
    for (Index o = 0; o < p_; ++o) {
      worst = std::max(worst, sigmas(i * d_ + j, o) / pieces_.scale[static_cast<std::size_t>(o)]);
    }
    if (std::isinf(worst)) return false;
    const double more = more_than_expected(worst) + more_than_expected(pieces_.noise[m]);
    fan.noise(i, j) = std::hypot(fan.noise(i, j), std::sqrt(more) / std::abs(fan.steps(i, j)));
  }
  return true;
}

}  // namespace crease
