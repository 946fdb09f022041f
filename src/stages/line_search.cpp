// The pieces and kinks of a piecewise linear function along one line.
#include "src/stages/line_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
constexpr double kMeetingSigmas =
    1e3;  // slope jump, in sigmas, of outputs that may vote on a meeting
constexpr double kMeetingShare = 1e-3;  // a meeting this close to a known point proves nothing
constexpr double kClosePoints = 1e-3;   // of the next gap: a triple does not test its far point
constexpr Index kEscalationRound = 10;  // from here on, tiny cells that stay bent are noise

constexpr std::size_t kMeetingNeighbours = 16;  // points on either side whose bends are compared

struct Bend {
  double value;  // of the middle point of a triple, from the line through the outer two
  double sd;
};

struct Run {
  std::size_t first;  // points first..last are on one line
  std::size_t last;
  LineFit fit;
};

class LineSearch {
 public:
  LineSearch(const AskLine& ask, Index outputs, const LineSearchInput& input, const QueryPlan& plan,
             Random& random)
      : ask_(ask),
        p_(static_cast<std::size_t>(outputs)),
        c_(input.scale),
        cells_(static_cast<double>(input.cells)),
        known_(input.known),
        plan_(plan) {
    ask_first_grid(input, random);
  }

  LineResult run();

 private:
  // Points, sorted: t_[i], values f(i, o), noise of the answers, and noise with what known
  // hyperplanes leave.
  double f(std::size_t i, std::size_t o) const { return values_[i * p_ + o]; }
  double s(std::size_t i, std::size_t o) const { return sigmas_[i * p_ + o]; }
  double h(std::size_t i) const { return t_[i + 1] - t_[i]; }
  double rho(std::size_t i) const { return std::hypot(c_, t_[i]); }
  double angle(double a, double b) const { return std::atan(b / c_) - std::atan(a / c_); }
  double middle(double a, double b) const {
    return c_ * std::tan(0.5 * (std::atan(a / c_) + std::atan(b / c_)));
  }
  double rounding_floor(double t, double value, std::size_t o) const {
    return kRounding *
           (std::abs(value) + kSlopeRounding * c_ * slope_range_[o] * std::hypot(c_, t));
  }

  void ask_first_grid(const LineSearchInput& input, Random& random);
  void ask_and_merge(const std::vector<double>& proposals);
  void widen_noise_at_known_crossings();
  void set_resolution();
  bool slope_range_grew();
  bool noise_was_underestimated();
  Bend bend(std::size_t i, std::size_t o) const;
  void test_triples();
  std::vector<Run> find_runs();
  void add_meeting_cells(std::vector<Run>& runs, std::vector<bool>& covered);
  bool is_shared(const std::vector<double>& jump, const std::vector<double>& jump_sd,
                 std::size_t cell) const;
  void trim(Run& run) const;
  void extend(std::vector<Run>& runs) const;
  std::vector<Run> merge(std::vector<Run> runs) const;
  LineFit fit(std::size_t first, std::size_t last) const;
  LineFit cell_line(std::size_t i) const;
  double intersection(const LineFit& a, const LineFit& b) const;
  bool agree_at(const LineFit& a, const LineFit& b, double t) const;
  bool meet_at(const LineFit& a, const LineFit& b, double t) const;
  bool on_line(const LineFit& line, std::size_t i) const;
  Kink kink(const LineFit& a, const LineFit& b, double t, bool exact, double low,
            double high) const;
  bool propose_in_cells(std::size_t first, std::size_t last, const LineFit* a, const LineFit* b,
                        std::vector<double>& proposals) const;
  bool settle_gap(const Run& a, const Run& b, std::vector<Kink>& kinks,
                  std::vector<double>& proposals);
  std::vector<double> judge(const std::vector<Run>& runs, std::vector<Kink>& kinks);

  const AskLine& ask_;
  std::size_t p_;
  double c_;
  double cells_;
  const KnownCrossings* known_;
  const QueryPlan& plan_;
  std::vector<double> t_;
  std::vector<double> values_;
  std::vector<double> answer_sigmas_;
  std::vector<double> sigmas_;
  std::vector<double> slope_range_;
  // Set by set_resolution(): smallest angle worth resolving, noise unit per output, share of the
  // slope range that a straight triple must be able to exclude.
  bool resolution_set_ = false;
  double smallest_angle_ = 0;
  std::vector<double> scale_;
  std::vector<double> excluded_share_;
  bool meetings_prove_ = true;  // no two kinks seen so far bend in the same direction of R^p
  std::vector<bool> bent_;      // of interior point i, as the middle of a triple
  std::vector<bool> straight_;  // and the triple is evidence
  std::set<std::pair<double, double>> flank_pairs_;
};

