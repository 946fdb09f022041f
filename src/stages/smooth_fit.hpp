// Levenberg-Marquardt for smooth networks: all parameters, or some kinds of them.
#pragma once

#include <crease/smooth_network.hpp>

#include <functional>

namespace crease {

struct SmoothFitPlan {
  // What may move; the rest stays as it starts.
  bool weights = true;        // of all hidden layers
  bool first_weights = true;  // false: but for those of the first of two
  bool biases = true;
  bool output = true;
  bool constant = true;
  bool linear = false;

  Index most_steps = 60;
  double damping = 1e-3;  // times the diagonal, at first
  // Ends it: a residual of so much of the root mean square of y, or so many steps in a row that
  // each gain less than `little` of the mean square.
  double exact = 1e-15;
  double little = 1e-3;
  int most_little = 4;
  Index most_bytes = Index{1} << 30;  // of Jacobian rows at a time
  std::function<bool()> stop;         // asked before every chunk and try; may be empty
};

struct SmoothFit {
  SmoothNetwork network;
  double rms = 0;  // of the residual
  Index steps = 0;
  bool stopped = false;
};

/// Numbers that a plan lets move.
Index free_numbers(const SmoothNetwork& network, const SmoothFitPlan& plan);

/// out [n, q] <- dF / d(number) at x [n, d] for the q = free_numbers() ones: layer by layer weights
/// (row by row) and biases, then outputs, constant, linear part. One output.
void smooth_jacobian(Device& device, const SmoothNetwork& network, const SmoothFitPlan& plan,
                     ConstDeviceView x, DeviceView out);

/// min mean (F(x_i) - y_i)^2 from `start`, whose form and activations stay: steps of
///   (J^T J + damping diag(J^T J)) s = -J^T r,
/// J^T J and J^T r from rows of the analytic Jacobian made chunk by chunk, solved by Cholesky on
/// the device. Damping / 6 after a step that lowers the mean square, * 5 after one that does not. A
/// residual close to `exact` that no longer falls by half is rounding, and ends it.
///
/// x [n, d], y [n, 1]; networks of one output. The normal matrix takes 2 q^2 numbers, q =
/// free_numbers(). Throws BadInput where shapes differ. Waits.
SmoothFit fit_smooth(Device& device, ConstDeviceView x, ConstDeviceView y, SmoothNetwork start,
                     const SmoothFitPlan& plan = {});

}  // namespace crease
