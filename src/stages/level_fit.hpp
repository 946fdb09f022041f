// What single points say about the biases of a network whose weights are known.
#pragma once

#include <optional>

#include "src/stages/cells.hpp"
#include "src/stages/fan_design.hpp"

namespace crease {

/// Answers at points: rows of the problem
///   F_o(x) - F'_o(x) = sum over active j of outputs_j[o] (change of bias_j) + change of
///   constant_o.
/// Points nearer to a hyperplane than it is known are left out, and of many those that say least.
class LevelFit {
 public:
  /// gradient_covariance  of the weights: their error is seen |x| times
  /// prior                [k + p] one standard deviation of biases and constants as they are
  /// x [n, d], y [n, p]   answers
  LevelFit(Device& device, const UnitNetwork& network, const Hypothesis& planes,
           const NoiseModel& noise, const HostMatrix& gradient_covariance,
           std::vector<double> prior, const HostMatrix& x, const HostMatrix& y);

  /// Corrects biases and constants.
  void sweep(UnitNetwork& network);

  /// Of biases and constants. [k + p, k + p]
  const HostMatrix& covariance() const { return covariance_; }
  Index rows() const { return x_.rows(); }

  /// How far from the origin each bias was measured, in effect: an error e of weights_j makes an
  /// error <e, y_j> of bias_j, and this is |y_j|. [k]
  std::vector<double> lever() const;

 private:
  void factor();

  Device& device_;
  std::vector<double> prior_;
  HostMatrix x_;
  HostMatrix y_;
  HostMatrix coefficients_;  // [n p + k + p, k + p], the prior last
  std::vector<double> sigma_;
  std::optional<WeightedFit> fit_;
  HostMatrix covariance_;
  bool weighed_ = false;
};

/// Points on both sides of hyperplanes, near the origin, that lower the variances of biases: two
/// such points differ by the change of the bias, whatever the distance between them.
///
/// covariance  of biases and constants so far
/// wanted      [k + p] one standard deviation; of constants any
/// most        points
HostMatrix choose_levels(Device& device, Random& random, const Hypothesis& planes,
                         const UnitNetwork& network, const NoiseModel& noise,
                         const HostMatrix& gradient_covariance, const HostMatrix& covariance,
                         const std::vector<double>& wanted, Index most);

/// One standard deviation of F - F' at points, per output: the noise of an answer and what errors
/// of the weights do |x| away from the origin. Points nearer to a hyperplane than it is known get
/// infinity.   x [n, d], result [n, p].
HostMatrix value_sigmas(Device& device, const UnitNetwork& network, const Hypothesis& planes,
                        const NoiseModel& noise, const HostMatrix& gradient_covariance,
                        const HostMatrix& x);

}  // namespace crease
