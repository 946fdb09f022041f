// Which fans to ask for next, so that every neuron gets as exact as it is wanted: no queries.
#pragma once

#include "src/stages/fan_rows.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// The covariance of (weights_1 .. weights_k, gradient_1 .. gradient_p), the same for every input,
/// and what is wanted of it.
class FanDesign {
 public:
  /// prior   [k + p] one standard deviation before any fan
  /// wanted  [k + p] one standard deviation that is good enough
  FanDesign(std::vector<double> prior, std::vector<double> wanted);

  /// Takes in one row, as if it had been measured with this error.
  void add(const double* row, double sigma);
  void add(const HostMatrix& rows, const std::vector<double>& sigma);

  bool good(Index i) const {
    const auto ii = static_cast<std::size_t>(i);
    return covariance_(i, i) <= wanted_[ii] * wanted_[ii];
  }
  bool all_good() const;
  /// Of the first k unknowns, the worst first.
  std::vector<Index> bad_neurons(Index k) const;

  Index size() const { return covariance_.rows(); }
  const HostMatrix& covariance() const { return covariance_; }
  void set_covariance(HostMatrix covariance) { covariance_ = std::move(covariance); }
  double wanted(Index i) const { return wanted_[static_cast<std::size_t>(i)]; }
  /// What is still too large, in units of what is wanted: 1 / wanted^2 where bad, else 0. [k + p]
  std::vector<double> weights() const;

 private:
  HostMatrix covariance_;
  std::vector<double> wanted_;
};

/// Candidates of a greedy choice: each is `group` consecutive rows.
class Greedy {
 public:
  /// rows [n * group, q], sigma [n * group]; a candidate with a sigma that is not finite is none
  Greedy(FanDesign& design, HostMatrix rows, std::vector<double> sigma, Index group);

  /// The candidate that lowers the weighted variances most, or -1 where it would gain less than
  /// `least` of what is left. It is taken in, and not given again.
  Index next(double least);

 private:
  FanDesign& design_;
  HostMatrix rows_;
  std::vector<double> sigma_;
  Index group_;
  HostMatrix through_;            // [n * group, q] rows * covariance
  std::vector<double> variance_;  // [n * group] row * covariance * row
  std::vector<bool> used_;
};

/// A fan that is to be asked.
struct WantedFan {
  std::vector<double> center;
  std::shared_ptr<const HostMatrix> directions;
  std::vector<double> steps;
  std::vector<double> sigma;  // [p] of a component of its gradient, as expected
  std::vector<bool> active;   // [k]
  double room = 0;            // from the centre to the nearest known hyperplane
  bool of_pair = false;
};

struct DesignLimits {
  Index most_fans = 0;      // this time
  double pair_share = 0.6;  // pairs while no more neurons than this, of (k + p) / p, are bad
};

/// Pairs of fans on both sides of one neuron's hyperplane where few neurons are bad: their
/// difference is this neuron's alone. Otherwise fans in fat cells, chosen greedily. Steps have a
/// length and a sign for every direction, so that no known hyperplane is crossed.
///
/// directions  [d, d] orthonormal, shared by all fans but those that do better with their own
/// design      takes in what is chosen
std::vector<WantedFan> choose_fans(Device& device, Random& random, const UnitNetwork& network,
                                   const Hypothesis& planes, const NoiseModel& noise,
                                   const std::shared_ptr<const HostMatrix>& directions,
                                   const DesignLimits& limits, FanDesign& design);

}  // namespace crease
