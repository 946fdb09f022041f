// The adaptive query learner: its state, shared by the loop over lines (adaptive_learner.cpp) and
// the end of a run (adaptive_finish.cpp).
#pragma once

#include <crease/query_learner.hpp>

#include "src/stages.hpp"

namespace crease {

/// One run of learn_from_queries in adaptive mode.
class AdaptiveLearner {
 public:
  AdaptiveLearner(Device& device, Oracle& oracle, const QueryProblem& problem,
                  const QueryPlan& plan, const RunControl& run)
      : device_(device),
        problem_(problem),
        plan_(plan),
        run_(run),
        asker_(device, oracle, run),
        random_(run.seed),
        hypothesis_(asker_.inputs(), asker_.outputs()),
        best_(hypothesis_),
        before_fit_(hypothesis_),
        hunt_(plan),
        policy_{plan.gap_accuracy} {}

  Learned<ReluNetwork> learn();

 private:
  void search();
  bool grow();
  SearchedLine next_line();
  std::vector<std::vector<double>> unresolved_kinks() const;
  bool resolve();
  Index learn_from(SearchedLine& line);
  bool look();
  void refine();
  void fit();
  bool certify_network();
  double droppable_rms();
  void go_on();
  void finish_short(Outcome outcome, std::string message);
  double spread() const { return std::max(last_look_.spread, 1e-300); }
  void rebuild() {
    current_.emplace(device_, hypothesis_.network());
    deviation_.reset();
  }
  double deviation();
  Index most_lines() const;

  Device& device_;
  const QueryProblem& problem_;
  const QueryPlan& plan_;
  const RunControl& run_;
  Asker asker_;
  Random random_;
  NoiseModel noise_;
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
  Index fresh_ = 0;         // neurons of the line in hand, the last ones of hypothesis_
  bool any_kinks_ = false;  // on the line in hand
  std::optional<SearchedLine> first_line_;  // until its kinks were checked against the network
  Look last_look_;
  std::vector<double> worst_;  // where the last look was most wrong; empty before the first

  // The end
  ReluNetwork final_;
  RunReport report_;
  int certificates_ = 0;
  double worst_ratio_ = 0;  // of the last certificate: largest error in units of its limit
};

}  // namespace crease
