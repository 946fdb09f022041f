// Variable projection: the best scales and linear part for given hyperplanes.
#pragma once

#include <optional>
#include <vector>

#include "src/stages/hyperplane_fit.hpp"

namespace crease {

/// The rows of one fit, and what solving over them needs.
class ScaleSolver {
 public:
  /// Throws BadInput as fit_hyperplanes does.
  ScaleSolver(Device& device, const FitRows& rows, Index most_bytes);

  struct Solution {
    Hyperplanes network;
    DeviceMatrix residual;  // [n, p] weights (y - F')
    double mean_square = 0;
    DeviceMatrix gram;  // [q, q] of the weighted features of the last output, lower triangle
    std::vector<double> importance;  // where asked for
  };
  /// No value where there is no Cholesky factor.
  std::optional<Solution> solve(const HostMatrix& planes, bool with_importance = false);

  const FitRows& rows() const { return rows_; }
  /// Mean of weights^2; 1 without weights.
  double mean_weight() const { return mean_weight_; }
  /// y times weights.
  ConstDeviceView weighted_answers() const { return answers_; }
  /// Scratch for one chunk of rows.
  Index chunk_bytes() const { return chunk_bytes_; }
  /// z [m, any] rows `top` on of what belongs to `output`, times their weights.
  void weigh(Index top, Index output, DeviceView z) const;

 private:
  double constant() const { return rows_.offsets ? 1.0 : 0.0; }
  /// Gram matrix of [x, 1] with the weights of `output`: the same for all hyperplanes.
  const DeviceMatrix& affine_gram(Index output);
  bool solve_group(const HyperplaneFeatures& features, Index first, Index count,
                   HostMatrix& coefficients, Solution& solution, bool with_importance);

  Device& device_;
  FitRows rows_;
  Index chunk_bytes_;
  double mean_weight_ = 1;
  DeviceMatrix answers_;                    // [n, p]
  std::vector<DeviceMatrix> affine_grams_;  // [d + 1, d + 1] each, where already made
};

}  // namespace crease
