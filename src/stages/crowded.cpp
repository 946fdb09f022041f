// Kinks of a residual line that known hyperplanes crowd, looked at from nearby.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/stages/gradients.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kLongestStep = 1;   // of the half width of a piece
constexpr double kFarPoint = 0.5;    // of the way from the kink to the end of its cell ...
constexpr double kNearPoint = 0.05;  // ... and the point that gives the slope

/// Where a known hyperplane crosses the line, and what it does to jumps that are measured across.
struct Crossing {
  double t;
  double uncertain;    // one standard deviation of t
  double bend_square;  // squared error of a gradient's component, in units of scale
};

/// A kink and the two stretches beside it that no known hyperplane crosses.
struct CloseUp {
  std::size_t kink;
  double low = 0;  // where the kink may be
  double high = 0;
  double left = 0;  // the ends of the stretches
  double right = 0;
  bool single = false;
  LineFit before = {};
  LineFit after = {};
  double t = 0;
};

class Crowd {
 public:
  Crowd(const AskLine& ask, const SearchedLine& line, const Hypothesis& known,
        const QueryPlan& plan, MeasuredPieces& pieces)
      : ask_(ask),
        line_(line),
        known_(known),
        plan_(plan),
        pieces_(pieces),
        p_(pieces.scale.size()),
        c_(std::sqrt(static_cast<double>(line.origin.size()))),
        rounding_(known.rounding_error()) {
    find_crossings();
  }

  /// Kinks whose jump, measured from piece to piece, would be off by more than `tolerance` times
  /// the typical one.
  std::vector<CloseUp> crowded(double tolerance) const;
  void look(std::vector<CloseUp>& close_ups) const;
  void take(const std::vector<CloseUp>& close_ups);

 private:
  void find_crossings();
  bool place(CloseUp& close_up) const;
  LineAnswers ask(const std::vector<double>& t) const;
  LineFit through(const LineAnswers& answers, std::size_t near, double t_far, double t_near) const;
  bool on_line(const LineFit& fit, const LineAnswers& answers, std::size_t i, double t) const;
  bool all_say_something(const LineAnswers& answers, std::size_t first, std::size_t count) const;

  const AskLine& ask_;
  const SearchedLine& line_;
  const Hypothesis& known_;
  const QueryPlan& plan_;
  MeasuredPieces& pieces_;
  std::size_t p_;
  double c_;
  std::vector<double> rounding_;
  std::vector<Crossing> crossings_;  // ascending
};

void Crowd::find_crossings() {
  for (Index r = 0; r < known_.neurons(); ++r) {
    const double* normal = known_.normals.row(r);
    const double along = dot(normal, line_.direction.data(), known_.inputs);
    if (std::abs(along) <= 1e-300) continue;
    const auto rr = static_cast<std::size_t>(r);
    const double offset = dot(normal, line_.origin.data(), known_.inputs) + known_.bias[rr];
    double bend = 0;
    for (std::size_t o = 0; o < p_; ++o) {
      bend = std::max(bend, std::abs(known_.scales(r, static_cast<Index>(o))) / pieces_.scale[o]);
    }
    bend *= known_.normal_error[rr];
    crossings_.push_back({-offset / along, known_.offset_error[rr] / std::abs(along), bend * bend});
  }
  std::sort(crossings_.begin(), crossings_.end(),
            [](const Crossing& a, const Crossing& b) { return a.t < b.t; });
}

std::vector<CloseUp> Crowd::crowded(double tolerance) const {
  const double typical = std::max(typical_jump(pieces_, known_.inputs, &known_), 1e-120);
  std::vector<double> sums = {0.0};  // of bend_square, up to a crossing
  for (const Crossing& crossing : crossings_) sums.push_back(sums.back() + crossing.bend_square);
  const auto up_to = [&](double t) {
    const auto at = std::lower_bound(crossings_.begin(), crossings_.end(), t,
                                     [](const Crossing& a, double value) { return a.t < value; });
    return sums[static_cast<std::size_t>(at - crossings_.begin())];
  };
  std::vector<CloseUp> found;
  for (std::size_t j = 0; j < pieces_.kinks.size(); ++j) {
    const double between = up_to(pieces_.t[j + 1]) - up_to(pieces_.t[j]);
    if (c_ * std::sqrt(std::max(0.0, between)) <= tolerance * typical) continue;
    found.push_back({j});
  }
  return found;
}

