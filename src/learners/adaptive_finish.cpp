// The end of an adaptive run: refinement, least squares, certificate, and endings that come short.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/learners/adaptive_learner.hpp"
#include "src/learners/polish_step.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kMargin = 2;  // on the largest error seen, where errors were underestimated
constexpr double kMostRoom =
    3;  // times the error of the last look, that a turned network may differ by ...
constexpr double kDropped = 0.05;  // ... and share of the accuracy asked for
constexpr Index kRefinements = 3;
constexpr double kLittle = 0.5;  // a round that leaves more than this of the error is the last ...
constexpr double kWithin = 0.9;  // ... where the error is within this share of the accuracy
constexpr double kGoodEnough = 0.15;  // of the accuracy asked for: no refinement below
constexpr double kLeftAfter =
    0.3;  // of the predicted error, when the worst neurons are measured again ...
constexpr double kMostAgain = 0.1;  // ... but not more of them than this share, or these few
constexpr double kFewAgain = 3;

/// Predicted share of each neuron in the error of F'.
std::vector<double> error_shares(const Hypothesis& hypothesis) {
  std::vector<double> shares;
  for (Index j = 0; j < hypothesis.neurons(); ++j) {
    const double* scale = hypothesis.scales.row(j);
    shares.push_back(hypothesis.offset_error[static_cast<std::size_t>(j)] *
                     std::sqrt(dot(scale, scale, hypothesis.outputs)));
  }
  return shares;
}

/// The neurons that are most in error, worst first: as few as leave kLeftAfter of the error, and a
/// tenth of all, or three, at most; `left` is the share of the predicted error that the others make
/// up.
std::vector<Index> worst_neurons(const Hypothesis& hypothesis, double& left) {
  const std::vector<double> shares = error_shares(hypothesis);
  std::vector<Index> order(shares.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const double share_a = shares[static_cast<std::size_t>(a)];
    const double share_b = shares[static_cast<std::size_t>(b)];
    return share_a != share_b ? share_a > share_b : a < b;
  });
  const double total = dot(shares, shares);
  const double most = std::max(kFewAgain, kMostAgain * static_cast<double>(order.size()));
  double rest = total;
  std::size_t count = 0;
  while (count < order.size() && static_cast<double>(count) < most &&
         rest > kLeftAfter * kLeftAfter * total) {
    const double share = shares[static_cast<std::size_t>(order[count++])];
    rest -= share * share;
  }
  order.resize(count);
  left = total > 0 ? std::sqrt(std::max(0.0, rest / total)) : 0.0;
  return order;
}

}  // namespace

/// Clean, but less accurate than asked: the neurons with the largest errors are measured again, on
/// a line where their gaps are others, and of the two measurements of each the better one stays.
/// Kept only if a look says that it helped.
void AdaptiveLearner::refine() {
  const Index most = kRefinements + (most_lines() - plan_.lines) / 3;
  for (Index round = 0; round < most; ++round) {
    if (!hypothesis_.has_base() || hypothesis_.neurons() == 0 || last_look_.beyond > 0) return;
    const double goal = kGoodEnough * problem_.accuracy * deviation();
    if (last_look_.rms <= goal || lines_ >= most_lines()) return;
    double left = 0;
    const std::vector<Index> again = worst_neurons(hypothesis_, left);
    // Accurate enough, and what is left is spread over many neurons: a round would gain little.
    if (left > kLittle && last_look_.rms <= kWithin * problem_.accuracy * deviation()) return;
    const Index price = static_cast<Index>(2 * again.size() + 1) * asker_.inputs() +
                        2 * (plan_.look_points + plan_.first_cells);
    if (price > asker_.left()) return;
    const Hypothesis before = hypothesis_;
    const Look look_before = last_look_;
    policy_.tolerance = plan_.gap_accuracy;
    worst_ = last_look_.worst;
    idle_ = round;  // a random direction after the first
    try {
      const Hypothesis replaced = hypothesis_.remove(again);
      rebuild();
      SearchedLine line = next_line();
      ++lines_;
      learn_from(line);
      hypothesis_.keep_better(replaced, hypothesis_.neurons() - fresh_, plan_.sigmas);
      rebuild();
      look();
    } catch (...) {
      hypothesis_ = before;  // the run ends here, and without the neurons it would be a worse one
      throw;
    }
    if (last_look_.beyond > 0 || last_look_.rms >= look_before.rms) {
      hypothesis_ = before;
      rebuild();
      last_look_.rms = look_before.rms;  // its answers are as good for this network
      last_look_.beyond = 0;
    }
    const bool little = last_look_.rms > kLittle * look_before.rms;
    if (little && last_look_.rms <= kWithin * problem_.accuracy * deviation()) return;
  }
}

