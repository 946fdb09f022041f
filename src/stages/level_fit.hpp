// What single points say about the biases of a network whose weights are known.
#pragma once

#include <optional>

#include "src/stages/cells.hpp"
#include "src/stages/fan_design.hpp"

namespace crease {

/// Points in pairs on both sides of one hyperplane each, and F there.
struct LevelPairs {
  HostMatrix x;               // [2 m, d] point 2 i is on the active side of hyperplane neuron[i]
  HostMatrix y;               // [2 m, p]
  std::vector<Index> neuron;  // [m]
};

/// Answers at points: rows of the problem
///   F_o(x) - F'_o(x) = sum over active j of outputs_j[o] (change of bias_j)
///                      + change of constant_o.
/// Points nearer to a hyperplane than it is known are left out, and of many those that say least.
/// Pairs on both sides of a hyperplane are rows of their own, for the bias of that neuron alone:
/// what the errors of all other weights do at one point they do at the other.
class LevelFit {
 public:
  /// gradient_covariance  of the weights: their error is seen |x| times
  /// prior                [k + p] one standard deviation of biases and constants as they are
  /// x [n, d], y [n, p]   answers
  LevelFit(Device& device, const UnitNetwork& network, const Hypothesis& planes,
           const NoiseModel& noise, const HostMatrix& gradient_covariance,
           std::vector<double> prior, const HostMatrix& x, const HostMatrix& y,
           const LevelPairs& pairs = {});

  /// Corrects biases and constants.
  void sweep(UnitNetwork& network);

  /// Of biases and constants. [k + p, k + p]
  const HostMatrix& covariance();
  Index points() const { return x_.rows(); }
  /// Pairs whose sides are certain, their rows and what these are in error by.
  const LevelPairs& pairs() const { return pairs_; }
  HostMatrix pair_coefficients() const;
  std::vector<double> pair_sigmas() const;

  /// How far from the origin each bias was measured, in effect: an error e of weights_j makes an
  /// error <e, y_j> of bias_j, and this is |y_j|. [k]
  std::vector<double> lever();

 private:
  Index pair_count() const { return static_cast<Index>(pairs_.neuron.size()); }
  void factor();  // once something is solved for
  void add_pairs(const UnitNetwork& network, const Hypothesis& planes, const NoiseModel& noise,
                 const HostMatrix& gradient_covariance, const LevelPairs& pairs);
  /// F_o - F'_o at the points, then of the pairs; 0 for the prior.
  HostMatrix differences(const UnitNetwork& network) const;

  Device& device_;
  std::vector<double> prior_;
  HostMatrix x_;
  HostMatrix y_;
  LevelPairs pairs_;
  HostMatrix lower_pattern_;  // [m, k] 1 where active on the inactive side of a pair
  HostMatrix coefficients_;   // [(n + m) p + k + p, k + p], the prior last
  std::vector<double> sigma_;
  std::optional<WeightedFit> fit_;
  HostMatrix covariance_;
  bool weighed_ = false;
};

/// Pairs of points on both sides of hyperplanes, so near that errors of the linear part do not
/// count, and near the origin where there is a choice, that lower the variances of biases.
///
/// covariance  of biases and constants so far
/// wanted      [k + p] one standard deviation; of constants any
/// most        pairs
/// Result without answers.
LevelPairs choose_levels(Device& device, Random& random, const Hypothesis& planes,
                         const UnitNetwork& network, const NoiseModel& noise,
                         const HostMatrix& gradient_covariance, const HostMatrix& covariance,
                         const std::vector<double>& wanted, Index most);

}  // namespace crease
