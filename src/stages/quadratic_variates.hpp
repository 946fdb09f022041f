// Labels less a quadratic of the inputs: a control variate for higher moments.
#pragma once

#include <vector>

#include "src/stages/sample_moments.hpp"

namespace crease {

/// Labels less a quadratic of z each: l - 1/2 (z^T D_l z - tr D_l), D found by Richardson steps
/// D += E l (z z^T - I), l what is left so far. For z ~ N(0, I) what is left has no second Hermite
/// moment, the higher ones are those of l, and they vary less. D is the second Hermite moment of l
/// itself, better after every step. Worth it from about 4 d^2 rows on.
class QuadraticVariates {
 public:
  /// The device and what the view refers to must outlive it; z has `dimensions` numbers.
  QuadraticVariates(Device& device, SampleView view, Index dimensions);

  /// What is left of the labels. Refers to this object.
  SampleView view() const;

  /// One step: one pass. Waits.
  void improve(Examples& examples);

  /// D_l [d, d].
  const HostMatrix& moment(Index label) const {
    return quadratics_[static_cast<std::size_t>(label)];
  }

 private:
  struct Quadratic {
    DeviceMatrix matrix;      // D_l
    DeviceMatrix half_trace;  // [1, 1]
  };

  Device& device_;
  SampleView base_;
  Index d_;
  std::vector<HostMatrix> quadratics_;
  std::vector<Quadratic> there_;  // none before the first step: all are 0
};

}  // namespace crease
