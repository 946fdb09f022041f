// The checks of kernels/ops_smooth.hpp, once, for every backend.
#include <cmath>

#include "kernels/ops.hpp"
#include "kernels/second_difference.hpp"
#include "kernels/view_checks.hpp"

namespace crease {

void activate(Device& device, Activation activation, int derivative, DeviceView y) {
  require(derivative >= 0 && derivative <= 2, "activate: the derivative must be 0, 1 or 2");
  if (is_empty(y)) return;
  device.ops().activate(activation, derivative, y);
}

void second_differences(Device& device, ConstDeviceView values, double step, DeviceView out) {
  require(step > 0 && std::isfinite(step), "second_differences: the step must be positive");
  const Index dimensions = dimensions_of(out.cols);
  require(symmetric_size(dimensions) == out.cols &&
              is_shape(values, out.rows, stencil_size(dimensions)),
          "second_differences: values must be [m, D^2 + D + 1], out [m, D (D + 1) / 2]");
  if (is_empty(out)) return;
  device.ops().second_differences(values, step, out);
}

}  // namespace crease
