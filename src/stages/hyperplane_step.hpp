// One linearised step of all hyperplanes: normal equations, or conjugate gradients.
#pragma once

#include <memory>
#include <optional>

#include "kernels/ops.hpp"
#include "src/stages/hyperplane_scales.hpp"

namespace crease {

/// The problem linearised at one solution; steps for several dampings share what they can.
class HyperplaneStep {
 public:
  /// `solver` and `at` must outlive it.
  HyperplaneStep(Device& device, const ScaleSolver& solver, const ScaleSolver::Solution& at,
                 const HyperplaneFitPlan& plan);

  struct Step {
    HostMatrix change;  // [k + p, w]: delta | eta above, alpha below (hinge_jacobian_rows)
    Index cg_iterations = 0;
    double predicted = 0;  // mean square of r - J u
  };
  /// argmin |r - J u|^2 + n mean(weights^2) sum_i damping_i |u_i|^2. No value where the normal
  /// equations have no Cholesky factor.
  ///
  /// damping  one number for every row of u: k + p
  std::optional<Step> solve(const std::vector<double>& damping, double tolerance,
                            Index most_iterations);

  /// Whether steps come from the normal equations.
  bool dense() const { return dense_; }

 private:
  void prepare_dense();
  void prepare_iterations();
  std::optional<Step> solve_dense(const std::vector<double>& damping);
  std::optional<Step> solve_iterations(const std::vector<double>& damping, double tolerance,
                                       Index most_iterations);
  std::optional<DeviceMatrix> inverse(const HostMatrix& gram, const std::vector<double>& shifts);
  Step finished(const DeviceMatrix& change, const std::vector<double>& damping, double unit);
  double mass() const;

  Device& device_;
  const ScaleSolver& solver_;
  const ScaleSolver::Solution& at_;
  const HyperplaneFitPlan& plan_;
  Index neurons_, outputs_, hinges_, inputs1_, width_;
  bool dense_;
  DeviceMatrix planes_;      // [k, d + 1]
  DeviceMatrix directions_;  // [k, p]
  HostMatrix host_directions_;
  DeviceMatrix normal_;  // J^T J, lower triangle; dense
  DeviceMatrix right_;   // J^T r [(k + p) w, 1]; iterations: over rms_
  double rms_ = 0;
  std::unique_ptr<HingeJacobian> jacobian_;
  HostMatrix
      plane_gram_;  // [k + p, k + p]: E S_i S_j <u_i, u_j>, what the planes precondition with
  HostMatrix scale_gram_;  // [k, k]: E |z_i| |z_j|, for several outputs
};

/// V_i <- |c_i| V_i + delta_i (c_i V_i + delta_i for one output), of unit normal and turned as
/// before; a neuron whose normal vanishes stays as it was.
HostMatrix moved_planes(const Hyperplanes& at, const HostMatrix& change);

}  // namespace crease
