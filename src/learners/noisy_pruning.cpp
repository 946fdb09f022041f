// Neurons that the learner for noisy answers has too many: taken away, or made one of two.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/learners/noisy_learner.hpp"
#include "src/stages/climbed_seeds.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kPruneSteps = 15;
constexpr double kLittle = 0.1;  // of the median importance: may be superfluous
constexpr double kMatters = 10;  // times the held-out rms: is not superfluous
constexpr double kGap = 3;       // between importances: a cut
constexpr double kWorse = 1.02;  // held-out rms that a pruned network may have
constexpr int kPruneFailures = 4;
constexpr double kTurn = 1e-3;  // angle by which hyperplanes are expected to turn then
constexpr double kTwins = 0.1;  // between two hyperplanes of what may be one neuron
constexpr int kTwinFailures = 3;
constexpr int kMostTwins = 12;   // merged at once
constexpr Index kRecovered = 3;  // seeds at once
constexpr int kRecoverFailures = 4;
constexpr double kRecoverTurn = 0.1;
constexpr double kBetter = 0.97;  // held-out rms with them
constexpr Index kLastSteps = 6;

/// Of two hyperplanes on whose outer sides sum_o u_o (c_io |<V_i, x1>| + c_jo |<V_j, x1>|) is what
/// one neuron gives there, `sign` the one of <v_i, v_j>, u the direction of c_i + c_j: V.
std::vector<double> between(const Hyperplanes& network, Index i, Index j, double sign) {
  const Index d = network.inputs();
  double first = 0;
  double second = 0;
  for (Index o = 0; o < network.outputs(); ++o) {
    const double sum = network.scales(i, o) + network.scales(j, o);
    first += network.scales(i, o) * sum;
    second += network.scales(j, o) * sum;
  }
  std::vector<double> plane;
  double square = 0;
  for (Index c = 0; c <= d; ++c) {
    plane.push_back(first * network.planes(i, c) + sign * second * network.planes(j, c));
    if (c < d) square += plane.back() * plane.back();
  }
  for (double& x : plane) x /= std::sqrt(square);
  return plane;
}

}  // namespace

/// Takes away, in batches, what the held-out points do not miss: a fit with too many neurons is
/// worse on fresh points than one with the right number. All below a gap in the importances first,
/// then halves.
void NoisyLearner::prune() {
  int failures = 0;
  while (best_.neurons() > 0 && failures < kPruneFailures && !ends()) {
    const auto solved = solve_scales(device_, rows_.rows(), best_, scratch());
    if (!solved) return;
    const std::vector<double>& importance = solved->importance;
    std::vector<std::size_t> order(importance.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return importance[a] < importance[b]; });
    // What matters more than all that is left is no accident.
    const double least =
        std::max(std::min(kLittle * median(importance), kMatters * best_held_out_), superfluous());
    std::size_t count = 0;
    while (count < order.size() && importance[order[count]] < least) ++count;
    if (count == 0) return;
    double gap = 0;
    std::size_t cut = 0;
    for (std::size_t i = 0; i < count && i + 1 < order.size(); ++i) {
      const double ratio = importance[order[i + 1]] / std::max(importance[order[i]], 1e-300);
      if (ratio > gap) {
        gap = ratio;
        cut = i + 1;
      }
    }
    const bool at_gap = failures == 0 && gap > kGap;
    std::size_t batch = at_gap ? cut : std::max<std::size_t>(1, (count + 1) / 2);
    batch = std::max<std::size_t>(1, batch >> std::max(failures - 1, 0));
    std::vector<bool> marked(order.size(), false);
    for (std::size_t i = 0; i < batch; ++i) marked[order[i]] = true;
    const Hyperplanes fewer = fit(best_.without(marked), kTurn, kPruneSteps);
    const double left = held_out_rms(fewer);
    if (left <= kWorse * best_held_out_) {
      best_ = fewer;
      best_held_out_ = std::min(best_held_out_, left);
      asker_.set_progress(kinks_, best_.neurons(), best_held_out_ / std::max(spread_, 1e-300));
      asker_.report();
    } else if (batch == 1) {
      return;
    } else {
      ++failures;
    }
  }
}

