// The learner for answers that are not exact: neurons, rows, and the loop of fits.
#include "src/learners/noisy_learner.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/stages/numbers.hpp"

namespace crease {
namespace {

// Units of an output that is exact, beside one that is not: finer ones, in shares of its size, are
// beyond a fit whose inner solver is in single precision. Nothing: of an output that was 0 where
// it was asked, by the size of the largest.
constexpr double kFinestUnit = 1e-10;
constexpr double kNothing = 1e-3;
constexpr double kComplete = 0.98;    // of the kinks of a line gave a clear neuron
constexpr double kNothingNew = 0.04;  // share of new neurons on a line that ends the lines
constexpr double kExpected = 5;  // times the residual that their errors explain: none is missing
constexpr double kExplained = 0.03;    // of the deviation: what crude neurons may leave
constexpr double kHeldOutShare = 0.5;  // held-out points per unknown ...
constexpr Index kLeastHeldOut = 200;   // ... within these
constexpr Index kMostHeldOut = 1500;
constexpr double kLeastRows =
    1.3;  // rows per unknown that a fit can do with at the end of a budget
// Random hyperplanes beside the crude ones: superfluous neurons cost a fit less than missing ones.
constexpr double kGuessShare = 0.1;
constexpr Index kLeastGuesses = 2;
constexpr double kNearHeldOut = 30;  // in units of the noise: the fit is near its floor
constexpr double kNearTrain = 30;
constexpr double kTrained =
    2;  // above, rows are fitted worse than their noise: neurons are lacking
constexpr double kOverfit = 5;   // held-out over train rms: some neurons are bent by few rows
constexpr int kPatience = 3;     // such steps in a row; twice as many after every weak round
constexpr double kStrong = 0.8;  // of the held-out rms: rounds that leave more are counted
// Of the mean square: while the fit gains less in a step, hyperplanes slide, and neurons more help.
constexpr double kSlowGain = 0.44;
constexpr double kSlowAbove = 1.5;  // times the noise of the rows: nearer, steps are few anyway
/// Neurons added, as a share of those there are, while the residual is above this share of the
/// deviation.
struct Growth {
  double residual;
  double share;
};
constexpr std::array<Growth, 4> kGrowth = {{{0.3, 1}, {0.1, 0.5}, {0.01, 0.2}, {0, 0.1}}};
constexpr double kWideShare = 0.8;  // rows for more neurons than are expected to stay
constexpr int kMoreAttempts = 1;
constexpr double kMoreRare = 4;      // times the rows that a side must have, after that
constexpr double kGoodStart = 0.05;  // of the deviation: then the first step is a full one
constexpr double kGoodTurn = 1e-3;   // angle by which hyperplanes are expected to turn ...
constexpr double kTurn = 0.1;        // ... and otherwise
constexpr Index kAroundRare = 4;     // points per unknown around the hyperplane of one with fewer
constexpr Index kRareRounds = 10;
constexpr double kFarthest = 3;   // times sqrt(d): beyond that nothing of a neuron shows,
constexpr double kFarOff = 4.5;   // if that is beyond this
constexpr Index kStuckLines = 4;  // through the worst rows, where ...
constexpr int kIdle = 2;          // ... so many rounds in a row were weak
constexpr double kStall = 0.01;   // of the mean square: a neuron more gains more than such steps

}  // namespace

NoisyLearner::NoisyLearner(QueryRun& run, AnswerNoise noise)
    : run_(run),
      device_(run.device),
      asker_(run.asker),
      random_(run.random),
      noise_(std::move(noise)),
      d_(asker_.inputs()),
      p_(asker_.outputs()),
      rows_(device_, Stream::rows),
      held_out_(device_, Stream::held_out),
      shows_noise_(static_cast<std::size_t>(p_), true),
      noisy_outputs_(p_),
      best_(d_, p_),
      hunt_(run.plan),
      final_(relu_network_of(best_)) {
  const std::vector<double>& size = noise_.model.size;
  const double largest = size.empty() ? 0 : *std::max_element(size.begin(), size.end());
  for (std::size_t o = 0; o < noise_.sigma.size(); ++o) {
    const double typical = o < size.size() ? size[o] : 0;
    const double finest = kFinestUnit * (typical > 0 ? typical : kNothing * largest);
    noise_.sigma[o] = std::max({noise_.sigma[o], finest, 1e-120});
  }
}

void NoisyLearner::find_neurons() {
  double scale = line_scale(noise_.model, d_);
  for (Index l = 0; l < run_.plan.noisy_lines; ++l) {
    const Index before = asker_.asked();
    const CrudeLine line = crude_neurons(asker_, random_, noise_.model, run_.plan, scale, l == 0);
    line_queries_ = std::max(line_queries_, asker_.asked() - before);
    take_noise_ratio(line.noise_ratio);
    take_answers(line);
    kinks_ = std::max(kinks_, line.kinks);
    const Index added = unite(crude_, line.found);
    ++lines_;
    complete_ = line.kinks > 0 &&
                static_cast<double>(line.cleared) >= kComplete * static_cast<double>(line.kinks);
    if (line.found.size() == 0) {
      if (scale == 1) return;
      scale = 1;  // far out F is another one, or its noise is
      continue;
    }
    asker_.set_progress(line.kinks, crude_.size(), std::nullopt);
    if (l > 0 &&
        static_cast<double>(added) <= kNothingNew * static_cast<double>(line.found.size())) {
      return;
    }
    if (held_out_.size() == 0) ask_held_out();
    if (explains_enough()) return;
    // The cap holds for a line more and the rows of a fit after it.
    if (line_queries_ + rows_for(kinks_, run_.plan.noisy_rows) > may_ask()) return;
  }
}

/// Points that no fit sees.
void NoisyLearner::ask_held_out() {
  const Index k = std::max(kinks_, crude_.size());
  const Index wanted =
      std::clamp(static_cast<Index>(kHeldOutShare * static_cast<double>(k * (d_ + 1))),
                 kLeastHeldOut, kMostHeldOut);
  asker_.enter("looks");
  // At the end of a budget half of what is left: the other half is for the fit.
  held_out_.grow_to(std::min(wanted, std::max<Index>(1, asker_.left() / 2)), asker_, random_,
                    noise_.sigma);
  const std::vector<double> deviations = deviations_of_answers(device_, held_out_.rows());
  find_silent_outputs(deviations);
  spread_ = std::sqrt(dot(deviations, deviations) / static_cast<double>(noisy_outputs_));
  asker_.report();
}

/// Whether the crude neurons with their best scales leave next to nothing of the held-out points:
/// then no further line is worth its price.
bool NoisyLearner::explains_enough() {
  CrudeNeurons crude = trusted(crude_, lines_);
  const auto n = static_cast<double>(held_out_.size());
  const auto takes = [&](Index neurons) {
    return n >= kLeastRows * static_cast<double>(neurons + d_ + 1);
  };
  const bool enough = takes(crude.size());
  if (!enough && !takes(0)) return complete_;
  if (!enough) crude = {};  // an affine function is better than nothing
  const Hyperplanes start = start_from(crude, d_, p_);
  const auto solved = solve_scales(device_, held_out_.rows(), start, scratch());
  if (!solved) return false;
  const double left = over_noisy_outputs() * solved->rms *
                      std::sqrt(n / (n - static_cast<double>(start.neurons() + d_ + 1)));
  // For a run that ends here: these points have seen their own answers, any fit replaces it.
  best_ = solved->network;
  best_held_out_ = left;
  if (!enough) return complete_;
  if (crude.size() == 0) {
    complete_ = left <= kAtFloor;
    return complete_;
  }
  double expected = 1;
  for (Index i = 0; i < crude.size(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    double square = 0;
    for (Index o = 0; o < p_; ++o) {
      const double scale = crude.scales(i, o) / noise_.sigma[static_cast<std::size_t>(o)];
      square += scale * scale / static_cast<double>(noisy_outputs_);
    }
    const double offset = crude.offset_error[ii] * crude.offset_error[ii];
    expected += square * (crude.error[ii] * crude.error[ii] + offset / (1 + offset));
  }
  const bool explained = left <= kExplained * spread_;
  // Where the errors explain a large residual, something may be missing behind them.
  complete_ = complete_ && explained && left <= kExpected * std::sqrt(expected) &&
              std::sqrt(expected) <= kExplained * spread_;
  return explained;
}

void NoisyLearner::keep(Hyperplanes network, double held_out) {
  if (has_best_ && !(held_out < best_held_out_)) return;
  best_ = std::move(network);
  best_held_out_ = held_out;
  has_best_ = true;
  asker_.set_progress(kinks_, best_.neurons(),
                      spread_ > 0 ? std::optional(best_held_out_ / spread_) : std::nullopt);
}

double NoisyLearner::rms(const AnsweredPoints& points, const Hyperplanes& network) const {
  return over_noisy_outputs() * residual_rms(device_, points.rows(), network, scratch());
}

void NoisyLearner::ask_rows(Index wanted) {
  asker_.enter("least_squares");
  rows_.grow_to(wanted, asker_, random_, noise_.sigma);
  asker_.report();
}

/// Neurons of which the rows see one side hardly ever are known badly, or are none at all: points
/// around their own hyperplanes. False if there are no such neurons, or no queries for them.
bool NoisyLearner::ask_rare_neurons(const Hyperplanes& network, double farthest) {
  if (rare_rounds_ >= kRareRounds) return false;
  const std::vector<Index> sides = rarer_sides(device_, rows_.rows().x, network.planes, scratch());
  farthest = std::min(farthest, std::max(kFarOff, kFarthest * std::sqrt(static_cast<double>(d_))));
  HostMatrix points(0, d_);
  for (Index i = 0; i < network.neurons(); ++i) {
    const auto rows = static_cast<double>(sides[static_cast<std::size_t>(i)]);
    if (rows >= rare_side_ * static_cast<double>(d_ + 1)) continue;
    if (std::abs(network.planes(i, d_)) > farthest) continue;
    const HostMatrix around =
        points_around(network.planes.row(i), d_, kAroundRare * (d_ + 1), random_);
    for (Index r = 0; r < around.rows(); ++r) points.append_row(around.row(r), d_);
  }
  if (points.rows() == 0 || points.rows() > may_ask()) return false;
  ++rare_rounds_;
  asker_.enter("least_squares");
  rows_.ask(points, asker_, noise_.sigma);
  asker_.report();
  return true;
}

Hyperplanes NoisyLearner::fit(Hyperplanes start, double turn, Index most_steps, int patience) {
  HyperplaneFitPlan plan;
  plan.first_turn = turn;
  plan.most_steps = most_steps;
  plan.noise = row_noise_ / over_noisy_outputs();
  plan.stall = kStall;
  if (patience > 0) {
    plan.slow_steps = patience;
    plan.slow_gain = kSlowGain;
    plan.slow_above = kSlowAbove;
  }
  plan.most_bytes = scratch();
  plan.stop = [this] { return ends(); };
  HyperplaneFit result = fit_hyperplanes(device_, rows_.rows(), std::move(start), plan);
  train_rms_ = over_noisy_outputs() * result.rms;
  return std::move(result.network);
}

void NoisyLearner::fit_until_noise(double share) {
  Hyperplanes start = at_floor_ ? best_ : settled(share);
  Index add = 0;
  Index expected = 0;  // neurons at the end of the first round: the others are pruned
  if (!at_floor_) {
    expected = trusted(crude_, lines_).size();
    if (!complete_) {
      const Index guesses = std::max(
          kLeastGuesses, static_cast<Index>(std::ceil(kGuessShare * static_cast<double>(kinks_))));
      expected = std::max(expected, kinks_) + guesses;
      // Where little is left, little is missing.
      add =
          std::max(kLeastGuesses, start_rms_ <= kGoodStart * spread_ ? kinks_ - start.neurons()
                                                                     : expected - start.neurons());
    }
  }
  bool from_line = !at_floor_;
  at_floor_ = false;
  double turn = kTurn;
  double boost = 1;
  Index weak = 0;
  int idle = 0;
  int patience = kPatience;
  for (Index round = 0; weak < run_.plan.noisy_rounds; ++round) {
    Index wanted = rows_for(start.neurons() + add, share);
    if (round == 0 && expected > 0) {
      wanted = std::min(wanted, std::max(rows_for(expected, share),
                                         rows_for(start.neurons() + add, kWideShare * share)));
    }
    Index more = std::max<Index>(0, wanted - rows_.drawn());
    if (fitted_ && more > may_ask() && asker_.left() > may_ask()) {
      more = may_ask();  // what the cap leaves, if that is not too little
      if (has_best_ && 2 * more < wanted - rows_.drawn()) return;
      wanted = rows_.drawn() + more;
    }
    if (more > asker_.left()) {
      // The end of the budget: what it still allows, if that is enough to fit at all.
      wanted = rows_.drawn() + asker_.left();
      if (wanted < rows_for(start.neurons() + add, kLeastRows)) {
        throw EndOfRun(Outcome::out_of_budget, "a fit of " + std::to_string(start.neurons() + add) +
                                                   " neurons takes " + std::to_string(more) +
                                                   " more queries than the budget allows");
      }
    }
    ask_rows(wanted);
    // What a line saw and no row does would be lost.
    if (from_line) ask_rare_neurons(start, kFarOff);
    from_line = false;
    const auto solved = solve_scales(device_, rows_.rows(), start, scratch());
    if (solved) {
      start = solved->network;
      if (over_noisy_outputs() * solved->rms <= kGoodStart * spread_) turn = kGoodTurn;
    }
    if (add > 0) add_seeds(add, start);
    const double before = has_best_ ? best_held_out_ : std::numeric_limits<double>::infinity();
    Hyperplanes fitted =
        fit(std::move(start), turn, run_.plan.noisy_steps, !is_coarse() ? patience : 0);
    fitted_ = true;
    const double left = held_out_rms(fitted);
    const double trained = train_rms_;
    const bool near = left <= kNearHeldOut || train_rms_ <= kNearTrain;
    const bool unseen = train_rms_ <= kAtFloor;  // by the rows, if the others are not at the floor
    const bool better = left < before;
    const bool strong = left <= kStrong * before;
    idle = strong ? 0 : idle + 1;
    if (!strong) {
      ++weak;
      patience *= 2;
    }
    keep(std::move(fitted), left);
    asker_.report();
    const bool overfit = best_held_out_ > kOverfit * train_rms_;
    if (near || overfit) {
      // What no row sees is not superfluous, but pruning would not know.
      if (overfit && ask_rare_neurons(best_, kFarOff)) {
        Hyperplanes again = fit(best_, kGoodTurn, run_.plan.noisy_steps);
        best_held_out_ = held_out_rms(again);
        best_ = std::move(again);
      }
      prune();
      if (near) merge_twins();
      while (ask_rare_neurons(best_)) {
        Hyperplanes again = fit(best_, kGoodTurn, run_.plan.noisy_steps);
        best_held_out_ = held_out_rms(again);
        best_ = std::move(again);
        prune();
      }
      take_row_noise();
      if (near && is_coarse()) recover();
    }
    if (is_at_floor(share)) {
      at_floor_ = true;
      return;
    }
    if (ends()) return;  // the next question says how
    start = near || is_coarse() ? best_ : without_chance(best_);
    if (near && trained <= kTrained) {
      share *= kMoreShare;
      add = kLeastGuesses;
    } else {
      const auto growth = std::find_if(kGrowth.begin(), kGrowth.end(), [&](const Growth& g) {
        return best_held_out_ > g.residual * spread_;
      });
      // Seeds that were in vain were too few.
      boost = better ? 1 : 2 * boost;
      add = std::max(
          kLeastGuesses,
          static_cast<Index>(std::ceil(boost * growth->share *
                                       static_cast<double>(std::max<Index>(1, start.neurons())))));
    }
    // Lines tell little where the noise is coarse and grows: neurons are found by their residual.
    const bool lines_tell = !is_coarse() || line_scale(noise_.model, d_) > 1;
    const bool stuck = unseen || (lines_tell && idle >= kIdle);
    if (stuck && stuck_lines_ < kStuckLines && line_queries_ <= may_ask()) {
      // Where hyperplanes crowd the rows are worst, and a line through there tells few apart.
      const bool anywhere = stuck_lines_++ % 2 == 0 && !unseen;
      const FitRows points = unseen ? held_out_.rows() : rows_.rows();
      start = with_line_through(best_, anywhere ? random_.normals(d_) : worst_of(points, best_));
      if (unseen) ask_between_twins(start);
      from_line = true;
      idle = 0;
      if (unseen) {
        add = 0;
      } else if (near) {
        add = kLeastGuesses;
      }
    }
    turn = kTurn;
  }
}

void NoisyLearner::learn() {
  run_.limit_learning();
  run_.noise = noise_.model;
  find_neurons();
  if (held_out_.size() == 0) {
    ask_held_out();
    explains_enough();
  }
  run_.noise = noise_.model;
  double share = run_.plan.noisy_rows;
  if (is_coarse()) share *= kCoarseShare;
  for (int attempt = 0;; ++attempt) {
    fit_until_noise(share);
    if (best_held_out_ <= kNearHeldOut) refine();
    hunt();
    finish(best_);
    turn();
    run_.lift_limit();
    // Fresh points that show an error although the held-out ones do not: once more, with more rows.
    if (certify_network() || !at_floor_ || attempt == kMoreAttempts) return;
    share *= kMoreShare;
    if (2 * may_ask() < rows_for(best_.neurons(), share) - rows_.drawn()) return;
    rare_side_ *= kMoreRare;
    has_best_ = false;  // the held-out points do not see what is wrong with it
    run_.limit_learning();
    rare_rounds_ = 0;
    if (!worst_.empty() && line_queries_ <= may_ask()) best_ = with_line_through(best_, worst_);
    ask_rare_neurons(best_);
    // What a run that ends before the next fit returns.
    const auto solved = solve_scales(device_, rows_.rows(), best_, scratch());
    if (solved) best_ = solved->network;
  }
}

}  // namespace crease
