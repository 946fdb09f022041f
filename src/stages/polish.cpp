// Polish: a network whose neurons are all known, made as exact as the answers allow.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/mirrored.hpp"
#include "src/stages/polisher.hpp"

namespace crease {
namespace {

constexpr double kSafety = 5;   // the largest of k d errors, in standard deviations
constexpr double kPriors = 64;  // times what is known, so that it hardly weighs
constexpr double kLeastWeightPrior = 1e-14;
constexpr double kLeastLevelPrior = 1e-13;
constexpr double kLeastOffsetError = 1e-15;
constexpr double kMostFans = 1.05;  // of the unknowns of one input
constexpr Index kRounds = 3;
constexpr Index kSweeps = 4;
constexpr double kSettled = 0.02;  // of the smallest standard deviation: nothing left to sweep

double largest(const std::vector<double>& values) {
  return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
}

}  // namespace

void Polisher::set_targets(double tolerance) {
  double longest = 1;
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double size = network_.size(i);
    longest = std::max(longest, size);
    wanted_.push_back(std::min(tolerance, std::max(tolerance * size, kFloor)) / kSafety);
    weight_prior_.push_back(kPriors * std::max(network_.weight_error[ii], kLeastWeightPrior));
    level_prior_.push_back(kPriors * std::max(network_.offset_error[ii], kLeastLevelPrior));
  }
  const double widest = std::max({largest(weight_prior_), kPriors * kLeastWeightPrior,
                                  kPriors * largest(start_.gradient_noise)});
  const double highest = std::max(largest(level_prior_), kPriors * kLeastLevelPrior);
  for (Index o = 0; o < p_; ++o) {
    wanted_.push_back(tolerance * longest / kSafety);
    weight_prior_.push_back(widest);
    level_prior_.push_back(std::max(highest, widest * std::sqrt(static_cast<double>(d_))));
  }
}

/// Gradients and levels in turn: each is linear while the other stays.
void Polisher::solve(FanDesign& design) {
  const std::vector<FanRows> rows = fan_rows(device_, network_, noise_, fans_);
  GradientFit gradients(device_, network_, rows, weight_prior_, asker_.scratch_bytes());
  levels_.reset();
  for (Index sweep = 0; sweep < kSweeps; ++sweep) {
    const double change = gradients.sweep(network_);
    gradient_covariance_ = gradients.covariance();
    if (!levels_) {
      const auto fit = [&] {
        levels_.emplace(device_, network_, network_.hypothesis(start_), noise_,
                        gradient_covariance_, level_prior_, x_, y_, level_pairs_);
      };
      fit();
      const std::size_t before = level_pairs_.neuron.size();
      ask_levels();
      if (level_pairs_.neuron.size() > before) fit();
    }
    levels_->sweep(network_);
    double least = std::numeric_limits<double>::infinity();
    for (Index i = 0; i < k_; ++i) least = std::min(least, gradient_covariance_(i, i));
    if (sweep > 0 && change <= kSettled * std::sqrt(std::max(least, 0.0))) break;
  }
  turns_outputs_ = k_ == 0 || p_ == 1 || gradients.turns();
  turn_error_.assign(static_cast<std::size_t>(k_), 0.0);
  for (Index i = 0; i < k_; ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const double weight = std::max(gradient_covariance_(i, i), 0.0);
    const double level = std::max(levels_->covariance()(i, i), 0.0);
    turn_error_[ii] = gradients.turn_error(i);
    network_.weight_error[ii] = std::sqrt(weight);
    network_.offset_error[ii] =
        std::max(std::sqrt(weight * static_cast<double>(d_) + level), kLeastOffsetError);
  }
  doubted_ =
      static_cast<double>(gradients.doubted()) /
      static_cast<double>(std::max<std::size_t>(1, rows.size() * static_cast<std::size_t>(p_)));
  design.set_covariance(gradient_covariance_);
}

Polished Polisher::run() {
  ask_fitted_centers();
  noise_ =
      mirrored_noise(asker_, random_, network_, noise_, fan_rows(device_, network_, noise_, fans_));
  for (PaidFan& fan : own_fans_) {  // so far only those whose fitted centres were asked
    const double rho = std::sqrt(1 + dot(fan.center, fan.center));
    for (Index o = 0; o < p_; ++o) {
      fan.center_noise[static_cast<std::size_t>(o)] = noise_.sigma(rho, o);
    }
  }
  {
    DeviceMatrix basis = random_.gaussian_points(device_, Stream::directions, d_, d_);
    orthonormal_rows(device_, basis);
    directions_ = std::make_shared<const HostMatrix>(download(device_, basis));
  }
  FanDesign design(weight_prior_, wanted_);
  for (const FanRows& row : fan_rows(device_, network_, noise_, fans_)) {
    design.add(coefficients(network_, {row}), row.sigma);
  }
  // Unknowns of one input over what one fan says of it, and the outputs' directions on top.
  const double unknowns = static_cast<double>(k_ + p_) / static_cast<double>(p_) +
                          static_cast<double>(k_ * (p_ - 1)) / static_cast<double>(p_ * d_);
  Index most = static_cast<Index>(std::ceil(kMostFans * unknowns));
  if (p_ > 1) {
    // Two neurons that every fan sees on alike could trade: patterns must tell them all apart.
    most += 1 + static_cast<Index>(std::ceil(std::log2(static_cast<double>(k_ + 1))));
  }
  for (Index round = 0; round < kRounds; ++round) {
    DesignLimits limits;
    limits.most_fans = std::min(most - result_.report.fans, affordable());
    const bool pairs_before = !design.all_good();
    std::vector<WantedFan> wanted =
        choose_fans(device_, random_, network_, network_.hypothesis(start_), noise_, directions_,
                    limits, design);
    if (pairs_before && affordable() < most - result_.report.fans && !design.all_good()) {
      short_of_queries_ = true;
    }
    const bool cells = !wanted.empty() && !wanted.front().of_pair;
    for (std::size_t m = 0; m < wanted.size(); ++m) {
      if (!wanted[m].of_pair) continue;
      result_.report.pairs += 1;
      for (std::size_t i = 0; m % 2 == 1 && i < leans_.size(); ++i) {
        if (wanted[m].active[i] != wanted[m - 1].active[i]) leans_[i] = true;
      }
    }
    if (cells) leans_.assign(leans_.size(), true);
    ask_fans(std::move(wanted));
    solve(design);
    ++result_.report.rounds;
    if (design.all_good()) break;
  }
  result_.report.pairs /= 2;
  if (!turns_outputs_) {
    asker_.warn("polish: the directions of the outputs stay as they were: their system of " +
                std::to_string(k_ * (p_ - 1)) +
                " unknowns does not fit into device_bytes, or cannot be solved");
  }
  check();
  return std::move(result_);
}

Polished polish(Asker& asker, Random& random, const NoiseModel& noise, const Paid& paid,
                double tolerance, const Hypothesis& hypothesis) {
  Paid* keeping = asker.paid();
  asker.enter("polish");
  asker.keep(nullptr);
  try {
    Polished result = Polisher(asker, random, noise, paid, tolerance, hypothesis).run();
    asker.keep(keeping);
    asker.report();
    return result;
  } catch (...) {
    asker.keep(keeping);
    throw;
  }
}

}  // namespace crease
