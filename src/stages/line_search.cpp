// What to ask next on a line, until every kink is settled.
#include "src/stages/line_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/line_scan.hpp"

namespace crease {
namespace {

constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFewestPoints = 3;  // that say something: below, there is nothing to search
constexpr Index kEscalationRound = 10;    // from here on, tiny cells that stay bent are noise

}  // namespace

Kink LineSearch::kink(const LineFit& a, const LineFit& b, double t, bool exact, double low,
                      double high) const {
  Kink result;
  result.t = t;
  for (std::size_t o = 0; o < p_; ++o) result.jump.push_back(b.slope[o] - a.slope[o]);
  result.exact = exact;
  result.low = low;
  result.high = high;
  return result;
}

/// Points to ask in the unexplained cells between points first and last, whose neighbours lie on
/// lines a and b (null: unknown). False if every cell is too small to resolve.
bool LineSearch::propose_in_cells(std::size_t first, std::size_t last, const LineFit* a,
                                  const LineFit* b, std::vector<double>& proposals) const {
  struct Candidate {
    std::size_t cell;
    double t;  // NaN: no kink predicted
  };
  std::vector<Candidate> candidates;
  for (std::size_t i = first; i < last; ++i) {
    if (angle(t_[i], t_[i + 1]) <= 2 * smallest_angle_ || silent_between(t_[i], t_[i + 1])) {
      continue;
    }
    const bool at_left = i == first;
    const bool at_right = i + 1 == last;
    double x = kNowhere;
    if (!(at_left && a == nullptr) && !(at_right && b == nullptr)) {
      x = intersection(at_left ? *a : cell_line(i - 1), at_right ? *b : cell_line(i + 1), scale_);
    }
    const double share = (x - t_[i]) / h(i);
    if (share >= plan_.cell_share && share <= 1 - plan_.cell_share) {
      // Beside x, towards the side that is not verified: x itself is collinear with both by
      // construction.
      const bool to_right = at_left || at_right ? at_left : share < 0.5;
      candidates.push_back({i, to_right ? x + plan_.cell_step * (t_[i + 1] - x)
                                        : x - plan_.cell_step * (x - t_[i])});
    } else {
      candidates.push_back({i, kNowhere});
    }
  }
  const auto predicts = [&](std::size_t c, std::size_t cell) {
    return c < candidates.size() && candidates[c].cell == cell && std::isfinite(candidates[c].t);
  };
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::size_t cell = candidates[c].cell;
    if (std::isfinite(candidates[c].t)) {
      proposals.push_back(candidates[c].t);
    } else if (!(c > 0 && predicts(c - 1, cell - 1)) && !predicts(c + 1, cell + 1)) {
      proposals.push_back(
          middle(t_[cell], t_[cell + 1]));  // unless a neighbour will tell this round
    }
  }
  return !candidates.empty();
}

/// Runs a and b end and begin at neighbouring points: the kink between, or what to ask to find it.
/// True if settled.
bool LineSearch::settle_gap(const Run& a, const Run& b, std::vector<Kink>& kinks,
                            std::vector<double>& proposals) {
  const double low = t_[a.last];
  const double high = t_[b.first];
  const double x = intersection(a.fit, b.fit, scale_);
  const double inside = std::isfinite(x) ? std::clamp(x, low, high) : 0.5 * (low + high);
  bool alike = true;        // equal at both ends: jump and offset both vanish in the noise
  double largest_jump = 0;  // in sigmas
  for (std::size_t o = 0; o < p_; ++o) {
    const double sigma = std::max(s(a.last, o), s(b.first, o));
    alike = alike &&
            std::max(std::abs(a.fit.at(low, o) - b.fit.at(low, o)),
                     std::abs(a.fit.at(high, o) - b.fit.at(high, o))) <= 4 * plan_.sigmas * sigma;
    largest_jump = std::max(largest_jump, std::abs(b.fit.slope[o] - a.fit.slope[o]) / sigma);
  }
  if (x >= low && x <= high &&
      (flank_pairs_.contains({low, high}) ||
       (!plan_.flank_every_kink && meet_at(a.fit, b.fit, x)))) {
    kinks.push_back(kink(a.fit, b.fit, x, true, low, high));
    return true;
  }
  if (angle(low, high) <= 2 * smallest_angle_ || alike || silent_between(low, high)) {
    kinks.push_back(kink(a.fit, b.fit, inside, false, low, high));
    return true;
  }
  kinks.push_back(kink(a.fit, b.fit, inside, false, low, high));
  if (x > low && x < high && (p_ == 1 || agree_at(a.fit, b.fit, x))) {
    // Both lines must still hold right beside the predicted kink, on either side. One check at the
    // kink would be fooled by pairs of opposite sign, whose intersection lies outside the pair.
    const double away =
        std::max(plan_.flank * (high - low), 8 * plan_.sigmas / std::max(largest_jump, 1e-300));
    const double left = x - std::min(away, 0.5 * (x - low));
    const double right = x + std::min(away, 0.5 * (high - x));
    if (low < left && left < x && x < right && right < high) {
      proposals.push_back(left);
      proposals.push_back(right);
      flank_pairs_.insert({left, right});
      return false;
    }
  }
  proposals.push_back(middle(low, high));
  return false;
}

