// From directions to a fitted network: signs, row space, steps, and what the residual still says.
#pragma once

#include <crease/sample_learners.hpp>

#include <optional>
#include <vector>

#include "src/learners/sample_run.hpp"
#include "src/stages/rectified_sum.hpp"

namespace crease {

/// One fit, and what is known of it.
struct TwoLayerFit {
  RectifiedSum network;
  double residual = 1;  // relative, on the training rows
  double surplus = 0;   // what is left of second Hermite moments, in deviations
  const char* method = "fit";
  bool spent = false;        // the fit had no more steps
  std::vector<double> cuts;  // robust: of the residual, per output
};

class TwoLayerFits {
 public:
  /// All that is referred to must outlive it; `means` are those of the whitened examples, once
  /// they are taken.
  TwoLayerFits(SampleRun& run, const TwoLayerProblem& problem, const TwoLayerPlan& plan,
               const SampleMeans& means);

  /// From directions [k, d] of any signs: their row space where that is exact, steps where not.
  /// Throws BadInput where the normal matrix is larger than the memory.
  TwoLayerFit from(const HostMatrix& directions);

  /// At most so many steps from where it is.
  void refine(TwoLayerFit& fitted, Index steps);

  /// The best there is of a fit that did not come to its end; none after one that did.
  const std::optional<TwoLayerFit>& in_hand() const { return in_hand_; }
  void forget() { in_hand_.reset(); }

 private:
  Index width() const { return inputs_ + (problem_.biases ? 1 : 0); }
  bool fits_cheaply(Index k) const;
  void require_memory(Index k) const;
  TwoLayerFit with_outputs(const HostMatrix& directions);
  bool take_row_space(const HostMatrix& start, TwoLayerFit& fitted);
  double surplus_of(const TwoLayerFit& fitted);

  SampleRun& run_;
  Device& device_;
  const TwoLayerProblem& problem_;
  const TwoLayerPlan& plan_;
  const SampleMeans& means_;
  Index inputs_;
  Index outputs_;
  std::optional<TwoLayerFit> in_hand_;
};

}  // namespace crease