void AdaptiveLearner::fit() {
  if (!hypothesis_.has_base()) {
    asker_.warn("no line showed a straight piece: F is fitted by an affine function only");
    hypothesis_.base.assign(static_cast<std::size_t>(asker_.inputs()), 0.0);
    rebuild();
  }
  before_fit_ = hypothesis_;
  if (!plan_.least_squares) return;
  if (given_ && last_look_.beyond == 0) {
    // Its points would be most of what a lift saves, and what they could correct is below noise.
    report_.least_squares.reason =
        "not run: nothing above the noise was left to fit after the lift";
    return;
  }
  fit_least_squares(asker_, random_, noise_, plan_, run_.control.budget.device_bytes, hypothesis_,
                    last_look_, report_.least_squares);
  rebuild();
}

/// Fresh points, drawn after the network was fixed. False if they show an error beyond its limit.
bool AdaptiveLearner::certify_network() {
  const Look look = vouch_for(asker_, random_, problem_, plan_, noise_, hypothesis_, final_,
                              certificates_, report_);
  if (look.errors.empty()) return true;
  ++certificates_;
  // Points of the hunt say that no bump as large as this was met, although the network changed
  // since.
  report_.hunt_mass =
      unseen_mass(problem_.failure, look, hunt_.gaussian_points(), hunt_.silent_gaussian_points());
  worst_ = look.worst;
  worst_ratio_ = look.worst_ratio;
  finds_rounding(look);
  return look.beyond == 0;
}

void AdaptiveLearner::finish_short(Outcome outcome, std::string message) {
  final_ = hypothesis_.network();
  forget_certificate(report_);
  if (outcome == Outcome::out_of_budget || outcome == Outcome::stopped) {
    run_.lift_limit();
    asker_.finish_regardless();
    const auto p = static_cast<std::size_t>(asker_.outputs());
    noise_.absolute.resize(p, 0.0);
    noise_.relative.resize(p, 0.0);
    if (!hypothesis_.has_base())
      hypothesis_.base.assign(static_cast<std::size_t>(asker_.inputs()), 0.0);
    if (const auto end = how_it_ends(asker_, [&] { certify_network(); })) {
      outcome = end->outcome();
      message = end->what();
    }
  }
  report_.outcome = outcome;
  report_.message = std::move(message);
}

/// What may be dropped with the linear part when neurons are turned back: no more than the error
/// there is, or somewhat more where that stays well within the limits and the accuracy asked for.
double AdaptiveLearner::droppable_rms() {
  if (!std::isfinite(last_look_.rms)) return 0;  // no point said anything
  const double room = std::clamp(0.5 / std::max(last_look_.worst_ratio, 1e-3), 1.0, kMostRoom);
  const double accurate = kDropped * problem_.accuracy * deviation();
  return std::max(last_look_.rms, std::min(room * last_look_.rms, accurate));
}

/// The final points showed an error. Where more lines find nothing and what is left is within the
/// accuracy asked for, it was the errors of the parts that were underestimated.
void AdaptiveLearner::go_on() {
  const Index neurons = hypothesis_.neurons();
  given_ = false;
  search();
  const double sd = deviation();
  const double allowed = sd > 0 ? problem_.accuracy * sd : problem_.accuracy;
  if (hypothesis_.neurons() == neurons && last_look_.rms <= allowed) {
    hypothesis_.scale_errors(kMargin * std::max(1.0, worst_ratio_));
  }
}

void AdaptiveLearner::learn() {
  for (;;) {
    run_.limit_learning();
    certificates_ == 0 ? search() : go_on();
    if (!rounded_.empty()) return;
    const std::optional<double> linear_part =
        polish_if_asked(run_, last_look_, deviation(), hypothesis_);
    if (linear_part) {
      before_fit_ = hypothesis_;
      rebuild();
      final_ = orient(hypothesis_, *linear_part);
    } else {
      refine();
      fit();
      final_ = orient(hypothesis_, droppable_rms());
    }
    run_.lift_limit();
    if (certify_network() || !rounded_.empty() || lines_ >= most_lines()) return;
    // The final points show an error: they become a look, and learning goes on from there.
    hypothesis_ = before_fit_;
    rebuild();
    // Refuted, with its error estimates; and what is learned from here on is another network.
    report_.polish.accepted = false;
    report_.neuron_errors.clear();
    idle_ = 0;
    have_best_ = false;
  }
}

}  // namespace crease
