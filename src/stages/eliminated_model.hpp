// The normal matrix of y = U f(V x) with U eliminated: from examples, or in closed form.
#pragma once

#include <optional>

#include "src/stages/rectified_sum.hpp"

namespace crease {

/// Gauss-Newton for the directions V, U always the best for them (variable projection). With
/// z = (f'(<v_i, x>) x)_i in R^(k d) and G = E z z^T,
///   K_i = v_i^T G_i. / power,   FF = K V^T / power = E f f^T,   S0 = G - K^T FF^-1 K,
///   S_ij = (U^T U)_ij S0_ij   per block (i, j):   [k d, k d], whatever the number of outputs.
/// Directions are seen in q coordinates: q = d, or q = k where all that matters lies in their span.
class EliminatedModel {
 public:
  /// G from the first `rows` training rows.
  static std::optional<EliminatedModel> of_examples(Device& device, Examples& examples,
                                                    const HostMatrix& directions, double power,
                                                    Index rows);
  /// G for x ~ N(0, I) and power 1, linearly independent unit rows v_i at angles t_ij:
  ///   E 1{<v_i,x> > 0} 1{<v_j,x> > 0} x x^T = A_ij I + [v_i v_j^T + v_j v_i^T
  ///       - cos t (v_i v_i^T + v_j v_j^T)] / (2 pi sin t),   A_ij = (pi - t_ij) / (2 pi),  A_ii =
  ///       1/2.
  /// Within the span of V a k^2 x k^2 system, outside it one k x k system for all directions.
  static std::optional<EliminatedModel> of_gaussian(Device& device, const HostMatrix& directions);

  struct Step {
    HostMatrix directions;  // dV [k, d]
    HostMatrix outputs;     // dU [p, k]
    double predicted =
        0;  // <gradient, step>: twice what the mean of squares falls by, in the model
  };
  /// gradient_v = E ((U^T r) o f') x^T [k, d], gradient_u = E r f^T [p, k] (0 where U is the best),
  /// r = y - U f. Damping lambda (diag S + 1e-3 of its mean). No value where there is no Cholesky
  /// factor.
  std::optional<Step> solve(const HostMatrix& outputs, const HostMatrix& gradient_v,
                            const HostMatrix& gradient_u, double damping) const;

  /// S0 in the coordinates of the step, for tests: [k q, k q].
  HostMatrix projected() const;

 private:
  EliminatedModel(Device& device, DeviceMatrix normal, HostMatrix seen, double power);
  bool eliminate();

  Device* device_;
  Index k_, q_;
  double power_;
  DeviceMatrix normal_;           // G, then S0, lower triangle and above
  HostMatrix seen_;               // V in the coordinates [k, q]
  HostMatrix coupling_;           // K [k, k q]
  HostMatrix factor_;             // Cholesky factor of FF, for right sides on the host
  std::vector<double> diagonal_;  // of S0
  HostMatrix span_;     // [k, d] orthonormal rows; empty: coordinates are the inputs themselves
  HostMatrix outside_;  // A_ij [k, k]
};

}  // namespace crease
