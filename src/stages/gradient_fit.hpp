// What fans and points say is wrong with a network whose neurons are all known.
#pragma once

#include <optional>

#include "src/stages/cells.hpp"
#include "src/stages/fan_rows.hpp"
#include "src/stages/output_turns.hpp"

namespace crease {

/// One least squares for the weights of all neurons and the linear part, with one right-hand side
/// an input, and, with several outputs, for the directions of the neurons' outputs.
class GradientFit {
 public:
  /// prior       [k + p] one standard deviation of what the network's parts may be off by
  /// most_bytes  of device memory for the outputs' directions: chunks of their patterns, and three
  ///             matrices of [k (p - 1)]^2; where these do not fit the directions stay as they are
  GradientFit(Device& device, const UnitNetwork& network, std::vector<FanRows> rows,
              std::vector<double> prior, Index most_bytes = Index{1} << 30);

  GradientFit(const GradientFit&) = delete;
  GradientFit& operator=(const GradientFit&) = delete;

  /// Corrects the network by what is left of the fans under it. Returns the largest change of a
  /// weight.
  double sweep(UnitNetwork& network);

  /// Covariance of (weights, gradient), the same for every input but for what the outputs'
  /// directions add, which is its mean over the inputs: [k + p, k + p].
  const HostMatrix& covariance() const { return covariance_; }

  /// One standard deviation of the direction of a neuron's outputs, Euclidean; 0 with one output.
  /// Where no direction could be solved for, that of the prior.
  double turn_error(Index neuron) const;

  /// Whether the outputs' directions are corrected too; not with one output.
  bool turns() const { return !direction_covariance_.empty(); }

  /// Rows whose residual is beyond what they can be in error by, and were given less weight.
  Index doubted() const { return doubted_; }

 private:
  void factor(const UnitNetwork& network);
  /// How far the outputs' directions are off, [k, p], orthogonal to them; `residual` [n p, d] is
  /// left without what this explains.
  HostMatrix turn_outputs(const UnitNetwork& network, HostMatrix& residual) const;
  /// With several outputs: the information about the directions that fans hold beyond what the
  /// weights take, and its inverse.
  void factor_directions(const UnitNetwork& network);
  HostMatrix with_prior(const HostMatrix& residual) const;

  Device& device_;
  Index most_bytes_;
  std::vector<FanRows> rows_;
  std::vector<double> prior_;
  Index data_ = 0;           // rows without the prior's
  HostMatrix coefficients_;  // [n p + k + p, k + p], the prior last
  std::vector<double> sigma_;
  std::optional<WeightedFit> fit_;
  std::vector<double> turn_prior_;  // [k] of the outputs' directions; 0 with one output
  std::optional<OutputTurns> turning_;
  HostMatrix direction_covariance_;  // [k (p - 1), k (p - 1)]; empty where there is none
  HostMatrix covariance_;
  int sweeps_ = 0;
  Index doubted_ = 0;
};

}  // namespace crease
