// Directions of neurons' outputs, improved on gradients in several cells: with p > 1 outputs a
// slice knows them less well than a lift needs, and lines less well than a polish.
#pragma once

#include <vector>

#include "src/stages/cells.hpp"

namespace crease {

/// Unknowns of turn_outputs, at most: its system is solved on the host.
inline constexpr Index kMostTurned = 4096;

/// What turning the output direction s_j by tangent t adds to the patterns of cells: column
/// j (p - 1) + t holds t at the rows of the cells where neuron j is active. The p - 1 tangents of a
/// neuron are orthonormal and orthogonal to s_j.
///
/// above  [n, k] heights of the cells' points
/// out    [n p, k (p - 1)]
HostMatrix turned_patterns(const Hypothesis& planes, const HostMatrix& above);

/// How well gradients in cells determine each output direction beside all W and g: with one
/// standard deviation in every gradient, |W_j| times the angle by which s_j is off is about one
/// over this (other neurons' angles taken as known). [k]
///
/// fit  of patterns(planes, above)
std::vector<double> turn_certainty(const WeightedFit& fit, const Hypothesis& planes,
                                   const HostMatrix& above);

/// Output directions s_j, turned with W and g eliminated. Turning s_j by its tangent t adds
/// (e_jt)_co W_j^T to the gradients; of the pattern e_jt only what no W explains counts, M_jt. The
/// columns M_jt W_j^T have the inner products <M_jt, M_it'> <W_j, W_i>: a system of k (p - 1)
/// unknowns, whatever d is. Column j (p - 1) + t everywhere.
class OutputTurns {
 public:
  /// fit         of patterns by these directions and heights; further rows behind them, of a prior,
  ///             are no pattern's. Must outlive this.
  /// directions  [k, p] of any length; one that is 0 is not turned
  /// above       [n, k] heights of the cells' points
  /// weights     [k, d] the W_j
  /// most_bytes  rows of all M_jt are made so many at a time as this holds, at least one
  OutputTurns(Device& device, const WeightedFit& fit, const HostMatrix& directions,
              HostMatrix above, HostMatrix weights, Index most_bytes);

  Index unknowns() const { return tangents_.rows(); }

  /// The inner products, [k (p - 1), k (p - 1)].
  HostMatrix information() const;

  /// <M_jt W_j^T, left> for left [n p and further rows, d], what fit leaves unexplained of the
  /// gradients.
  std::vector<double> toward(const HostMatrix& left) const;

  /// What the fit takes each turned pattern for, W and g: [k + p, k (p - 1)].
  HostMatrix explained() const { return fit_.solution(shares_); }

  /// sum over t of step[j (p - 1) + t] times tangent t: [k, p].
  HostMatrix turns(const std::vector<double>& step) const;

  /// <W_j, W_i> of the neurons of two unknowns.
  double alike(Index a, Index b) const { return alike_(a / each_, b / each_); }

 private:
  HostMatrix rows(Index first, Index count) const;
  Index rows_at_once() const;
  HostMatrix shares() const;
  /// All M_jt, so many rows at a time: use(first row, [rows, k (p - 1)]).
  template <class Use>
  void walk(Use&& use) const;

  Device& device_;
  const WeightedFit& fit_;
  Index outputs_;
  Index each_;  // p - 1
  HostMatrix above_;
  HostMatrix weights_;
  HostMatrix tangents_;  // [k (p - 1), p]
  HostMatrix alike_;     // [k, k]
  Index most_bytes_;
  HostMatrix shares_;  // WeightedFit's, of all turned patterns
};

/// One Gauss-Newton step of all output directions. False, and nothing is done, where there is
/// nothing to turn, or more than kMostTurned, or the system cannot be solved.
///
/// fit      of patterns(planes, above)
/// w        [k, d] the W_j
/// left     [n p, d] of the gradients, what fit leaves unexplained
/// planes   output directions are turned, lengths of `scales` stay
bool turn_outputs(Device& device, const WeightedFit& fit, const HostMatrix& above,
                  const HostMatrix& w, const HostMatrix& left, Index most_bytes,
                  Hypothesis& planes);

}  // namespace crease