/// A neuron that was found twice: two hyperplanes close to its own share its scale, each of them
/// matters, and no fit brings them together. One in the place of both, if the points agree.
void NoisyLearner::merge_twins() {
  int failures = 0;
  std::size_t skip = 0;
  for (int trial = 0; trial < kMostTwins && failures < kTwinFailures && !ends(); ++trial) {
    struct Twins {
      double distance;
      double sign;
      Index i;
      Index j;
    };
    std::vector<Twins> all;
    for (Index i = 0; i < best_.neurons(); ++i) {
      for (Index j = i + 1; j < best_.neurons(); ++j) {
        const double* a = best_.planes.row(i);
        const double* b = best_.planes.row(j);
        const double sign = dot(a, b, d_) < 0 ? -1 : 1;
        double square = 0;
        for (Index c = 0; c <= d_; ++c) square += (a[c] - sign * b[c]) * (a[c] - sign * b[c]);
        if (square <= kTwins * kTwins) all.push_back({std::sqrt(square), sign, i, j});
      }
    }
    if (skip >= all.size()) return;
    std::stable_sort(all.begin(), all.end(),
                     [](const Twins& a, const Twins& b) { return a.distance < b.distance; });
    const auto [distance, sign, i, j] = all[skip];
    const std::vector<double> plane = between(best_, i, j, sign);
    std::vector<bool> marked(static_cast<std::size_t>(best_.neurons()), false);
    marked[static_cast<std::size_t>(i)] = marked[static_cast<std::size_t>(j)] = true;
    Hyperplanes merged = best_.without(marked);
    merged.add({plane.begin(), plane.begin() + d_}, plane.back());
    const double before = rms(rows_, best_);
    merged = fit(std::move(merged), kTurn, kPruneSteps);
    const double left = held_out_rms(merged);
    if (left <= kWorse * best_held_out_ && train_rms_ <= kWorse * std::max(before, 1.0)) {
      best_ = std::move(merged);
      best_held_out_ = std::min(best_held_out_, left);
    } else {
      ++failures;
      ++skip;
    }
  }
}

/// Neurons that went with superfluous ones, or that no line and no seed showed, where noise hides
/// both: what the residual of the rows wants, tried for no query, until the held-out points show no
/// more than the noise.
void NoisyLearner::recover() {
  int failures = 0;
  for (int trial = 0; lacks() && failures < kRecoverFailures && !ends(); ++trial) {
    Hyperplanes more = best_;
    const bool climbs = trial % 2 == 0;
    const HostMatrix seeds =
        climbs ? climbed_seeds(device_, rows_.rows(), best_, kRecovered, random_, scratch())
               : residual_seeds(device_, rows_.rows(), best_, kRecovered, random_, scratch());
    for (Index i = 0; i < seeds.rows(); ++i) {
      more.add({seeds.row(i), seeds.row(i) + d_}, seeds(i, d_));
    }
    Hyperplanes fitted = fit(std::move(more), kRecoverTurn, run_.plan.noisy_steps);
    const double left = held_out_rms(fitted);
    if (!(left < kBetter * best_held_out_)) {  // both may be 0
      ++failures;
      continue;
    }
    failures = 0;
    best_ = std::move(fitted);
    best_held_out_ = left;
    prune();
    merge_twins();
  }
}

/// The last steps that a fit near the noise leaves out.
void NoisyLearner::refine() {
  if (is_coarse()) recover();  // pruning takes a true neuron at times there
  if (best_.neurons() == 0 || ends()) return;
  HyperplaneFitPlan plan;
  plan.first_turn = kTurn;
  plan.most_steps = kLastSteps;
  plan.most_bytes = scratch();
  plan.stop = [this] { return ends(); };
  Hyperplanes last = fit_hyperplanes(device_, rows_.rows(), best_, plan).network;
  const double left = held_out_rms(last);
  if (left > kWorse * best_held_out_) return;
  best_ = std::move(last);
  best_held_out_ = std::min(best_held_out_, left);
}

}  // namespace crease
