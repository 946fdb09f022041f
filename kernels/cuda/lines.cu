// Networks along lines, on the GPU.
#include "kernels/cuda/lines.cuh"

#include <cub/device/device_radix_sort.cuh>

#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

/// The direct sum keeps a GPU busy with a few neurons already, and sorting takes some twenty
/// launches: estimated, not measured.
bool pays_to_sort(Index points, Index neurons) {
  constexpr Index kManyPoints = 1 << 10;
  constexpr Index kManyNeurons = 1 << 13;
  constexpr Index kMuchWork = 1 << 28;
  return (points >= kManyPoints && neurons >= kManyNeurons) ||
         (points * neurons >= kMuchWork && neurons >= kEvaluateThreads);
}

/// Stable; by the lowest `bits` of the keys.
template <class Key>
void sort_pairs(CudaContext& context, const Key* keys, Key* sorted, const Index* values,
                Index* order, Index count, int bits) {
  std::size_t bytes = 0;
  const auto sort = [&](void* scratch) {
    return cub::DeviceRadixSort::SortPairs(scratch, bytes, keys, sorted, values, order, count, 0,
                                           bits, context.stream());
  };
  check(sort(nullptr), "relu_lines_sum");
  const Scratch<unsigned char> scratch(context, bytes);
  check(sort(scratch.data()), "relu_lines_sum");
}

/// Blocks along y of a kernel that loops over `count` columns.
dim3 along(Index count, int threads) {
  return {1, blocks_for(count, threads, 1 << 12)};
}

template <int kOutputs>
void launch_direct(const OnLines& lines, Index longest, DeviceView out, cudaStream_t stream) {
  const dim3 grid(blocks_for(longest, kLinePoints, 1 << 15),
                  blocks_for(out.cols, kOutputs, 1 << 10),
                  blocks_for(lines.offsets.cols, 1, 1 << 10));
  relu_lines_sum_kernel<kOutputs><<<grid, kLinePoints, 0, stream>>>(lines, out);
}

void launch_sorted(CudaContext& context, const OnLines& lines, Index longest, DeviceView out) {
  constexpr int kThreads = 256;
  constexpr Index kPieceBytes = Index{1} << 26;  // of the pieces of a few outputs at a time
  const cudaStream_t stream = context.stream();
  const Index k = lines.offsets.rows;
  const Index m = lines.offsets.cols;
  const Index count = m * k;
  const auto size = static_cast<std::size_t>(count);

  const Scratch<double> kinks(context, size);
  const Scratch<double> sorted(context, size);
  const Scratch<Index> elements(context, size);
  const Scratch<Index> order(context, size);
  const Launch launch = per_element(m, k);
  line_kinks_kernel<<<launch.grid, launch.block, 0, stream>>>(lines, kinks.data(), elements.data());
  sort_pairs(context, kinks.data(), sorted.data(), elements.data(), order.data(), count, 64);
  const Index* by_line = order.data();
  if (m > 1) {
    // All lines at once, then by line: the second sort is stable.
    int bits = 1;
    while ((Index{1} << bits) < m) ++bits;
    const Scratch<unsigned> line(context, size);
    const Scratch<unsigned> sorted_line(context, size);
    lines_of_kernel<<<along(count, kThreads), kThreads, 0, stream>>>(order.data(), k, count,
                                                                     line.data());
    sort_pairs(context, line.data(), sorted_line.data(), order.data(), elements.data(), count,
               bits);
    by_line = elements.data();
    gather_kinks_kernel<<<along(count, kThreads), kThreads, 0, stream>>>(kinks.data(), by_line,
                                                                         count, sorted.data());
  }

  const Index each = m * (k + 1) * static_cast<Index>(sizeof(LinePiece));
  const Index outputs = std::clamp<Index>(kPieceBytes / each, 1, out.cols);
  const Index tiles = (k + kScanTile - 1) / kScanTile;
  const Scratch<LinePiece> across(context, static_cast<std::size_t>(m * outputs * tiles));
  const Scratch<LinePiece> before(context, static_cast<std::size_t>(m * outputs * tiles));
  const Scratch<LinePiece> pieces(context, static_cast<std::size_t>(m * outputs * (k + 1)));
  for (Index first = 0; first < out.cols; first += outputs) {
    const Index now = std::min(outputs, out.cols - first);
    const LineScan scan{by_line, first, now, tiles, across.data(), before.data(), pieces.data()};
    const unsigned lines_deep = blocks_for(m, 1, 1 << 10);
    const dim3 grid(blocks_for(tiles, 1, 1 << 12), blocks_for(now, 1, 1 << 10), lines_deep);
    line_totals_kernel<<<grid, kScanThreads, 0, stream>>>(lines, scan);
    line_starts_kernel<<<along(m * now, kThreads), kThreads, 0, stream>>>(m * now, scan);
    line_pieces_kernel<<<grid, kScanThreads, 0, stream>>>(lines, scan);
    const dim3 points(blocks_for(longest, kEvaluateThreads, 1 << 15), 1, lines_deep);
    line_values_kernel<<<points, kEvaluateThreads, 0, stream>>>(lines, scan, sorted.data(), out);
  }
}

}  // namespace

void CudaOps::relu_lines_sum(ConstDeviceView offsets, ConstDeviceView slopes,
                             ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                             std::span<const Index> first, ConstDeviceView t, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const auto starts = static_cast<Index>(first.size());
  const Scratch<Index> first_on_device(context_, first.size());
  Index longest = 0;
  for (Index from = 0; from < starts; from += kFirstPart) {
    FirstPart part{};
    const Index count = std::min<Index>(kFirstPart, starts - from);
    for (Index i = 0; i < count; ++i) {
      const Index line = from + i;
      part.values[i] = first[static_cast<std::size_t>(line)];
      if (line > 0) {
        longest = std::max(longest, part.values[i] - first[static_cast<std::size_t>(line - 1)]);
      }
    }
    set_first_kernel<<<1, kFirstPart, 0, context_.stream()>>>(part, count,
                                                              first_on_device.data() + from);
  }
  const OnLines lines{offsets, slopes, output, constant, tilt, first_on_device.data(), t};
  if (pays_to_sort(out.rows, offsets.rows)) {
    launch_sorted(context_, lines, longest, out);
  } else {
    const auto launch = out.cols == 1   ? launch_direct<1>
                        : out.cols <= 4 ? launch_direct<4>
                                        : launch_direct<8>;
    launch(lines, longest, out, context_.stream());
  }
  check(cudaGetLastError(), "relu_lines_sum");
}

}  // namespace crease
