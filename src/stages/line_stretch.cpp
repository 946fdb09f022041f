// The stretch of a line on which answers say something, where the oracle tells their noise.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/line_scan.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kGridLeft = 0.5;  // of the cells: with fewer in the stretch it is cut up anew

}  // namespace

bool LineSearch::says_something(std::size_t i) const {
  const auto first = answer_sigmas_.begin() + static_cast<std::ptrdiff_t>(i * p_);
  return std::none_of(first, first + static_cast<std::ptrdiff_t>(p_),
                      [](double sigma) { return std::isinf(sigma); });
}

/// Keeps the neighbouring points around the middle that say something; `before` and `after` become
/// the nearest ones on either side that do not. False if all of them did.
bool LineSearch::cut_to_stretch(double& before, double& after) {
  std::size_t middle = t_.size();
  bool all = true;
  for (std::size_t i = 0; i < t_.size(); ++i) {
    if (!says_something(i)) {
      all = false;
    } else if (middle == t_.size() || std::abs(t_[i]) < std::abs(t_[middle])) {
      middle = i;
    }
  }
  if (all) return false;
  std::size_t first = middle;
  std::size_t end = middle == t_.size() ? middle : middle + 1;
  while (first > 0 && end > first && says_something(first - 1)) --first;
  while (end < t_.size() && end > first && says_something(end)) ++end;
  if (first > 0) before = t_[first - 1];
  if (end < t_.size()) after = t_[end];
  const auto keep = [&](std::vector<double>& values, std::size_t width) {
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(end * width), values.end());
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(first * width));
  };
  keep(t_, 1);
  keep(values_, p_);
  keep(answer_sigmas_, p_);
  return true;
}

void LineSearch::keep_stretch(Random& random) {
  double before = -kInfinity;
  double after = kInfinity;
  if (!cut_to_stretch(before, after)) return;
  for (int round = 0; round < kBisections && !t_.empty(); ++round) {
    std::vector<double> ends;
    if (before != -kInfinity) ends.push_back(middle(before, t_.front()));
    if (after != kInfinity) ends.push_back(middle(t_.back(), after));
    std::erase_if(ends, [&](double x) { return x == before || x == after; });
    std::erase_if(ends, [&](double x) { return x == t_.front() || x == t_.back(); });
    if (ends.empty()) break;
    merge_points(ends, ask_(ends));
    cut_to_stretch(before, after);
  }
  if (t_.size() < 2 || static_cast<double>(t_.size() - 1) >= kGridLeft * cells_) return;
  const double low = std::atan(t_.front() / c_);
  const double cell = (std::atan(t_.back() / c_) - low) / cells_;
  std::vector<double> grid;
  for (double i = 1; i < cells_; ++i) {
    grid.push_back(c_ * std::tan(low + (i + random.uniform(-0.1, 0.1)) * cell));
  }
  std::erase_if(grid, [&](double x) {
    return !(t_.front() < x && x < t_.back()) || std::binary_search(t_.begin(), t_.end(), x);
  });
  grid.erase(std::unique(grid.begin(), grid.end()), grid.end());
  if (grid.empty()) return;
  merge_points(grid, ask_(grid));
  cut_to_stretch(before, after);
}

/// Without the points that said nothing; their places are remembered.
void LineSearch::drop_silent(std::vector<double>& asked, LineAnswers& answers) {
  LineAnswers kept;
  std::vector<double> places;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto from = static_cast<std::ptrdiff_t>(i * p_);
    const auto to = from + static_cast<std::ptrdiff_t>(p_);
    if (std::any_of(answers.sigmas.begin() + from, answers.sigmas.begin() + to,
                    [](double sigma) { return std::isinf(sigma); })) {
      silent_.push_back(asked[i]);
      continue;
    }
    places.push_back(asked[i]);
    kept.values.insert(kept.values.end(), answers.values.begin() + from,
                       answers.values.begin() + to);
    kept.sigmas.insert(kept.sigmas.end(), answers.sigmas.begin() + from,
                       answers.sigmas.begin() + to);
  }
  std::sort(silent_.begin(), silent_.end());
  asked = std::move(places);
  answers = std::move(kept);
}

bool LineSearch::silent_between(double low, double high) const {
  const auto at = std::lower_bound(silent_.begin(), silent_.end(), low);
  return at != silent_.end() && *at <= high;
}

std::vector<double> LineSearch::piece_sigma(const Run& run) const {
  std::vector<double> sigma;
  for (std::size_t o = 0; o < p_; ++o) {
    std::vector<double> each;
    for (std::size_t i = run.first; i <= run.last; ++i) each.push_back(answer_sigmas_[i * p_ + o]);
    sigma.push_back(median(std::move(each)));
  }
  return sigma;
}

}  // namespace crease
