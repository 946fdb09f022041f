// The adaptive query learner: its state, shared by the loop over lines (adaptive_learner.cpp) and
// the end of a run (adaptive_finish.cpp).
#pragma once

#include "src/learners/query_run.hpp"
#include "src/stages.hpp"

namespace crease {

/// Lines, gradients and neurons, then lines of what is left: for answers that are exact up to
/// rounding.
class AdaptiveLearner final : public QueryStrategy {
 public:
  explicit AdaptiveLearner(QueryRun& run)
      : run_(run),
        device_(run.device),
        problem_(run.problem),
        plan_(run.plan),
        asker_(run.asker),
        random_(run.random),
        noise_(run.noise),
        hypothesis_(asker_.inputs(), asker_.outputs()),
        best_(hypothesis_),
        before_fit_(hypothesis_),
        hunt_(plan_),
        policy_{plan_.gap_accuracy},
        report_(run.report) {}

  void learn() override;
  void finish_short(Outcome outcome, std::string message) override;
  const ReluNetwork& network() const override { return final_; }

  /// A part of learn(): lines and looks until nothing is left to find.
  void search();

  /// learn() and search() begin with this network and what the last look said of it, in place of a
  /// first line. As long as looks find nothing wrong with it, nothing is fitted.
  void start_from(Hypothesis hypothesis, Look look);

  const Hypothesis& hypothesis() const { return hypothesis_; }
  const Look& last_look() const { return last_look_; }

  HostMatrix rounded_answers() const override { return rounded_; }

 private:
  bool grow();
  bool goes_on(bool first, Index added, bool clean);
  SearchedLine next_line();
  std::vector<std::vector<double>> unresolved_kinks() const;
  bool resolve();
  Index learn_from(SearchedLine& line);
  bool look();
  bool finds_rounding(const Look& look);
  bool finds_rounding(const SearchedLine& line, const std::vector<double>& t,
                      const HostMatrix& answers);
  void refine();
  void fit();
  bool certify_network();
  double droppable_rms();
  void go_on();
  double spread() const { return std::max(last_look_.spread, 1e-300); }
  void rebuild() {
    current_.emplace(device_, hypothesis_.network());
    deviation_.reset();
  }
  double deviation();
  Index most_lines() const;

  QueryRun& run_;
  Device& device_;
  const QueryProblem& problem_;
  const QueryPlan& plan_;
  Asker& asker_;
  Random& random_;
  NoiseModel& noise_;
  Hypothesis hypothesis_;
  Hypothesis best_;
  Hypothesis before_fit_;  // a fit without all neurons spreads what is missing over those there are
  std::optional<DeviceNetwork> current_;  // hypothesis_ on the device
  std::optional<double> deviation_;       // of hypothesis_ under N(0, I), once it was asked for
  Hunt hunt_;
  GapPolicy policy_;

  // The loop over lines
  Index lines_ = 0;
  Index idle_ = 0;  // lines in a row that added nothing
  double best_rms_ = 0;
  bool have_best_ = false;
  bool given_ = false;      // hypothesis_ and its look came from elsewhere, and no line followed
  Index fresh_ = 0;         // neurons of the line in hand, the last ones of hypothesis_
  bool any_kinks_ = false;  // on the line in hand
  std::optional<SearchedLine> first_line_;  // until its kinks were checked against the network
  Look last_look_;
  HostMatrix rounded_;
  std::vector<double> worst_;  // where the last look was most wrong; empty before the first

  // The end
  ReluNetwork final_;
  RunReport& report_;
  int& certificates_ = run_.certificates;
  double worst_ratio_ = 0;  // of the last certificate: largest error in units of its limit
};

}  // namespace crease