/// The stretches beside a kink: to the next known hyperplane, kink of the line, or end of what was
/// verified. False where the kink lies no more precisely than those.
bool Crowd::place(CloseUp& close_up) const {
  const Kink& kink = pieces_.kinks[close_up.kink];
  if (!std::isfinite(kink.t)) return false;
  close_up.low = kink.exact ? kink.t : kink.low;
  close_up.high = kink.exact ? kink.t : kink.high;
  const double near = 1e-9 * std::hypot(c_, kink.t);
  const Piece& before = pieces_.pieces[close_up.kink];
  const Piece& after = pieces_.pieces[close_up.kink + 1];
  close_up.left = std::max(before.low, close_up.low - std::max(std::abs(close_up.low), c_));
  close_up.right = std::min(after.high, close_up.high + std::max(std::abs(close_up.high), c_));
  // Outwards from the kink; a neuron that is there already, and wrong, is no obstacle.
  const auto obstacle = [&](const Crossing& crossing) {
    return std::abs(crossing.t - kink.t) > near + plan_.sigmas * crossing.uncertain;
  };
  const auto by_t = [](const Crossing& a, double value) { return a.t < value; };
  const auto middle = std::lower_bound(crossings_.begin(), crossings_.end(), kink.t, by_t);
  for (auto at = middle; at != crossings_.begin();) {
    if (!obstacle(*--at)) continue;
    close_up.left = std::max(close_up.left, at->t + plan_.sigmas * at->uncertain);
    break;
  }
  for (auto at = middle; at != crossings_.end(); ++at) {
    if (!obstacle(*at)) continue;
    close_up.right = std::min(close_up.right, at->t - plan_.sigmas * at->uncertain);
    break;
  }
  const std::vector<Kink>& others = line_.result.kinks;
  const auto here = std::lower_bound(others.begin(), others.end(), kink.t,
                                     [](const Kink& a, double value) { return a.t < value; });
  for (auto at = here; at != others.begin();) {
    const double high = (--at)->exact ? at->t : at->high;
    if (!(high < close_up.low)) continue;
    close_up.left = std::max(close_up.left, high);
    break;
  }
  for (auto at = here; at != others.end(); ++at) {
    const double low = at->exact ? at->t : at->low;
    if (!(low > close_up.high)) continue;
    close_up.right = std::min(close_up.right, low);
    break;
  }
  return close_up.left < close_up.low - near && close_up.high + near < close_up.right;
}

/// Whether answers first .. first + count - 1 all say something.
bool Crowd::all_say_something(const LineAnswers& answers, std::size_t first,
                              std::size_t count) const {
  const auto from = answers.sigmas.begin() + static_cast<std::ptrdiff_t>(first * p_);
  return std::all_of(from, from + static_cast<std::ptrdiff_t>(count * p_),
                     [](double sigma) { return std::isfinite(sigma); });
}

/// Answers at points in any order, with the rounding of F' in their noise.
LineAnswers Crowd::ask(const std::vector<double>& t) const {
  std::vector<std::size_t> order(t.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return t[a] < t[b]; });
  std::vector<double> sorted;
  for (const std::size_t i : order) sorted.push_back(t[i]);
  const LineAnswers answers = ask_(sorted);
  LineAnswers result{std::vector<double>(t.size() * p_), std::vector<double>(t.size() * p_)};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double rho = line_.rho(sorted[i]);
    for (std::size_t o = 0; o < p_; ++o) {
      const double value = answers.values[i * p_ + o];
      result.values[order[i] * p_ + o] = value;
      result.sigmas[order[i] * p_ + o] =
          std::hypot(answers.sigmas[i * p_ + o], kRounding * value, rounding_[o] * rho);
    }
  }
  return result;
}

/// The line through answers near - 1 (at t_far) and near (at t_near).
LineFit Crowd::through(const LineAnswers& answers, std::size_t near, double t_far,
                       double t_near) const {
  LineFit fit;
  fit.center = t_far;
  for (std::size_t o = 0; o < p_; ++o) {
    const std::size_t a = (near - 1) * p_ + o;
    const std::size_t b = near * p_ + o;
    fit.value.push_back(answers.values[a]);
    fit.slope.push_back((answers.values[b] - answers.values[a]) / (t_near - t_far));
    fit.value_sd.push_back(answers.sigmas[a]);
    fit.slope_sd.push_back(std::hypot(answers.sigmas[a], answers.sigmas[b]) /
                           std::abs(t_near - t_far));
  }
  return fit;
}

bool Crowd::on_line(const LineFit& fit, const LineAnswers& answers, std::size_t i, double t) const {
  for (std::size_t o = 0; o < p_; ++o) {
    const double sd = std::hypot(answers.sigmas[i * p_ + o], fit.sd_at(t, o));
    if (!(std::abs(answers.values[i * p_ + o] - fit.at(t, o)) <= plan_.sigmas * sd)) return false;
  }
  return true;
}

