// The searches of the narrow learner: starts for all neurons at once, and rounds for what is left.
#pragma once

#include <crease/sample_learners.hpp>

#include <functional>
#include <limits>
#include <vector>

#include "src/learners/sample_run.hpp"
#include "src/stages/hermite_span.hpp"
#include "src/stages/hyperplane_fit.hpp"

namespace crease {

/// A network of z as hyperplanes through 0, and what it leaves of the held-out examples.
struct NarrowCandidate {
  Hyperplanes network;
  double error = std::numeric_limits<double>::infinity();  // rms over that of y, held out
  double fitted = 0;                                       // the same on the rows of its fit
};

/// The same function of z without its last coordinate, which is 1 and becomes the offsets; as it is
/// where z has `inputs` coordinates only.
Hyperplanes without_constant(const Hyperplanes& network, Index inputs);

/// Searches for k neurons in the examples of a run. Whatever is best so far is best(), also when an
/// EndOfRun ends a search.
class NarrowSearch {
 public:
  /// `linear` is the best linear function of z.
  NarrowSearch(SampleRun& run, const NarrowPlan& plan, double accuracy,
               const std::vector<double>& linear);

  /// k neurons from so many starts, and from the best network so far where that has fewer; then
  /// rounds, but where the starts agree and settled() says that what they leave is errors alone.
  void search(Index k, int starts, int rounds, const std::function<bool()>& settled);

  /// Levenberg-Marquardt over all hyperplanes from `start`, over the rows for k neurons, or `rows`
  /// where they are more.
  NarrowCandidate fitted(const Hyperplanes& start, Index steps, double first_turn, Index rows = 0);

  /// What the rms over the rows for k neurons would gain without each (SolvedScales::importance).
  std::vector<double> importance(const Hyperplanes& network);

  double answers() const { return answers_; }  // root mean square of y, less its mean with biases

  const NarrowCandidate& best() const { return best_; }
  bool has_best() const { return has_best_; }
  void set_best(NarrowCandidate candidate) {
    best_ = std::move(candidate);
    has_best_ = true;
  }
  /// Directions in which the answers bend, [m, d] orthonormal; of the last search.
  const HostMatrix& span() const { return span_.basis; }

  /// Rows of a fit that fit into memory at once, at most all; and those of a fit of k neurons.
  Index most_rows() const;
  Index fit_rows(Index k) const;

  /// rms(y - F') over rms(y), held out; over the rows of the fits where nothing was.
  double error_of(const Hyperplanes& network);

 private:
  static constexpr Index kSpare = 2;  // directions of the span beyond one a neuron
  static constexpr Index kFewRows = 20000;
  static constexpr Index kMatchRows = 5000;
  static constexpr double kFoundTurn = 0.1;  // first step of a start from a search

  /// A few coordinates of the first rows, and what a linear function leaves of their answers.
  struct Few {
    HostMatrix basis;  // [m, inputs]: with biases the constant first
    DeviceMatrix z;    // [n, m]
    DeviceMatrix r;    // [n, 1]
  };

  FitRows rows(Index count);
  SampleView residual_label(const Hyperplanes& network) const;
  HermiteSpan span_of(const Hyperplanes& network, Index m, const HostMatrix& guides);
  Few few(const HostMatrix& basis, const std::vector<double>& linear);
  HostMatrix full_basis(const HostMatrix& span) const;
  HyperplaneFit fit_few(const Few& few, Index most_rows, Index coordinates,
                        const HostMatrix& directions);
  HostMatrix searched_directions(const Few& few, Index k);
  std::optional<HostMatrix> proposal(const std::string& kind, const Few& few, Index k);
  HostMatrix random_directions(Index count, Index dimensions);
  Hyperplanes lifted(const HostMatrix& directions, const HostMatrix& basis) const;
  void first_round(Index k, int starts);
  HostMatrix seen_in(const HostMatrix& basis) const;
  Few few_of_best();
  bool next_round(Index k);
  void take(NarrowCandidate candidate, Index k);

  SampleRun& run_;
  Device& device_;
  const NarrowPlan& plan_;
  double accuracy_;
  std::vector<double> linear_;
  Index inputs_;        // of z
  Index dims_;          // of z but for the constant
  double answers_ = 1;  // rms of held-out y
  HermiteSpan span_;
  std::optional<Examples::Rows> rows_;
  Index rows_count_ = 0;
  NarrowCandidate best_;
  bool has_best_ = false;
  bool agreed_ = false;
  std::vector<double> errors_;  // of the starts of one search
};

}  // namespace crease
