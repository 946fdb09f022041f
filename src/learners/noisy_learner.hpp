// The learner for answers that are not exact: crude neurons, then a fit of all hyperplanes at once.
#pragma once

#include <chrono>
#include <limits>

#include "src/learners/query_run.hpp"
#include "src/stages/crude_neurons.hpp"
#include "src/stages/fit_rows.hpp"
#include "src/stages/hyperplane_fit.hpp"
#include "src/stages/look.hpp"

namespace crease {

/// Lines give crude hyperplanes, all or nearly all of them; Levenberg-Marquardt moves all of them
/// at once on fresh Gaussian points, neurons are added where the residual wants them and taken
/// away where it does not, until points that were never fitted show no more than the noise of the
/// answers. Every output counts in units of its noise.
class NoisyLearner final : public QueryStrategy {
 public:
  NoisyLearner(QueryRun& run, AnswerNoise noise);

  void learn() override;
  void finish_short(Outcome outcome, std::string message) override;
  const ReluNetwork& network() const override { return final_; }

 private:
  void find_neurons();
  void take_noise_ratio(const std::vector<double>& ratio);
  void ask_held_out();
  bool explains_enough();
  Hyperplanes settled(double share);
  void add_seeds(Index count, Hyperplanes& network);
  Hyperplanes without_chance(const Hyperplanes& network);
  Hyperplanes without_accidents(const Hyperplanes& network, Index sure, Index n);
  void fit_until_noise(double share);
  void ask_rows(Index wanted);
  bool ask_rare_neurons(const Hyperplanes& network,
                        double farthest = std::numeric_limits<double>::infinity());
  void take_answers(const CrudeLine& line);
  std::vector<double> worst_of(const FitRows& rows, const Hyperplanes& network) const;
  void ask_between_twins(const Hyperplanes& network);
  Hyperplanes with_line_through(const Hyperplanes& network, const std::vector<double>& point);
  Hyperplanes fit(Hyperplanes start, double turn, Index most_steps, int patience = 0);
  void prune();
  void merge_twins();
  void refine();
  void keep(Hyperplanes network, double held_out);
  void hunt();
  Hyperplanes with_slab(const CrudeNeurons& found);
  void finish(const Hyperplanes& network);
  void turn();
  bool certify_network();
  bool say_what_is_left();
  void say_what_noise_hides();

  double held_out_rms(const Hyperplanes& network) const;
  /// The noise of one answer in every output, times `share`. [p]
  std::vector<double> expected_error(double share) const;
  double unknowns(Index neurons) const;
  double fit_error(Index neurons) const;
  /// Rms on fresh points of the best fit there is, in units of the noise.
  double floor(Index neurons) const { return std::hypot(1.0, fit_error(neurons)); }
  Index rows_for(Index neurons, double share) const;
  double superfluous() const;
  Index query_cap(Index neurons) const;
  Index scratch() const { return run_.control.budget.device_bytes; }
  bool ends() const;

  QueryRun& run_;
  Device& device_;
  Asker& asker_;
  Random& random_;
  AnswerNoise noise_;
  Index d_;
  Index p_;
  std::chrono::steady_clock::time_point start_;

  CrudeNeurons crude_;
  Index lines_ = 0;
  Index kinks_ = 0;          // most on one line
  bool complete_ = false;    // every kink of a line gave a clear neuron
  AnsweredPoints rows_;      // the fit sees these
  AnsweredPoints held_out_;  // and never these
  double spread_ = 0;        // deviation of the held-out answers, in units of the noise

  Hyperplanes best_;  // outputs in units of their noise
  double best_held_out_ = 0;
  double start_rms_ = 0;  // of the start, in units of the noise
  double train_rms_ = 0;  // of the last fit
  bool has_best_ = false;
  bool at_floor_ = false;
  Index rare_rounds_ = 0;
  Index stuck_lines_ = 0;
  std::vector<double> worst_;  // of the points of the last certificate, where one shows an error
  Hunt hunt_;
  bool hit_ = false;        // the hunt met something that is not in the network
  double rare_side_ = 1.5;  // rows per unknown on the rarer side of a neuron, at least
  int& certificates_ = run_.certificates;
  ReluNetwork final_;
};

/// The hyperplanes of crude neurons: an offset known less well than biases are spread is shrunk
/// towards the origin, where the points are.
Hyperplanes start_from(const CrudeNeurons& crude, Index d, Index p);

}  // namespace crease
