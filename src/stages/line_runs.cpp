// The straight runs of a line search: found, trimmed, extended and merged.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/line_scan.hpp"

namespace crease {
namespace {

constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
constexpr double kMeetingSigmas =
    1e3;  // slope jump, in sigmas, of outputs that may vote on a meeting
constexpr double kMeetingShare = 1e-3;  // a meeting this close to a known point proves nothing
constexpr std::size_t kMeetingNeighbours = 16;  // points on either side whose bends are compared
constexpr double kClosePoints = 1e-3;  // of the next gap: a triple does not test its far point

}  // namespace

LineFit LineSearch::fit(std::size_t first, std::size_t last) const {
  LineFit line;
  double weight_sum = 0;
  for (std::size_t i = first; i <= last; ++i) {
    const double sigma = std::max(s(i, 0), 1e-120);
    weight_sum += 1 / (sigma * sigma);
    line.center += t_[i] / (sigma * sigma);
  }
  line.center /= weight_sum;
  for (std::size_t o = 0; o < p_; ++o) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double y0 = 0;
    double y1 = 0;
    for (std::size_t i = first; i <= last; ++i) {
      const double sigma = std::max(s(i, o), 1e-120);
      const double weight = 1 / (sigma * sigma);
      const double dt = t_[i] - line.center;
      s0 += weight;
      s1 += weight * dt;
      s2 += weight * dt * dt;
      y0 += weight * f(i, o);
      y1 += weight * dt * f(i, o);
    }
    const double determinant = std::max(s0 * s2 - s1 * s1, 1e-300 * s0);
    const double slope = (s0 * y1 - s1 * y0) / determinant;
    line.slope.push_back(slope);
    line.value.push_back((y0 - slope * s1) / s0);
    line.value_sd.push_back(1 / std::sqrt(s0));
    line.slope_sd.push_back(std::sqrt(s0 / determinant));
  }
  return line;
}

LineFit LineSearch::cell_line(std::size_t i) const {
  LineFit line;
  line.center = t_[i];
  for (std::size_t o = 0; o < p_; ++o) {
    line.value.push_back(f(i, o));
    line.slope.push_back((f(i + 1, o) - f(i, o)) / h(i));
  }
  line.value_sd.assign(p_, 0);
  line.slope_sd.assign(p_, 0);
  return line;
}

double intersection(const LineFit& a, const LineFit& b, const std::vector<double>& scale) {
  const double m = 0.5 * (a.center + b.center);
  double square = 0;
  double product = 0;
  for (std::size_t o = 0; o < scale.size(); ++o) {
    const double slope = (a.slope[o] - b.slope[o]) / scale[o];
    square += slope * slope;
    product += (b.at(m, o) - a.at(m, o)) / scale[o] * slope;
  }
  return square == 0 ? kNowhere : m + product / square;
}

bool LineSearch::agree_at(const LineFit& a, const LineFit& b, double t) const {
  for (std::size_t o = 0; o < p_; ++o) {
    if (!(std::abs(a.at(t, o) - b.at(t, o)) <=
          plan_.sigmas * std::hypot(a.sd_at(t, o), b.sd_at(t, o)))) {
      return false;
    }
  }
  return true;
}

/// Two lines in R^p that agree at t in every output, and bend there in at least two: p - 1
/// equations that hold only if nothing else is between them.
bool LineSearch::meet_at(const LineFit& a, const LineFit& b, double t) const {
  if (p_ < 2 || !meetings_prove_ || !agree_at(a, b, t)) return false;
  int voters = 0;
  for (std::size_t o = 0; o < p_; ++o) {
    const double sd = std::hypot(a.slope_sd[o], b.slope_sd[o]);
    if (std::abs(a.slope[o] - b.slope[o]) > kMeetingSigmas * plan_.sigmas * sd) ++voters;
  }
  return voters >= 2;
}

