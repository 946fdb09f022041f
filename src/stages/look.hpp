// Looks at the network so far with fresh Gaussian points: what is wrong, and where.
#pragma once

#include <crease/query_learner.hpp>

#include "src/device_network.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/noise.hpp"

namespace crease {

/// F - F' at a batch of points. Where the oracle tells how exact each answer is, points whose
/// answer says nothing are `silent`: they give no verdict, and their error is infinite.
struct Look {
  std::vector<double> errors;  // [n] Euclidean norm over the outputs
  Index silent = 0;            // points without information
  Index beyond = 0;            // points where some output is off by more than its noise limit
  double rms = 0;              // of the errors of points that are not silent; infinite without any
  double spread = 0;           // root of the summed variances of F's answers over the points
  double worst_ratio = 0;      // largest error in units of its limit
  std::vector<double> worst;   // [d] where that is
  Index first_row = 0;         // of its points in the stream they came from
  HostMatrix answers;          // [n, p] of F
  HostMatrix sigmas;           // [n, p] as told; empty: not told

  /// No error, and enough points to show one: at least half of them say something.
  bool clean() const { return beyond == 0 && 2 * silent <= static_cast<Index>(errors.size()); }
};

/// Compares answers at x with the hypothesis. The limit of output o at x is
///   sigmas * sqrt(sigma_o(x)^2 + (value_error_o * rho)^2):
/// the noise of the answer and the errors that the parts of the hypothesis are known to have. Where
/// the oracle tells a standard deviation it counts as noise as well, in the square.
///
/// x [n, d], answers [n, p] of F, sigmas [n, p] as told, or empty.
Look judge(Device& device, ConstDeviceView x, ConstDeviceView answers, const Hypothesis& hypothesis,
           const DeviceNetwork& current, const NoiseModel& noise, const QueryPlan& plan,
           const HostMatrix& sigmas = {});

/// A look in chunks: the points of `more` after those of `look`; sum_up then makes rms and spread
/// those of all points.
void append(Look& look, const Look& more);
void sum_up(Look& look);

/// Fresh points of N(0, I) from a stream: asks, and judges. In chunks of d + 2 p numbers a point
/// below Budget::device_bytes, one round.
Look look_around(Asker& asker, Random& random, Stream stream, Index points,
                 const Hypothesis& hypothesis, const DeviceNetwork& current,
                 const NoiseModel& noise, const QueryPlan& plan);

/// The hunt for slabs ("bumps") that no line has met: hit first, then line. A slab {a < <u, x> < a
/// + w}, |u| = 1, has Gaussian mass phi(a) w whatever the dimension. Half of the points are drawn
/// with standard deviation 2, so that planes out to 2.5 are found with three times the points that
/// planes at 1.28 need.
class Hunt {
 public:
  explicit Hunt(const QueryPlan& plan);

  /// Draws until a hit (true; `worst` says where) or until enough points were clean (false).
  bool find(Asker& asker, Random& random, const Hypothesis& hypothesis,
            const DeviceNetwork& current, const NoiseModel& noise, const QueryPlan& plan,
            std::vector<double>& worst);

  /// Points of the largest batch it will ask; 0 without a hunt.
  Index largest_batch() const;

  /// Of the last batch.
  const Look& last_look() const { return look_; }

  /// Points of N(0, I) drawn so far, and those of them whose answer said nothing.
  Index gaussian_points() const { return gaussian_points_; }
  Index silent_gaussian_points() const { return silent_gaussian_points_; }

 private:
  Look look_;
  Index wanted_;
  Index batch_;
  Index drawn_ = 0;
  Index gaussian_points_ = 0;
  Index silent_gaussian_points_ = 0;
};

}  // namespace crease
