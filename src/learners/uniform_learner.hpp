// The query learner's uniform mode: Algorithm 4 of Chen, Klivans, Meka 2021.
#pragma once

#include "src/learners/query_run.hpp"
#include "src/stages/bounded_fit.hpp"
#include "src/stages/uniform.hpp"

namespace crease {

/// Nothing that is asked depends on an answer.
class UniformLearner final : public QueryStrategy {
 public:
  /// Throws BadInput where the budget is smaller than the plan's price.
  explicit UniformLearner(QueryRun& run);

  void learn() override;
  void finish_short(Outcome outcome, std::string message) override;
  const ReluNetwork& network() const override { return final_; }

 private:
  void draw_samples();
  void fit();
  std::vector<Index> choose_columns(const ReducedRows& rows, double bound, BoundedFit& best) const;
  void take(const BoundedFit& fit, const std::vector<Index>& kept);

  Device& device_;
  const QueryProblem& problem_;
  const QueryPlan& plan_;
  const RunControl& control_;
  Asker& asker_;
  Random& random_;
  UniformGrid grid_;
  NoiseModel& noise_;
  FeatureRows::Points samples_;
  HostMatrix answers_;  // [n, p] of F at the samples; empty before they were drawn
  std::vector<ScannedLine> lines_;
  std::vector<CandidateNeuron> candidates_;
  Hypothesis hypothesis_;  // base point: the origin
  double held_out_rms_ = 0;
  bool fitted_ = false;
  ReluNetwork final_;
  RunReport& report_;
};

}  // namespace crease