bool LineSearch::on_line(const LineFit& line, std::size_t i) const {
  for (std::size_t o = 0; o < p_; ++o) {
    if (!(std::abs(f(i, o) - line.at(t_[i], o)) <=
          plan_.sigmas * std::hypot(s(i, o), line.sd_at(t_[i], o)))) {
      return false;
    }
  }
  return true;
}

/// Whether a bend near the cell, other than that of a kink within it, has the direction of this
/// jump: then p - 1 of the equations of a meeting are void. Outputs that are multiples of one
/// another bend in one direction everywhere.
bool LineSearch::is_shared(const std::vector<double>& jump, const std::vector<double>& jump_sd,
                           std::size_t cell) const {
  std::size_t main = 0;
  for (std::size_t o = 1; o < p_; ++o) {
    if (std::abs(jump[o]) / scale_[o] > std::abs(jump[main]) / scale_[main]) main = o;
  }
  const std::size_t first = cell > kMeetingNeighbours ? cell - kMeetingNeighbours : 1;
  const std::size_t last = std::min(cell + 1 + kMeetingNeighbours, t_.size() - 2);
  for (std::size_t i = first; i <= last; ++i) {
    if (i == cell || i == cell + 1 || !bent_[i]) continue;
    const Bend reference = bend(i, main);
    if (std::abs(reference.value) <= 100 * plan_.sigmas * reference.sd) continue;
    const double size = reference.value / jump[main];
    bool parallel = true;
    for (std::size_t o = 0; o < p_ && parallel; ++o) {
      const Bend other = bend(i, o);
      const double share = jump[o] / jump[main];
      const double sd = other.sd + std::abs(share) * reference.sd +
                        std::abs(size) * (jump_sd[o] + std::abs(share) * jump_sd[main]);
      parallel = std::abs(other.value - size * jump[o]) <= plan_.sigmas * sd;
    }
    if (parallel) return true;
  }
  return false;
}

/// With two outputs or more, four consecutive points: if the lines through the first and the last
/// two meet within the middle cell, both end cells are straight, and no third point is needed. A
/// meeting at a middle point only says that three points are collinear.
void LineSearch::add_meeting_cells(std::vector<Run>& runs, std::vector<bool>& covered) {
  std::vector<Run> cells;
  std::vector<double> jump(p_);
  std::vector<double> jump_sd(p_);
  for (std::size_t i = 1; i + 2 < t_.size(); ++i) {
    const LineFit left = cell_line(i - 1);
    const LineFit right = cell_line(i + 1);
    double square = 0;
    double product = 0;
    for (std::size_t o = 0; o < p_; ++o) {
      const double slope = (right.slope[o] - left.slope[o]) / scale_[o];
      const double gap = (f(i + 1, o) - f(i, o) - left.slope[o] * h(i)) / scale_[o];
      square += slope * slope;
      product += gap * slope;
    }
    if (square == 0) continue;
    const double x = -product / square;  // offset of the meeting from point i + 1
    const double inside = std::min(-x, x + h(i));
    if (!(inside > kMeetingShare * h(i))) continue;
    int voters = 0;
    bool agree = true;
    for (std::size_t o = 0; o < p_ && agree; ++o) {
      const double slope = right.slope[o] - left.slope[o];
      const double gap = f(i + 1, o) - f(i, o) - left.slope[o] * h(i);
      const double to_left = (x + h(i)) / h(i - 1);
      const double to_right = x / h(i + 1);
      const auto square_of = [&](std::size_t j) { return s(j, o) * s(j, o); };
      const double sd = std::sqrt(square_of(i) + square_of(i + 1) +
                                  to_left * to_left * (square_of(i) + square_of(i - 1)) +
                                  to_right * to_right * (square_of(i + 1) + square_of(i + 2)));
      agree = std::abs(gap + slope * x) <= plan_.sigmas * sd;
      const double lever = std::min({h(i - 1), h(i + 1), inside});
      if (std::abs(slope) * lever > 100 * plan_.sigmas * sd) ++voters;
      jump[o] = slope;
      jump_sd[o] = std::sqrt((square_of(i - 1) + square_of(i)) / (h(i - 1) * h(i - 1)) +
                             (square_of(i + 1) + square_of(i + 2)) / (h(i + 1) * h(i + 1)));
    }
    if (!agree || voters < 2) continue;
    if (is_shared(jump, jump_sd, i)) {
      meetings_prove_ = false;
      return;
    }
    for (const std::size_t cell : {i - 1, i + 1}) {
      if (covered[cell]) continue;
      covered[cell] = true;
      cells.push_back({cell, cell + 1, {}});
    }
  }
  runs.insert(runs.end(), cells.begin(), cells.end());
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.first < b.first; });
}

