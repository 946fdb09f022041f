// ReLU features on the GPU, of points that are given or Gaussian.
#include <algorithm>

#include "kernels/cuda/features.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {

void CudaOps::relu_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                            DeviceView out) {
  const CurrentGpu current(context_.device_id());
  multiply(x, Transpose::no, weights, Transpose::yes, 1.0, 0.0, out);
  const Launch launch = per_element(out.rows, out.cols);
  bias_and_relu_kernel<<<launch.grid, launch.block, 0, context_.stream()>>>(bias, out);
  check(cudaGetLastError(), "relu_features");
}

void CudaOps::gaussian_features(Seed seed, std::uint64_t stream, Index first_row,
                                ConstDeviceView weights, ConstDeviceView bias, DeviceView out) {
  constexpr Index kChunkNumbers = Index{1} << 21;  // 16 MiB: the points stay in the second cache
  const Index d = weights.cols;
  const Index chunk = std::min(out.rows, std::max<Index>(kChunkNumbers / std::max<Index>(d, 1), 1));
  const Scratch<double> points(context_, static_cast<std::size_t>(chunk * d));
  for (Index top = 0; top < out.rows; top += chunk) {
    const DeviceView x{points.data(), std::min(chunk, out.rows - top), d, d};
    if (d > 0) fill_gaussian(seed, stream, first_row + top, 1.0, x);
    relu_features(x, weights, bias, out.row_block(top, x.rows));
  }
}

}  // namespace crease
