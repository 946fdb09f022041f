// The least-squares stage: coefficients of ReLU features, and what they say about the network so
// far.
#pragma once

#include <functional>

#include "src/device_network.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/look.hpp"

namespace crease {

/// Rows of a feature matrix [relu(weights x + bias), x, 1] (x is optional) at points of the counter
/// generator: held in memory where they fit, otherwise made again, chunk by chunk, each time they
/// are needed.
class FeatureRows {
 public:
  struct Points {
    Seed seed;
    Stream stream;
    Index first_row;
    Index count;
  };
  /// at_hand [count, d]: the points themselves, where they are in memory; without rows they are
  /// made again.
  FeatureRows(Device& device, Points points, ConstDeviceView weights, ConstDeviceView bias,
              bool with_inputs, Index most_bytes, ConstDeviceView at_hand = {});

  Index rows() const { return points_.count; }
  Index cols() const;
  Index chunk_rows() const { return chunk_rows_; }

  /// Rows first .. first + count - 1 of the matrix; count <= chunk_rows(). Valid until the next
  /// call.
  ConstDeviceView chunk(Index first, Index count);

 private:
  void build(Index first, Index count, DeviceView out);

  Device& device_;
  Points points_;
  ConstDeviceView weights_;
  ConstDeviceView bias_;
  ConstDeviceView at_hand_;
  bool with_inputs_;
  Index chunk_rows_;
  bool held_ = false;
  DeviceMatrix inputs_;
  DeviceMatrix features_;
};

/// min_z |Z z - y|, one solution per column of y.
struct LeastSquaresSolution {
  HostMatrix coefficients;  // [q, p]
  std::string solver;
  Index rank = 0;
  double condition = 0;  // of Z with unit columns
};

/// By `stream` (Gram matrix in chunks, shifted Cholesky factor, LSQR with it as preconditioner)
/// where Z with unit columns has a condition up to 1e6 (its factor cannot tell conditions beyond
/// 1e7 from each other, nor from a rank that is not full), else by `qr` (TSQR, then a
/// rank-revealing step on R). rows: which of Z's rows take part, [first, first + count); y [count,
/// p] on the device.
LeastSquaresSolution solve_least_squares(Device& device, FeatureRows& z, Index first, Index count,
                                         ConstDeviceView y);

/// The two solvers. `stream` returns nothing where Z is too ill-conditioned for it.
std::optional<LeastSquaresSolution> solve_by_stream(Device& device, FeatureRows& z, Index first,
                                                    Index count, ConstDeviceView y);
LeastSquaresSolution solve_by_qr(Device& device, FeatureRows& z, Index first, Index count,
                                 ConstDeviceView y);

/// The regression of Section 4.4 of Chen, Klivans and Meka 2021 on the residual F - F': Gaussian
/// points over [relu, x, 1], n = 2 (k + d + 1), where that is at most a tenth of the queries so
/// far, else over [relu, 1] with n = 2 (k + 1) + 32. The points of the last look come first, what
/// is missing is drawn after them, and `look` is made again over all: F' was fixed before any of
/// them.
///
/// A quarter of the points is held out, and the step is taken only if their error falls by 10 %.
/// While no point shows an error beyond its limit it must also be an error that can be seen (above
/// the noise of the answers) and stay within what is known of each neuron's own error: the trust
/// region that stands for the norm bound of equation (7). Without it, neurons that cancel where the
/// points are (bumps) could be moved freely elsewhere.
void fit_least_squares(Asker& asker, Random& random, const NoiseModel& noise, const QueryPlan& plan,
                       Index most_bytes, Hypothesis& hypothesis, Look& look,
                       LeastSquaresReport& report);

}  // namespace crease