/// A triple of two close points and a far one says little about the far one: such an end of a run
/// is not part of it if the line through the others does not meet it.
void LineSearch::trim(Run& run) const {
  run.fit = fit(run.first, run.last);
  if (run.last - run.first >= 3 && h(run.last - 2) < kClosePoints * h(run.last - 1)) {
    const LineFit without = fit(run.first, run.last - 1);
    if (!on_line(without, run.last)) {
      --run.last;
      run.fit = without;
    }
  }
  if (run.last - run.first >= 3 && h(run.first + 1) < kClosePoints * h(run.first)) {
    const LineFit without = fit(run.first + 1, run.last);
    if (!on_line(without, run.first)) {
      ++run.first;
      run.fit = without;
    }
  }
}

std::vector<Run> LineSearch::find_runs() {
  std::vector<Run> runs;
  std::vector<bool> covered(t_.size(), false);
  for (std::size_t i = 1; i + 1 < t_.size();) {
    if (!straight_[i]) {
      ++i;
      continue;
    }
    const std::size_t first = i - 1;
    while (i + 1 < t_.size() && straight_[i]) ++i;
    runs.push_back({first, i, {}});
    for (std::size_t cell = first; cell < i; ++cell) covered[cell] = true;
  }
  if (p_ > 1 && meetings_prove_) add_meeting_cells(runs, covered);
  for (Run& run : runs) trim(run);
  return runs;
}

/// To neighbouring points that lie on the same line; at most one point into the neighbour's run.
void LineSearch::extend(std::vector<Run>& runs) const {
  for (std::size_t r = 0; r < runs.size(); ++r) {
    Run& run = runs[r];
    const std::size_t low = r == 0 ? 0 : runs[r - 1].last - 1;
    const std::size_t high = r + 1 < runs.size() ? runs[r + 1].first + 1 : t_.size() - 1;
    // Fitted again at every step: a run of three close points says little far away, and the first
    // point it takes in must be able to keep out the next.
    while (run.last < high && on_line(run.fit, run.last + 1)) {
      run.fit = fit(run.first, ++run.last);
    }
    while (run.first > low && on_line(run.fit, run.first - 1)) {
      run.fit = fit(--run.first, run.last);
    }
  }
}

/// Adjacent runs that are one line become one.
std::vector<Run> LineSearch::merge(std::vector<Run> runs) const {
  std::vector<Run> merged;
  for (Run& run : runs) {
    if (!merged.empty() && merged.back().last + 1 >= run.first) {
      Run& before = merged.back();
      const LineFit& a = before.fit;
      const LineFit& b = run.fit;
      bool same = agree_at(a, b, 0.5 * (a.center + b.center));
      for (std::size_t o = 0; o < p_ && same; ++o) {
        same = std::abs(a.slope[o] - b.slope[o]) <=
               plan_.sigmas * std::hypot(a.slope_sd[o], b.slope_sd[o]);
      }
      if (same) {
        before.last = std::max(before.last, run.last);
        before.fit = fit(before.first, before.last);
        continue;
      }
    }
    merged.push_back(std::move(run));
  }
  return merged;
}

}  // namespace crease
