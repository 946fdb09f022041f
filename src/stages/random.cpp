// Fresh points on a device, Gaussian or in the unit ball.
#include "src/stages/random.hpp"

#include <cmath>

#include "kernels/ops.hpp"

namespace crease {

void fill_ball(Device& device, Seed seed, std::uint64_t stream, Index first_row, DeviceView x) {
  fill_gaussian(device, seed, stream, first_row, 1.0, x);
  DeviceMatrix squares(device, x.rows, x.cols);
  copy(device, x, squares);
  multiply_elements(device, x, squares);
  DeviceMatrix ones(device, x.cols, 1);
  fill(device, 1.0, ones);
  DeviceMatrix sums(device, x.rows, 1);
  multiply(device, squares, Transpose::no, ones, Transpose::no, 1.0, 0.0, sums);
  HostMatrix factors = download(device, sums);
  for (Index i = 0; i < factors.rows(); ++i) factors(i, 0) = 1 / std::sqrt(factors(i, 0));
  scale_rows(device, upload(device, factors), x);
}

DeviceMatrix Random::gaussian_points(Device& device, Stream stream, Index n, Index d,
                                     double scale) {
  DeviceMatrix points(device, n, d);
  fill_gaussian(device, seed_, static_cast<std::uint64_t>(stream), take_rows(stream, n), scale,
                points);
  return points;
}

DeviceMatrix Random::ball_points(Device& device, Stream stream, Index n, Index d) {
  DeviceMatrix wide(device, n, d + 2);
  fill_ball(device, seed_, static_cast<std::uint64_t>(stream), take_rows(stream, n), wide);
  DeviceMatrix points(device, n, d);
  copy(device, wide.view().col_block(0, d), points);
  return points;
}

}  // namespace crease
