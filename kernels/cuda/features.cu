// ReLU features on the GPU, of points that are given or Gaussian.
#include <algorithm>
#include <limits>

#include "kernels/cuda/features.cuh"
#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

Index parts_of(Index whole, Index part) {
  return (whole + part - 1) / part;
}

template <class Shape>
Index tiles_of(DeviceView out) {
  return parts_of(out.rows, Shape::kRows) * parts_of(out.cols, Shape::kCols);
}

template <class Kernel>
void allow_shared(Kernel kernel, Index bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
}

constexpr Index slice_bytes(Index rows) {
  return rows * kSliceInputs * static_cast<Index>(sizeof(double));
}

template <class Shape, bool kWide>
void launch_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                     DeviceView out, Index processors, cudaStream_t stream) {
  constexpr Index kShared = kStages * slice_bytes(Shape::kRows + Shape::kCols);
  const auto kernel = relu_features_kernel<Shape, kWide>;
  allow_shared(kernel, kShared);
  // As many blocks as run at one time; each takes tile after tile.
  int per_processor = 1;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_processor, kernel, kFeatureThreads,
                                                      kShared),
        "relu_features");
  const Index blocks = std::min(tiles_of<Shape>(out), processors * std::max(per_processor, 1));
  kernel<<<static_cast<unsigned>(blocks), kFeatureThreads, kShared, stream>>>(
      x, weights, bias, out, starts_at_16_bytes(out));
}

template <bool kWide>
void launch_gaussian_features(Seed seed, std::uint64_t stream_number, Index first_row,
                              ConstDeviceView weights, ConstDeviceView bias, DeviceView out,
                              Index processors, Index shared, cudaStream_t stream) {
  // Making a panel costs about as much as one of its tiles (16 numbers a row and slice at some 100
  // operations each, against 16 x 128 multiply-adds at twice the rate). A panel is made once for
  // each of its items: fewer tiles an item fill the GPU better, more tiles make fewer panels.
  const Index panels = parts_of(out.rows, LargeTile::kRows);
  const Index across = parts_of(out.cols, LargeTile::kCols);
  Index tiles_per_item = across;
  Index least = std::numeric_limits<Index>::max();
  for (Index tiles = 1; tiles <= across; ++tiles) {
    const Index items = panels * parts_of(across, tiles);
    const Index time = parts_of(items, processors) * (1 + tiles);
    if (time <= least) {
      least = time;
      tiles_per_item = tiles;
    }
  }
  const Index blocks = std::min(panels * parts_of(across, tiles_per_item), processors);
  const auto kernel = gaussian_features_kernel<kWide>;
  allow_shared(kernel, shared);
  kernel<<<static_cast<unsigned>(blocks), kFeatureThreads, static_cast<std::size_t>(shared),
           stream>>>(seed.value, stream_number, first_row, weights, bias, out,
                     starts_at_16_bytes(out), static_cast<int>(tiles_per_item));
}

}  // namespace

void CudaOps::relu_features(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                            DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Index processors = attribute(context_, cudaDevAttrMultiProcessorCount);
  const bool wide = starts_at_16_bytes(x) && starts_at_16_bytes(weights);
  const bool large = tiles_of<LargeTile>(out) >= processors;
  const auto launch =
      large ? (wide ? launch_features<LargeTile, true> : launch_features<LargeTile, false>)
            : (wide ? launch_features<SmallTile, true> : launch_features<SmallTile, false>);
  launch(x, weights, bias, out, processors, context_.stream());
  check(cudaGetLastError(), "relu_features");
}

void CudaOps::gaussian_features(Seed seed, std::uint64_t stream, Index first_row,
                                ConstDeviceView weights, ConstDeviceView bias, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const Index d = weights.cols;
  const Index panel = std::max<Index>(parts_of(d, kSliceInputs), 1) * slice_bytes(LargeTile::kRows);
  const Index shared = kStages * slice_bytes(LargeTile::kCols) + panel;
  if (shared <= attribute(context_, cudaDevAttrMaxSharedMemoryPerBlockOptin)) {
    const Index processors = attribute(context_, cudaDevAttrMultiProcessorCount);
    const auto launch = starts_at_16_bytes(weights) ? launch_gaussian_features<true>
                                                    : launch_gaussian_features<false>;
    launch(seed, stream, first_row, weights, bias, out, processors, shared, context_.stream());
    check(cudaGetLastError(), "gaussian_features");
    return;
  }
  // A panel has no room beside the stages (d > 176 on Hopper). Making numbers again for every tile
  // would double the work; chunks of points that stay in the second cache cost two small passes
  // over them.
  constexpr Index kChunkNumbers = Index{1} << 21;  // 16 MiB
  const Index chunk = std::min(out.rows, std::max<Index>(kChunkNumbers / d, LargeTile::kRows));
  const Index ld = d + d % 2;  // rows that start at multiples of 16 bytes
  const Scratch<double> points(context_, static_cast<std::size_t>(chunk * ld));
  for (Index top = 0; top < out.rows; top += chunk) {
    const DeviceView x{points.data(), std::min(chunk, out.rows - top), d, ld};
    fill_gaussian(seed, stream, first_row + top, 1.0, x);
    relu_features(x, weights, bias, out.row_block(top, x.rows));
  }
}

}  // namespace crease
