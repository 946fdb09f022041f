// Where the fits of noisy answers begin: crude neurons, their offsets fitted, and what the residual
// wants beside them.
#include <algorithm>
#include <cmath>

#include "src/learners/noisy_learner.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/offset_fit.hpp"
#include "src/stages/residual_neurons.hpp"

namespace crease {
namespace {

constexpr double kOffsetRows = 8;  // per unknown of a fit of the offsets, at most
constexpr double kAccident = 3;    // times what a neuron gains by chance
constexpr int kRounds = 3;         // of offsets and neurons from the residual
constexpr double kGain = 0.9;      // of the rms: a round that leaves more is the last
constexpr double kShare = 0.05;    // neurons added in a round
constexpr double kExplained = 2;   // in units of the noise: nothing is left

void append(const Hyperplanes& more, Hyperplanes& network) {
  const Index d = network.inputs();
  for (Index i = 0; i < more.neurons(); ++i) {
    network.add({more.planes.row(i), more.planes.row(i) + d}, more.planes(i, d));
  }
}

}  // namespace

Hyperplanes start_from(const CrudeNeurons& crude, Index d, Index p) {
  Hyperplanes start(d, p);
  for (Index i = 0; i < crude.size(); ++i) {
    const double error = crude.offset_error[static_cast<std::size_t>(i)];
    start.add({crude.planes.row(i), crude.planes.row(i) + d},
              crude.planes(i, d) / (1 + error * error));
  }
  return start;
}

/// Without the neurons beyond the first `sure` whose importance on the first n rows is as small as
/// chance would make it.
Hyperplanes NoisyLearner::without_accidents(const Hyperplanes& network, Index sure, Index n) {
  const FitRows all = rows_.rows();
  n = std::min(n, all.x.rows);
  const auto solved =
      solve_scales(device_, {all.x.row_block(0, n), all.y.row_block(0, n)}, network, scratch());
  if (!solved) return network;
  const double least = kAccident * solved->rms / std::sqrt(static_cast<double>(n * p_));
  std::vector<bool> marked(solved->importance.size(), false);
  for (auto i = static_cast<std::size_t>(sure); i < marked.size(); ++i) {
    marked[i] = solved->importance[i] < least;
  }
  return solved->network.without(marked);
}

/// Without the neurons that carry no more than d + p unknowns take off any residual.
Hyperplanes NoisyLearner::without_chance(const Hyperplanes& network) {
  const auto solved = solve_scales(device_, rows_.rows(), network, scratch());
  if (!solved) return network;
  const double least = superfluous() * solved->rms;
  std::vector<bool> marked;
  for (const double importance : solved->importance) marked.push_back(importance < least);
  return solved->network.without(marked);
}

/// Adds neurons that the residual on the rows wants.
void NoisyLearner::add_seeds(Index count, Hyperplanes& network) {
  ResidualNeuronsPlan plan;
  plan.most_bytes = scratch();
  plan.stop = [this] { return ends(); };
  const HostMatrix seeds = residual_neurons(device_, rows_.rows(), network, count, random_, plan);
  for (Index i = 0; i < seeds.rows(); ++i) {
    network.add({seeds.row(i), seeds.row(i) + d_}, seeds(i, d_));
  }
}

/// Crude neurons with the offsets that rows want; those that no second line saw, and neurons from
/// the residual, only where the rows want them.
Hyperplanes NoisyLearner::settled(double share) {
  Hyperplanes start = start_from(trusted(crude_, lines_), d_, p_);
  const Index sure = start.neurons();
  append(start_from(trusted(crude_, lines_, false), d_, p_), start);
  start_rms_ = spread_;
  OffsetFitPlan plan;
  plan.rows = kOffsetRows;
  plan.most_bytes = scratch();
  plan.stop = [this] { return ends(); };
  for (int round = 0; round < kRounds && start.neurons() > 0 && !ends(); ++round) {
    const auto offsets =
        static_cast<Index>(kOffsetRows * static_cast<double>(2 * start.neurons() + d_ + 1));
    // No more than the fit of the trusted ones asks for anyway.
    const Index wanted = std::min(offsets, rows_for(std::max<Index>(sure, 1), share));
    if (wanted - rows_.drawn() > asker_.left()) break;
    ask_rows(wanted);
    if (rows_.size() < 2 * (2 * start.neurons() + d_ + 1)) break;
    OffsetFit fitted = fit_offsets(device_, rows_.rows(), start, plan);
    const bool last = fitted.rms > kGain * start_rms_ || fitted.rms <= kExplained;
    start = without_accidents(fitted.network, sure, wanted);
    start_rms_ = std::min(start_rms_, fitted.rms);
    if (last || round + 1 == kRounds) break;
    add_seeds(std::max<Index>(2, static_cast<Index>(kShare * static_cast<double>(start.neurons()))),
              start);
  }
  return start;
}

}  // namespace crease