void LineSearch::ask_first_grid(const LineSearchInput& input, Random& random) {
  const double end = std::atan(plan_.reach);
  const double cell = 2 * end / cells_;
  for (Index i = 0; i <= input.cells; ++i) {
    const bool inner = i > 0 && i < input.cells;
    const double jitter = inner ? random.uniform(-0.1, 0.1) * cell : 0.0;
    t_.push_back(c_ * std::tan(-end + static_cast<double>(i) * cell + jitter));
  }
  t_.insert(t_.end(), input.extra.begin(), input.extra.end());
  std::sort(t_.begin(), t_.end());
  t_.erase(std::unique(t_.begin(), t_.end()), t_.end());

  LineAnswers answers = ask_(t_);
  values_ = std::move(answers.values);
  answer_sigmas_ = std::move(answers.sigmas);
  for (std::size_t o = 0; o < p_; ++o) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    double largest = 0;
    for (std::size_t i = 0; i + 1 < t_.size(); ++i) {
      const double slope = (f(i + 1, o) - f(i, o)) / h(i);
      low = std::min(low, slope);
      high = std::max(high, slope);
    }
    for (std::size_t i = 0; i < t_.size(); ++i) largest = std::max(largest, std::abs(f(i, o)));
    const double steepest = std::max(std::abs(low), std::abs(high));
    slope_range_.push_back(std::max({high - low, 1e-3 * steepest, 1e-6 * largest / c_, 1e-100}));
  }
  for (std::size_t i = 0; i < t_.size(); ++i) {
    for (std::size_t o = 0; o < p_; ++o) {
      double& sigma = answer_sigmas_[i * p_ + o];
      sigma = std::hypot(sigma, rounding_floor(t_[i], f(i, o), o));
    }
  }
}

void LineSearch::ask_and_merge(const std::vector<double>& proposals) {
  const LineAnswers answers = ask_(proposals);
  const std::size_t old_count = t_.size();
  const std::size_t count = old_count + proposals.size();
  std::vector<double> t(count);
  std::vector<double> values(count * p_);
  std::vector<double> sigmas(count * p_);
  std::size_t a = 0;
  std::size_t b = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool old = b == proposals.size() || (a < old_count && t_[a] < proposals[b]);
    t[i] = old ? t_[a] : proposals[b];
    for (std::size_t o = 0; o < p_; ++o) {
      const double value = old ? values_[a * p_ + o] : answers.values[b * p_ + o];
      values[i * p_ + o] = value;
      sigmas[i * p_ + o] =
          old ? answer_sigmas_[a * p_ + o]
              : std::hypot(answers.sigmas[b * p_ + o], rounding_floor(proposals[b], value, o));
    }
    old ? ++a : ++b;
  }
  t_ = std::move(t);
  values_ = std::move(values);
  answer_sigmas_ = std::move(sigmas);
}

/// A hyperplane that is known to within an error leaves a step and a bend in the residual where it
/// crosses the line. Without their allowance the search would chase them with thousands of points.
void LineSearch::widen_noise_at_known_crossings() {
  sigmas_ = answer_sigmas_;
  if (known_ == nullptr) return;
  const std::size_t n = t_.size();
  for (std::size_t k = 0; k < known_->t.size(); ++k) {
    const auto after =
        static_cast<std::size_t>(std::lower_bound(t_.begin(), t_.end(), known_->t[k]) - t_.begin());
    const double cell = h(std::min(after == 0 ? 0 : after - 1, n - 2));
    for (const std::size_t i : {after == 0 ? 0 : after - 1, std::min(after, n - 1)}) {
      for (std::size_t o = 0; o < p_; ++o) {
        const double left_over = known_->step[k * p_ + o] + known_->bend[k * p_ + o] * cell;
        sigmas_[i * p_ + o] = std::max(sigmas_[i * p_ + o], left_over);
      }
    }
  }
}

void LineSearch::set_resolution() {
  if (resolution_set_) return;
  resolution_set_ = true;
  scale_.assign(p_, 0);
  excluded_share_.assign(p_, 0);
  smallest_angle_ = std::numeric_limits<double>::infinity();
  for (std::size_t o = 0; o < p_; ++o) {
    std::vector<double> relative(t_.size());
    for (std::size_t i = 0; i < t_.size(); ++i) relative[i] = answer_sigmas_[i * p_ + o] / rho(i);
    const double noise = median(std::move(relative));
    // A triple of the first grid must be able to count as evidence.
    slope_range_[o] = std::max(slope_range_[o], 50 * plan_.sigmas * cells_ * noise);
    excluded_share_[o] = std::clamp(
        2 * plan_.sigmas * noise / (slope_range_[o] * plan_.angle_resolution), 1e-4, 3e-2);
    smallest_angle_ = std::min(smallest_angle_,
                               2 * plan_.sigmas * noise / (excluded_share_[o] * slope_range_[o]));
    scale_[o] = noise * c_;
  }
}

/// The slope range comes from the first grid, where a function may be zero almost everywhere: it
/// grows with what refinement uncovers, or real kinks would be taken for clusters.
bool LineSearch::slope_range_grew() {
  bool grew = false;
  for (std::size_t o = 0; o < p_; ++o) {
    double low = 0;
    double high = 0;
    for (std::size_t i = 0; i + 1 < t_.size(); ++i) {
      const double rise = f(i + 1, o) - f(i, o);
      if (std::abs(rise) <= 100 * plan_.sigmas * (s(i, o) + s(i + 1, o))) continue;
      low = std::min(low, rise / h(i));
      high = std::max(high, rise / h(i));
    }
    if (high - low > 2 * slope_range_[o]) {
      slope_range_[o] = high - low;
      grew = true;
    }
  }
  return grew;
}

