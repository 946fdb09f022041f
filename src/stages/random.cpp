// Fresh Gaussian points on a device.
#include "src/stages/random.hpp"

#include "kernels/ops.hpp"

namespace crease {

DeviceMatrix Random::gaussian_points(Device& device, Stream stream, Index n, Index d,
                                     double scale) {
  DeviceMatrix points(device, n, d);
  fill_gaussian(device, seed_, static_cast<std::uint64_t>(stream), take_rows(stream, n), scale,
                points);
  return points;
}

}  // namespace crease
