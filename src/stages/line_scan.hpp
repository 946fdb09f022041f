// One search along one line: its points (line_points.cpp), those of them that say something
// (line_stretch.cpp), its straight runs (line_runs.cpp), and what to ask next (line_search.cpp).
#pragma once

#include <cmath>
#include <set>

#include "src/stages/line_search.hpp"
#include "src/stages/numbers.hpp"

namespace crease {

/// How far the middle of three neighbouring points is from the line through the outer two.
struct Bend {
  double value;
  double sd;
};

/// Neighbouring points that are on one line.
struct Run {
  std::size_t first;  // of its points; first..last
  std::size_t last;
  LineFit fit;
};

/// One run of search_line.
class LineSearch {
 public:
  LineSearch(const AskLine& ask, Index outputs, const LineSearchInput& input, const QueryPlan& plan,
             Random& random)
      : ask_(ask),
        p_(static_cast<std::size_t>(outputs)),
        c_(input.scale),
        cells_(static_cast<double>(input.cells)),
        known_(input.known),
        plan_(plan),
        told_(input.told),
        meetings_prove_(input.meetings_prove) {
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
  void measure_slope_range();
  void ask_and_merge(const std::vector<double>& proposals);
  void add_rounding(const std::vector<double>& t, LineAnswers& answers) const;
  void merge_points(const std::vector<double>& proposals, const LineAnswers& answers);
  // Where the oracle tells its noise (line_stretch.cpp).
  bool says_something(std::size_t i) const;
  void keep_stretch(Random& random);
  bool cut_to_stretch(double& before, double& after);
  void drop_silent(std::vector<double>& asked, LineAnswers& answers);
  bool silent_between(double low, double high) const;
  std::vector<double> piece_sigma(const Run& run) const;
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
  bool told_;
  bool enough_ = false;         // the asker wants no more points
  std::vector<double> silent_;  // points within the stretch that said nothing, ascending
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
  bool meetings_prove_;         // no two kinks seen so far bend in the same direction of R^p
  std::vector<bool> bent_;      // of interior point i, as the middle of a triple
  std::vector<bool> straight_;  // and the triple is evidence
  std::set<std::pair<double, double>> flank_pairs_;
};

}  // namespace crease
