// Fans in chosen cells of a slice: asked, held against the slice, kept.
#pragma once

#include <string>
#include <vector>

#include "kernels/ops.hpp"
#include "src/stages/ask.hpp"
#include "src/stages/slice_lift.hpp"

namespace crease {

/// A centre and d points around it in each cell, along one orthonormal basis.
class SliceFans {
 public:
  /// traces  the network on the slice, which the gradients are held against
  SliceFans(Asker& asker, Random& random, const Hypothesis& traces, const Slice& slice,
            const NoiseModel& noise, LiftCells cells);

  /// Asks all of them, as one round.
  void ask();

  /// Holds every gradient against the slice's, m numbers each. One that is unlike it met a
  /// hyperplane, and is asked again with a quarter of the step, the other way. Empty if all are
  /// alike in the end, else what is wrong.
  std::string hold_against_slice();

  /// Puts the fans where the Asker keeps what is paid for, if it does.
  void keep() const;

  /// The noise of the answers in units of what was assumed, with a margin: second differences of a
  /// few points and their mirrors, which are asked, where both lie in the cell of the centre.
  ///
  /// w  [k, d] the normals of the hyperplanes, as long as their traces are
  double measured_noise(Random& random, const HostMatrix& w);

  Index size() const { return static_cast<Index>(cells_.step.size()); }
  double step(Index c) const { return cells_.step[static_cast<std::size_t>(c)]; }
  /// The height of a centre above the hyperplane of neuron j, in units of W.
  double height(Index c, Index j) const {
    return cells_.above(c, j) * trace_[static_cast<std::size_t>(j)];
  }
  const HostMatrix& above() const { return cells_.above; }              // [n, k] in the slice
  const std::vector<double>& trace() const { return trace_; }           // [k] |scale|: about |W_j|
  const HostMatrix& directions() const { return directions_; }          // [d, d] orthonormal rows
  ConstDeviceView basis() const { return basis_; }                      // the same
  const HostMatrix& centers() const { return centers_; }                // [n, d]
  const HostMatrix& center_answers() const { return center_answers_; }  // [n, p]
  const HostMatrix& gradients() const { return gradients_; }            // [n p, d]

  double rho(Index c) const;
  /// One standard deviation of a component of a gradient.
  double sigma(Index c, Index o) const { return lift_noise(noise_, rho(c), step(c), o); }

 private:
  void ask_fans(const std::vector<Index>& which, Round round);
  bool like_slice(Index c, const HostMatrix& seen, const HostMatrix& expected) const;

  Asker& asker_;
  Device& device_;
  const Hypothesis& traces_;
  const Slice& slice_;
  const NoiseModel& noise_;
  LiftCells cells_;
  Index d_;
  Index p_;
  Index k_;
  Index m_;
  std::vector<double> trace_;
  HostMatrix patterns_;  // [n p, k + p]
  DeviceMatrix frame_;
  DeviceMatrix basis_;
  HostMatrix directions_;
  HostMatrix centers_;
  HostMatrix center_answers_;
  HostMatrix steps_;    // [n, d]
  HostMatrix answers_;  // [n d, p]
  HostMatrix gradients_;
};

}  // namespace crease
