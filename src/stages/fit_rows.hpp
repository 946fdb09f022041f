// Gaussian points with their answers, for fits; and where a residual wants another hyperplane.
#pragma once

#include "src/stages/ask.hpp"
#include "src/stages/hyperplane_fit.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// Points of one stream of the counter generator, N(0, I), and others that were chosen, with their
/// answers divided by `unit`. Nobody else may take rows of that stream.
class AnsweredPoints {
 public:
  AnsweredPoints(Device& device, Stream stream) : device_(&device), stream_(stream) {}

  /// Asks until there are n points of the stream; one round. None where there are as many already.
  void grow_to(Index n, Asker& asker, Random& random, const std::vector<double>& unit);

  /// Asks these points [n, d] too; one round.
  void ask(const HostMatrix& points, Asker& asker, const std::vector<double>& unit);

  /// Adds points [n, d] that were asked before, with their answers [n, p].
  void add(const HostMatrix& points, const HostMatrix& answers, const std::vector<double>& unit);

  /// Of the stream; of all.
  Index drawn() const { return drawn_; }
  Index size() const { return x_.rows(); }
  FitRows rows() const { return {x_, y_}; }

 private:
  void put(ConstDeviceView fresh, DeviceView y, const std::vector<double>& unit) const;
  void append(ConstDeviceView where, ConstDeviceView fresh, const std::vector<double>& unit);

  Device* device_;
  Stream stream_;
  Index drawn_ = 0;
  DeviceMatrix x_;  // those of the stream first
  DeviceMatrix y_;
};

/// How many rows lie on the side of each hyperplane that has fewer. [k]
std::vector<Index> rarer_sides(Device& device, ConstDeviceView x, const HostMatrix& planes,
                               Index most_bytes);

/// n points around the hyperplane <v, x> + e = 0: N(0, I) across it, and N(0, height^2) from it.
HostMatrix points_around(const double* plane, Index d, Index n, Random& random, double height = 1);

/// Of y over the rows, per output. [p]
std::vector<double> deviations_of_answers(Device& device, const FitRows& rows);

/// y - F' of the rows, less its mean: with several outputs along the direction of R^p in which it
/// is largest. [n]
std::vector<double> main_residual(Device& device, const FitRows& rows, const Hyperplanes& network,
                                  Index most_bytes);

/// Orthonormal rows that span the `count` leading eigenvectors, by size of the eigenvalue, of
/// E[w (x x' - I)], nearly: a few steps of subspace iteration. [count, d]
HostMatrix leading_span(Device& device, ConstDeviceView x, const std::vector<double>& weights,
                        Index count, Random& random, Index most_bytes);

/// `count` hyperplanes along which what `network` leaves of the rows may bend: each the best of ten
/// (of 60 up to 8 inputs) by the correlation of |<v, x> + e| with the residual on at most 4000
/// rows; a third each from the span of the leading eigenvectors of E[R (x x' - I)], from that of
/// E[|R| (x x' - I)], and uniform; e ~ N(0, 1/4). With several outputs R is the residual's
/// projection on its principal direction in R^p.
HostMatrix residual_seeds(Device& device, const FitRows& rows, const Hyperplanes& network,
                          Index count, Random& random, Index most_bytes);

}  // namespace crease