/// After ten rounds, many cells far smaller than the first ones of which nearly all are bent are
/// not kinks.
bool LineSearch::noise_was_underestimated() {
  std::vector<std::size_t> tiny;
  Index bent = 0;
  for (std::size_t i = 1; i + 1 < t_.size(); ++i) {
    if (angle(t_[i - 1], t_[i + 1]) >= 4e-3 * std::numbers::pi / cells_) continue;
    tiny.push_back(i);
    bent += bent_[i] ? 1 : 0;
  }
  const auto count = static_cast<double>(tiny.size());
  if (count <= std::max(100.0, 2 * cells_) || static_cast<double>(bent) <= 0.8 * count)
    return false;
  for (std::size_t o = 0; o < p_; ++o) {
    std::vector<double> deviations;
    for (const std::size_t i : tiny) {
      const double h1 = h(i - 1);
      const double h2 = h(i);
      const double bend = f(i, o) - (h2 * f(i - 1, o) + h1 * f(i + 1, o)) / (h1 + h2);
      deviations.push_back(std::abs(bend) / rho(i));
    }
    const double level = median(std::move(deviations));
    for (std::size_t i = 0; i < t_.size(); ++i) {
      double& sigma = answer_sigmas_[i * p_ + o];
      sigma = std::max(sigma, 0.3 * level * rho(i));
    }
  }
  return true;
}

Bend LineSearch::bend(std::size_t i, std::size_t o) const {
  const double h1 = h(i - 1);
  const double h2 = h(i);
  const double w1 = h2 / (h1 + h2);
  const double w2 = h1 / (h1 + h2);
  return {f(i, o) - (w1 * f(i - 1, o) + w2 * f(i + 1, o)),
          std::sqrt(s(i, o) * s(i, o) + w1 * w1 * s(i - 1, o) * s(i - 1, o) +
                    w2 * w2 * s(i + 1, o) * s(i + 1, o))};
}

void LineSearch::test_triples() {
  const std::size_t n = t_.size();
  bent_.assign(n, false);
  straight_.assign(n, false);
  for (std::size_t i = 1; i + 1 < n; ++i) {
    bool strong = true;
    for (std::size_t o = 0; o < p_; ++o) {
      const auto [deviation, sd] = bend(i, o);
      if (std::abs(deviation) > plan_.sigmas * sd) bent_[i] = true;
      strong = strong && plan_.sigmas * sd * (1 / h(i - 1) + 1 / h(i)) <=
                             excluded_share_[o] * slope_range_[o] * c_ / rho(i);
    }
    straight_[i] = strong && !bent_[i];
  }
}

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

/// Where two lines in R^p come closest, outputs weighted by their noise; NaN for parallel lines.
double LineSearch::intersection(const LineFit& a, const LineFit& b) const {
  const double m = 0.5 * (a.center + b.center);
  double square = 0;
  double product = 0;
  for (std::size_t o = 0; o < p_; ++o) {
    const double slope = (a.slope[o] - b.slope[o]) / scale_[o];
    square += slope * slope;
    product += (b.at(m, o) - a.at(m, o)) / scale_[o] * slope;
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
    if (angle(t_[i], t_[i + 1]) <= 2 * smallest_angle_) continue;
    const bool at_left = i == first;
    const bool at_right = i + 1 == last;
    double x = kNowhere;
    if (!(at_left && a == nullptr) && !(at_right && b == nullptr)) {
      x = intersection(at_left ? *a : cell_line(i - 1), at_right ? *b : cell_line(i + 1));
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
  const double x = intersection(a.fit, b.fit);
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
  if (angle(low, high) <= 2 * smallest_angle_ || alike) {
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
            kink(a.fit, b.fit, intersection(a.fit, b.fit), true, t_[b.first], t_[a.last]));
      } else if (b.first == a.last + 1) {
        settle_gap(a, b, kinks, proposals);
      } else {
        const double low = t_[a.last];
        const double high = t_[b.first];
        const double x = intersection(a.fit, b.fit);
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
    std::vector<Run> runs = find_runs();
    extend(runs);
    runs = merge(std::move(runs));
    result.pieces.clear();
    for (const Run& run : runs) result.pieces.push_back({run.fit, t_[run.first], t_[run.last]});
    result.kinks.clear();
    const std::vector<double> proposals = judge(runs, result.kinks);
    if (proposals.empty() || static_cast<Index>(t_.size() + proposals.size()) > plan_.line_points) {
      break;
    }
    ask_and_merge(proposals);
  }
  result.scale = scale_;
  result.slope_range = slope_range_;
  result.low = t_.front();
  result.high = t_.back();
  result.points = static_cast<Index>(t_.size());
  return result;
}

}  // namespace

LineResult search_line(const AskLine& ask, Index outputs, const LineSearchInput& input,
                       const QueryPlan& plan, Random& random) {
  return LineSearch(ask, outputs, input, plan, random).run();
}

}  // namespace crease
