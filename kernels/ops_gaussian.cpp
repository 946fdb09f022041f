// The checks of kernels/ops_gaussian.hpp, once, for every backend.
#include "kernels/ops.hpp"

#include "kernels/view_checks.hpp"

namespace crease {

void gaussian_gram(Device& device, ConstDeviceView weights, ConstDeviceView bias, bool with_inputs,
                   DeviceView g) {
  const Index q = weights.rows + (with_inputs ? weights.cols : 0) + 1;
  require(is_shape(bias, weights.rows, 1), "gaussian_gram: bias must be [k, 1]");
  require(is_shape(g, q, q),
          "gaussian_gram: g must be [k + d + 1, k + d + 1], without d for no "
          "inputs");
  device.ops().gaussian_gram(weights, bias, with_inputs, g);
}

void gaussian_coupling_sums(Device& device, ConstDeviceView normals, ConstDeviceView thresholds,
                            ConstDeviceView jumps, ConstDeviceView groups, Index first,
                            DeviceView sums) {
  const Index k = normals.rows;
  require(is_shape(thresholds, k, 1) && is_shape(groups, k, 1) && is_shape(sums, k, 1),
          "gaussian_coupling_sums: thresholds, groups and sums must be [k, 1]");
  require(jumps.rows == k, "gaussian_coupling_sums: jumps must be [k, p]");
  require(first >= 0 && first <= k, "gaussian_coupling_sums: first must be in [0, k]");
  if (is_empty(sums)) return;
  device.ops().gaussian_coupling_sums(normals, thresholds, jumps, groups, first, sums);
}

}  // namespace crease
