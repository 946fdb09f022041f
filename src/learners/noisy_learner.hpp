// The learner for answers that are not exact: crude neurons, then a fit of all hyperplanes at once.
#pragma once

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
  void recover();
  /// Where the deviation is no more than so many times the noise, small neurons are hard to tell
  /// from it, and to lose one costs more than rows do.
  static constexpr double kCoarse = 3e4;
  static constexpr double kCoarseShare = 1.3;
  static constexpr double kMoreShare = 1.4;  // rows, where neurons are superfluous or rare
  static constexpr double kAtFloor = 1.25;   // held-out rms over the floor
  bool is_coarse() const { return spread_ <= kCoarse; }
  static constexpr double kLacks = 1.1;  // of the noise: rows that show more lack a neuron
  bool lacks(double most = kLacks) const { return left_over() > most * row_noise_; }
  bool is_at_floor(double share) const;
  void refine();
  void keep(Hyperplanes network, double held_out);
  void hunt();
  Hyperplanes with_slab(const CrudeNeurons& found);
  void finish(const Hyperplanes& network);
  void turn();
  bool certify_network();
  bool say_what_is_left();
  void say_what_noise_hides();

  void find_silent_outputs(const std::vector<double>& deviations);
  /// Of what `network` leaves, in units of the noise, over the outputs that show noise.
  double rms(const AnsweredPoints& points, const Hyperplanes& network) const;
  double held_out_rms(const Hyperplanes& network) const { return rms(held_out_, network); }
  /// Root of all outputs over those that show noise: turns an rms over all into one over those.
  double over_noisy_outputs() const;
  /// The noise of one answer in every output, times `share`. [p]
  std::vector<double> expected_error(double share) const;
  double unknowns(Index neurons) const;
  double fit_error(Index neurons) const;
  /// Rms on fresh points of the best fit there is, in units.
  double floor(Index neurons) const { return row_noise_ * std::hypot(1.0, fit_error(neurons)); }
  /// What best_ leaves of the rows, per equation free of unknowns: noise, and what it lacks.
  double left_over() const;
  double noise_of_rows() const;
  void take_row_noise();
  Index rows_for(Index neurons, double share) const;
  double superfluous() const;
  Index query_cap(Index neurons) const;
  Index may_ask() const;
  Index scratch() const { return run_.control.budget.device_bytes; }
  bool ends() const { return asker_.would_end(); }

  QueryRun& run_;
  Device& device_;
  Asker& asker_;
  Random& random_;
  AnswerNoise noise_;
  Index d_;
  Index p_;

  CrudeNeurons crude_;
  Index lines_ = 0;
  Index line_queries_ = 0;   // most that one of them asked
  Index kinks_ = 0;          // most on one line
  bool complete_ = false;    // every kink of a line gave a clear neuron
  AnsweredPoints rows_;      // the fit sees these
  AnsweredPoints held_out_;  // and never these
  double spread_ = 0;        // deviation of the held-out answers, in units of the noise
  // Outputs of which a perfect fit leaves the noise; of an exact or a constant one it leaves less.
  std::vector<bool> shows_noise_;
  Index noisy_outputs_;
  bool beyond_format_ = false;  // answers are noisier than their format explains
  double row_noise_ = 1;        // noise of the rows in units of what was measured at first

  Hyperplanes best_;  // outputs in units of their noise
  double best_held_out_ = 0;
  double start_rms_ = 0;  // of the start, in units of the noise
  double train_rms_ = 0;  // of the last fit
  bool has_best_ = false;
  bool fitted_ = false;  // from here on the cap holds
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
