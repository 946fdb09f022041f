// Gaussian points with their answers, for fits; and where a residual wants another hyperplane.
#pragma once

#include "src/stages/ask.hpp"
#include "src/stages/hyperplane_fit.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// Points of one stream of the counter generator, N(0, I), with the answers divided by `unit`.
/// Nobody else may take rows of that stream.
class AnsweredPoints {
 public:
  AnsweredPoints(Device& device, Stream stream) : device_(&device), stream_(stream) {}

  /// Asks until there are n points; one round. None where there are as many already.
  void grow_to(Index n, Asker& asker, Random& random, const std::vector<double>& unit);

  Index size() const { return x_.rows(); }
  FitRows rows() const { return {x_, y_}; }
  FitRows first(Index n) const;

 private:
  Device* device_;
  Stream stream_;
  DeviceMatrix x_;
  DeviceMatrix y_;
};

/// Root of the summed variances of y over the rows, divided by the number of outputs.
double deviation_of_answers(Device& device, const FitRows& rows);

/// `count` hyperplanes along which what `network` leaves of the rows may bend: each the best of ten
/// by the correlation of |<v, x> + e| with the residual on at most 4000 rows; a third each from the
/// span of the leading eigenvectors of E[R (x x' - I)], from that of E[|R| (x x' - I)], and
/// uniform; e ~ N(0, 1/4). With several outputs R is the residual's projection on its principal
/// direction in R^p.
HostMatrix residual_seeds(Device& device, const FitRows& rows, const Hyperplanes& network,
                          Index count, Random& random, Index most_bytes);

}  // namespace crease
