// What was paid for: answers that a later stage can use again without asking.
#pragma once

#include <crease/matrix.hpp>
#include <crease/run.hpp>

#include <memory>
#include <vector>

namespace crease {

/// One centre of a fan: F(center + steps[j] * directions[j]) for all j, and F(center).
struct PaidFan {
  std::vector<double> center;                    // [d]
  std::shared_ptr<const HostMatrix> directions;  // [q, d] orthonormal rows, shared by many fans
  std::vector<double> steps;                     // [q] not zero; either sign
  HostMatrix answers;                            // [q, p]
  std::vector<double> center_answer;             // [p] asked, or the fit of a line at the centre
  std::vector<double> center_noise;              // [p] one standard deviation of center_answer
  bool center_asked = true;                      // false: a fit, which a structured oracle may
                                                 // round differently than points around it
};

/// The fans and single points of a run, on the host, while the caller wants them kept. Everything
/// here is an answer of F itself, never a residual.
///
/// Bounded: where a fan does not fit any more the points go (a fan is d answers about one gradient,
/// a point can be asked again for one), and where it does not fit even so it is not kept either.
class Paid {
 public:
  /// d, p  inputs and outputs;  most_bytes  that may be kept, not counting small change
  Paid(Index inputs, Index outputs, Index most_bytes);

  void add_fan(PaidFan fan);

  /// Points far out are not kept: |x| > reach() says little about levels near the origin.
  /// x [n, d], y [n, p].
  void add_points(ConstHostView x, ConstHostView y);
  double reach() const { return reach_; }

  const std::vector<PaidFan>& fans() const { return fans_; }
  const HostMatrix& points() const { return points_; }    // [n, d]
  const HostMatrix& answers() const { return answers_; }  // [n, p]

  /// Of what was paid for and could not be kept; none of them were wrong.
  Index dropped_points() const { return dropped_points_; }
  Index dropped_fans() const { return dropped_fans_; }

  Index bytes() const { return fan_bytes_ + point_bytes(); }

 private:
  Index point_bytes() const;

  Index inputs_;
  Index outputs_;
  Index most_bytes_;
  double reach_;
  std::vector<PaidFan> fans_;
  HostMatrix points_;
  HostMatrix answers_;
  std::weak_ptr<const HostMatrix> last_directions_;  // counted already
  Index fan_bytes_ = 0;
  Index dropped_points_ = 0;
  Index dropped_fans_ = 0;
};

}  // namespace crease
