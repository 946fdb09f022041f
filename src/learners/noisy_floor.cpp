// What noise leaves: its size by the rows, floors, and what a fit may ask.
#include <algorithm>
#include <cmath>

#include "src/learners/noisy_learner.hpp"
#include "src/stages/answer_formats.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kLeastFree = 0.4;  // of the equations: free of unknowns, to tell the noise by them
constexpr double kQuieter = 0.85;   // less is no chance
constexpr double kSilent = 0.5;     // deviation of a constant output's answers, in units: no noise
constexpr double kOtherNoise = 2;   // noise inside pieces beyond this times the model's counts
constexpr Index kMoreRows = 200;
// The cap of a network of few parameters: what noise, lines and held-out points take whatever the
// width.
constexpr Index kFewParameters = 120;
constexpr Index kFewCap = 6500;

}  // namespace

double NoisyLearner::unknowns(Index neurons) const {
  const auto k = static_cast<double>(neurons);
  const auto d = static_cast<double>(d_);
  const auto p = static_cast<double>(p_);
  return k * (d + p) + p * (d + 1);
}

/// Rms of the fit's own error over the noise of an answer: sqrt(unknowns / (equations - unknowns)).
double NoisyLearner::fit_error(Index neurons) const {
  const double u = unknowns(neurons);
  const double equations = static_cast<double>(rows_.size()) * static_cast<double>(noisy_outputs_);
  return std::sqrt(u / std::max(equations - u, 1.0));
}

Index NoisyLearner::rows_for(Index neurons, double share) const {
  const double shared = unknowns(neurons) / static_cast<double>(noisy_outputs_);
  const auto own = static_cast<double>(neurons + d_ + 1);  // of one output's scales
  return static_cast<Index>(share * std::max(shared, own)) + kMoreRows;
}

Index NoisyLearner::query_cap(Index neurons) const {
  const Index parameters = std::max<Index>(neurons, 1) * (d_ + 1);
  if (parameters < kFewParameters) return kFewCap;
  return static_cast<Index>(run_.plan.noisy_queries * static_cast<double>(parameters));
}

/// Once there is a network: what the budget and the cap leave.
Index NoisyLearner::may_ask() const {
  const Index cap = query_cap(std::max(kinks_, best_.neurons()));
  return std::min(asker_.left(), std::max<Index>(0, cap - asker_.asked()));
}

/// A good fit knows noise better than the few points that measured it, where it is smaller: what is
/// left of the rows holds the noise and all that the network lacks.
void NoisyLearner::take_row_noise() {
  row_noise_ = noise_of_rows();
  const double equations = static_cast<double>(rows_.size()) * static_cast<double>(noisy_outputs_);
  if (equations - unknowns(best_.neurons()) < kLeastFree * equations) return;
  const double left = left_over();
  if (left < kQuieter * row_noise_) row_noise_ = left;
}

double NoisyLearner::left_over() const {
  return rms(rows_, best_) * std::hypot(1.0, fit_error(best_.neurons()));
}

double NoisyLearner::over_noisy_outputs() const {
  return std::sqrt(static_cast<double>(p_) / static_cast<double>(noisy_outputs_));
}

/// An output that is exact, or one that is constant up to its rounding, leaves nothing: counted as
/// if it had noise, it would hide what the others miss.
void NoisyLearner::find_silent_outputs(const std::vector<double>& deviations) {
  noisy_outputs_ = 0;
  for (Index o = 0; o < p_; ++o) {
    const auto oo = static_cast<std::size_t>(o);
    shows_noise_[oo] = deviations[oo] >= kSilent && !is_exact(noise_.model, o);
    noisy_outputs_ += shows_noise_[oo] ? 1 : 0;
  }
  if (noisy_outputs_ > 0) return;
  shows_noise_.assign(shows_noise_.size(), true);
  noisy_outputs_ = p_;
}

/// The format of the answers says less about their noise than they do: a box may compute in single
/// precision inside.
void NoisyLearner::take_noise_ratio(const std::vector<double>& ratio) {
  for (std::size_t o = 0; o < ratio.size(); ++o) {
    if (!(ratio[o] > kOtherNoise)) continue;
    noise_.model.absolute[o] *= ratio[o];
    noise_.model.relative[o] *= ratio[o];
    noise_.sigma[o] *= ratio[o];
    beyond_format_ = true;
  }
}

/// Binary formats round small answers less: how much is known from the few points that measured the
/// noise, and better from all of the rows.
double NoisyLearner::noise_of_rows() const {
  if (beyond_format_) return 1;
  const HostMatrix y = download(device_, rows_.rows().y);
  double square = 0;
  for (Index o = 0; o < p_; ++o) {
    const auto oo = static_cast<std::size_t>(o);
    const std::string& format = noise_.model.format_of(o);
    if (!shows_noise_[oo]) continue;
    double share = 1;
    if (format == "float16" || format == "float32") {
      std::vector<double> answers;
      for (Index i = 0; i < y.rows(); ++i) answers.push_back(y(i, o) * noise_.sigma[oo]);
      share = rounding_rms(answers, format) / noise_.sigma[oo];
    }
    square += share * share / static_cast<double>(noisy_outputs_);
  }
  return std::sqrt(square);
}

/// Whether the network is as good as `share` rows per unknown make it.
bool NoisyLearner::is_at_floor(double share) const {
  if (!is_coarse()) return best_held_out_ <= kAtFloor * floor(best_.neurons());
  // Small neurons are as small as the noise there. More rows were asked to no avail: then the noise
  // is larger than it was measured to be.
  const bool more_rows = share >= kMoreShare * kCoarseShare * run_.plan.noisy_rows;
  return !lacks(more_rows ? kAtFloor : kLacks) &&
         best_held_out_ <= kAtFloor * left_over() * std::hypot(1.0, fit_error(best_.neurons()));
}

}  // namespace crease
