// The checks of kernels/ops_hinges.hpp, once, for every backend.
#include "kernels/ops.hpp"

#include "kernels/view_checks.hpp"

namespace crease {

void absolute(Device& device, DeviceView y) {
  if (is_empty(y)) return;
  device.ops().absolute(y);
}

void hinge_jacobian_rows(Device& device, ConstDeviceView z, ConstDeviceView x,
                         ConstDeviceView directions, Index output, DeviceView out) {
  const Index p = directions.cols;
  const Index width = x.cols + 1 + (p > 1 ? p : 0);
  require(z.rows == x.rows, "hinge_jacobian_rows: z and x must have the same rows");
  require(directions.rows == z.cols, "hinge_jacobian_rows: directions must be [k, p]");
  require(output >= 0 && output < p, "hinge_jacobian_rows: there is no such output");
  require(is_shape(out, x.rows, (z.cols + p) * width),
          "hinge_jacobian_rows: out must be [n, (k + p) w]");
  if (is_empty(out)) return;
  device.ops().hinge_jacobian_rows(z, x, directions, output, out);
}

std::unique_ptr<HingeJacobian> linearize_hinges(Device& device, ConstDeviceView x,
                                                ConstDeviceView planes, ConstDeviceView directions,
                                                ConstDeviceView weights, bool hold) {
  const Index p = directions.cols;
  require(x.rows >= 1 && p >= 1, "linearize_hinges: there must be rows and outputs");
  require(planes.cols == x.cols + 1, "linearize_hinges: planes must be [k, d + 1]");
  require(directions.rows == planes.rows, "linearize_hinges: directions must be [k, p]");
  require(is_empty(weights) || (weights.rows == x.rows && (weights.cols == 1 || weights.cols == p)),
          "linearize_hinges: weights must be [n, 1] or [n, p]");
  return device.ops().linearize_hinges(x, planes, directions, weights, hold);
}

}  // namespace crease
