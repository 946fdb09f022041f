// The cells that a known network's hyperplanes cut its inputs into: patterns, points deep inside,
// points on one hyperplane, and the least squares that patterns lead to.
#pragma once

#include <vector>

#include "src/small_dense.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// Heights of points above the hyperplanes: out(i, j) = <normal_j, x_i> + bias_j. As normals have
/// length 1, |out| is a distance, and neuron j is active at x_i where out(i, j) > 0.
///
/// x [n, d], out [n, k].
HostMatrix heights(Device& device, const Hypothesis& planes, const HostMatrix& x);

/// The gradients of F in cells, as linear forms of what is linear in them. Neuron j is known by the
/// vector W_j = |scale_j| normal_j and the direction s_j = scale_j / |scale_j| of its outputs (0
/// where scale_j is); then, with g the linear part, the gradient of output o at x_i is
///   sum_j out(i p + o, j) W_j + sum_o' out(i p + o, k + o') g_o'.
/// Row i p + o holds s_j[o] at every neuron active at x_i, and 1 at k + o. With one output this is
/// the row (s_j [z_ij > 0], 1).
///
/// above  [n, k] heights of the points
/// out    [n p, k + p]
HostMatrix patterns(const Hypothesis& planes, const HostMatrix& above);

/// Points, and their heights above every hyperplane.
struct CellPoints {
  HostMatrix points;  // [n, d]
  HostMatrix above;   // [n, k]
};

struct CellSearch {
  Index steps = 150;        // Kaczmarz steps a point
  double relaxation = 1.2;  // of a step; 1 ends on the margin aimed at
  double near = 0.01;       // margins aimed at, spread evenly over their logarithm
  double far = 2;
};

/// Points deep inside cells, one search each, for which nothing is asked. Starts are standard
/// normal; every second half of them, where `beside` names neurons, is moved beside the hyperplane
/// of one of these in turn, half way to the next one along its normal (at most 1/2): cells that
/// tell this neuron from all others. Then the hyperplane that is nearest is pushed away until a
/// margin is reached that is drawn for each point, or the steps are used up; of the points passed
/// the one with the largest min |z_j| / sqrt(1 + |x|^2) stays, in the cell of its start.
/// O(count k (d + steps)) work.
CellPoints deep_points(Device& device, Random& random, const Hypothesis& planes, Index count,
                       const std::vector<Index>& beside, const CellSearch& search = {});

/// Points on the hyperplane of one neuron, as far as possible from all others: of `tries` searches
/// the `keep` best ones, best first; above(., neuron) is 0 to rounding.
CellPoints points_on_plane(Device& device, Random& random, const Hypothesis& planes, Index neuron,
                           Index tries, Index keep, const CellSearch& search = {});

/// min over u of sum_i |right_i - <row_i, u>|^2 / sigma_i^2, one factorization for many right-hand
/// sides; of minimum norm, in units of `unit`, where the rows do not determine u. Singular value
/// decomposition on the host: n q^2 work.
class WeightedFit {
 public:
  /// rows   [n, q], n and q at least 1
  /// sigma  [n]  above 0: one standard deviation of a row's right-hand side
  /// unit   [q]  above 0: what a column of u is measured in; values below 1e-13 of the largest
  ///             singular value of the rows in these units count as 0
  WeightedFit(Device& device, const HostMatrix& rows, std::vector<double> sigma,
              std::vector<double> unit);

  /// u [q, r] for right [n, r].
  HostMatrix solve(const HostMatrix& right) const;

  /// What no u explains of `right`, row by row in units of sigma: [n, r].
  HostMatrix unexplained(const HostMatrix& right) const;

  /// The same for a `right` that is too large to be there as a whole: what its rows from `first` on
  /// say of what some u explains, [min(n, q), r], to be added up over all blocks of rows; then, by
  /// that sum, solve(right), and the rows of unexplained(right).
  HostMatrix share(Index first, const HostMatrix& right) const;
  HostMatrix solution(const HostMatrix& shares) const;
  HostMatrix unexplained(Index first, const HostMatrix& right, const HostMatrix& shares) const;

  Index rows() const { return factor_.left.rows(); }

  /// Of u under independent errors of standard deviation sigma: [q, q], less what is undetermined.
  HostMatrix covariance() const;

  /// Smallest over largest singular value, in units of `unit`; 0 for fewer rows than columns.
  double conditioning() const { return conditioning_; }

 private:
  HostMatrix in_sigmas(Index first, HostMatrix right) const;

  Device& device_;
  std::vector<double> sigma_;
  std::vector<double> unit_;
  Svd factor_;
  std::size_t rank_ = 0;
  double conditioning_ = 0;
};

}  // namespace crease
