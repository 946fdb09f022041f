// The slice learner: the network on a slice of the inputs first, then all of it at once.
#pragma once

#include "src/learners/adaptive_learner.hpp"
#include "src/stages/slice_lift.hpp"

namespace crease {

/// Whether a run with exact answers begins with a slice: it is predicted to ask for less.
bool takes_slice(const QueryPlan& plan, Index inputs);

/// For exact answers and many inputs: learns F on a slice, lifts that to all inputs, holds the
/// result against fresh points, and hands it to the adaptive learner as its first line would be;
/// looks, hunt, refinement, orientation and certificate are that learner's. A slice that cannot be
/// learned, a lift that is given up, and a network that fresh points refute are a warning, and the
/// adaptive learner begins from nothing.
class SliceLearner final : public QueryStrategy {
 public:
  explicit SliceLearner(QueryRun& run) : run_(run), whole_(run) {}

  void learn() override;
  void finish_short(Outcome outcome, std::string message) override {
    whole_.finish_short(outcome, std::move(message));
  }
  HostMatrix rounded_answers() const override { return whole_.rounded_answers(); }
  const ReluNetwork& network() const override { return whole_.network(); }

 private:
  std::string lift();

  QueryRun& run_;
  AdaptiveLearner whole_;
};

}  // namespace crease