/// Two points on either side give the kink, two beside it the proof that it is a single one.
void Crowd::look(std::vector<CloseUp>& close_ups) const {
  std::vector<std::size_t> placed;
  std::vector<double> t;
  for (std::size_t i = 0; i < close_ups.size(); ++i) {
    CloseUp& at = close_ups[i];
    if (!place(at)) continue;
    placed.push_back(i);
    const double left = at.low - at.left;
    const double right = at.right - at.high;
    t.push_back(at.low - kFarPoint * left);
    t.push_back(at.low - kNearPoint * left);
    t.push_back(at.high + kFarPoint * right);
    t.push_back(at.high + kNearPoint * right);
  }
  if (placed.empty()) return;
  const LineAnswers sides = ask(t);
  std::vector<std::size_t> asked;
  std::vector<double> flanks;
  for (std::size_t i = 0; i < placed.size(); ++i) {
    CloseUp& at = close_ups[placed[i]];
    if (!all_say_something(sides, 4 * i, 4)) continue;
    at.before = through(sides, 4 * i + 1, t[4 * i], t[4 * i + 1]);
    at.after = through(sides, 4 * i + 3, t[4 * i + 2], t[4 * i + 3]);
    at.t = intersection(at.before, at.after, pieces_.scale);
    const double low = t[4 * i + 1];
    const double high = t[4 * i + 3];
    if (!(low < at.t && at.t < high)) continue;
    double largest_jump = 0;  // in sigmas
    for (std::size_t o = 0; o < p_; ++o) {
      largest_jump = std::max(largest_jump, std::abs(at.after.slope[o] - at.before.slope[o]) /
                                                sides.sigmas[(4 * i + 1) * p_ + o]);
    }
    const double away =
        std::max(plan_.flank * (high - low), 8 * plan_.sigmas / std::max(largest_jump, 1e-300));
    const double left = at.t - std::min(away, 0.5 * (at.t - low));
    const double right = at.t + std::min(away, 0.5 * (high - at.t));
    if (!(low < left && left < at.t && at.t < right && right < high)) continue;
    asked.push_back(placed[i]);
    flanks.push_back(left);
    flanks.push_back(right);
  }
  if (asked.empty()) return;
  const LineAnswers beside = ask(flanks);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    CloseUp& at = close_ups[asked[i]];
    at.single = all_say_something(beside, 2 * i, 2) &&
                on_line(at.before, beside, 2 * i, flanks[2 * i]) &&
                on_line(at.after, beside, 2 * i + 1, flanks[2 * i + 1]);
  }
}

/// Pieces and kinks again, with two pieces of its own for every kink that was looked at.
void Crowd::take(const std::vector<CloseUp>& close_ups) {
  std::vector<const CloseUp*> of_kink(pieces_.kinks.size(), nullptr);
  for (const CloseUp& close_up : close_ups) of_kink[close_up.kink] = &close_up;
  MeasuredPieces result;
  result.scale = pieces_.scale;
  std::size_t last_shared = pieces_.size();  // the piece of the old list that ends the new one
  const auto append = [&](const Piece& piece, bool local) {
    if (!result.pieces.empty() && result.kinks.size() < result.pieces.size()) {
      Kink seam;
      seam.jump.assign(p_, 0.0);
      seam.low = result.pieces.back().high;
      seam.high = piece.low;
      seam.t = 0.5 * (seam.low + seam.high);
      result.kinks.push_back(seam);
      result.seam.push_back(true);
    }
    result.pieces.push_back(piece);
    result.local.push_back(local);
  };
  for (std::size_t j = 0; j < pieces_.kinks.size(); ++j) {
    const CloseUp* const at = of_kink[j];
    if (at == nullptr) {
      if (last_shared != j) append(pieces_.pieces[j], false);
      result.kinks.push_back(pieces_.kinks[j]);
      result.seam.push_back(false);
      append(pieces_.pieces[j + 1], false);
      last_shared = j + 1;
    } else if (at->single) {
      append({at->before, at->left, at->t, pieces_.pieces[j].sigma}, true);
      Kink kink;
      kink.t = kink.low = kink.high = at->t;
      kink.exact = true;
      for (std::size_t o = 0; o < p_; ++o) {
        kink.jump.push_back(at->after.slope[o] - at->before.slope[o]);
      }
      result.kinks.push_back(kink);
      result.seam.push_back(false);
      append({at->after, at->t, at->right, pieces_.pieces[j + 1].sigma}, true);
    }
  }
  if (result.pieces.empty()) {  // nothing here can be measured
    result.pieces.push_back(pieces_.pieces.front());
    result.local.push_back(false);
  }
  pieces_ = std::move(result);
}

}  // namespace

void localize_crowded_kinks(const AskLine& ask, const SearchedLine& line, const NoiseModel& noise,
                            const Hypothesis& known, const GapPolicy& policy, const QueryPlan& plan,
                            MeasuredPieces& pieces) {
  if (policy.last() || known.neurons() == 0 || pieces.kinks.empty()) return;
  Crowd crowd(ask, line, known, plan, pieces);
  std::vector<CloseUp> close_ups = crowd.crowded(policy.tolerance);
  if (close_ups.empty()) return;
  crowd.look(close_ups);
  // Steps are short for fear of hyperplanes that nobody knows: the fewer of those there are, the
  // longer they may be. safest_steps keeps off the known ones.
  const double boost =
      std::clamp(static_cast<double>(known.neurons()) / static_cast<double>(pieces.kinks.size()),
                 1.0, kLongestStep / plan.step_share);
  crowd.take(close_ups);
  assess_pieces(pieces, line, noise, plan, &known);
  for (std::size_t m = 0; m < pieces.size(); ++m) {
    if (pieces.is_local(m)) pieces.step[m] *= boost;
  }
}

}  // namespace crease