/// The kinks as far as they are known, and the points to ask next.
std::vector<double> LineSearch::judge(const std::vector<Run>& runs, std::vector<Kink>& kinks) {
  std::vector<double> proposals;
  const std::size_t last_point = t_.size() - 1;
  if (runs.empty()) {
    propose_in_cells(0, last_point, nullptr, nullptr, proposals);
  } else {
    if (runs.front().first > 0) {
      propose_in_cells(0, runs.front().first, nullptr, &runs.front().fit, proposals);
    }
    for (std::size_t r = 0; r + 1 < runs.size(); ++r) {
      const Run& a = runs[r];
      const Run& b = runs[r + 1];
      if (b.first <= a.last) {
        kinks.push_back(
            kink(a.fit, b.fit, intersection(a.fit, b.fit, scale_), true, t_[b.first], t_[a.last]));
      } else if (b.first == a.last + 1) {
        settle_gap(a, b, kinks, proposals);
      } else {
        const double low = t_[a.last];
        const double high = t_[b.first];
        const double x = intersection(a.fit, b.fit, scale_);
        propose_in_cells(a.last, b.first, &a.fit, &b.fit, proposals);
        kinks.push_back(kink(a.fit, b.fit,
                             std::isfinite(x) ? std::clamp(x, low, high) : 0.5 * (low + high),
                             false, low, high));
      }
    }
    if (runs.back().last < last_point) {
      propose_in_cells(runs.back().last, last_point, &runs.back().fit, nullptr, proposals);
    }
  }
  std::sort(proposals.begin(), proposals.end());
  proposals.erase(std::unique(proposals.begin(), proposals.end()), proposals.end());
  std::erase_if(proposals,
                [this](double x) { return std::binary_search(t_.begin(), t_.end(), x); });
  return proposals;
}

LineResult LineSearch::run() {
  LineResult result;
  if (t_.size() < kFewestPoints) {
    result.scale.assign(p_, 0);
    result.slope_range.assign(p_, 0);
    return result;
  }
  std::vector<Run> runs;
  for (Index round = 0; round < plan_.line_rounds; ++round) {
    widen_noise_at_known_crossings();
    set_resolution();
    if (round > 0 && slope_range_grew()) {
      resolution_set_ = false;
      continue;
    }
    test_triples();
    if (round >= kEscalationRound && noise_was_underestimated()) {
      resolution_set_ = false;
      continue;
    }
    runs = find_runs();
    extend(runs);
    runs = merge(std::move(runs));
    result.pieces.clear();
    for (const Run& run : runs) result.pieces.push_back({run.fit, t_[run.first], t_[run.last]});
    result.kinks.clear();
    const std::vector<double> proposals = judge(runs, result.kinks);
    const Index most =
        std::min(plan_.line_points,
                 kPointsWithoutPieces + kPointsPerPiece * static_cast<Index>(runs.size()));
    if (enough_ || proposals.empty() || static_cast<Index>(t_.size() + proposals.size()) > most) {
      break;
    }
    ask_and_merge(proposals);
  }
  for (std::size_t r = 0; told_ && r < result.pieces.size(); ++r) {
    result.pieces[r].sigma = piece_sigma(runs[r]);
  }
  result.scale = scale_;
  result.slope_range = slope_range_;
  result.low = t_.front();
  result.high = t_.back();
  result.points = static_cast<Index>(t_.size());
  return result;
}

LineResult search_line(const AskLine& ask, Index outputs, const LineSearchInput& input,
                       const QueryPlan& plan, Random& random) {
  return LineSearch(ask, outputs, input, plan, random).run();
}

}  // namespace crease
