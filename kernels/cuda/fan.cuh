// Kernels of fan.cu: networks on fans, in the fan's own coordinates.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/staging.cuh"

namespace crease {

// For each neuron, centre and direction: one multiply-add for z = offset + step * slope, one for
// each output. Where z is negative the second is skipped, which costs no operation of the floating
// point unit: the test reads the upper half of z as an integer. A thread holds kCenters x
// kDirections points, so that few reads of shared memory serve many multiply-adds. The lanes of a
// warp share their centres and are neighbours along the directions.

constexpr int kFanWarps = 4;
constexpr int kFanThreads = 32 * kFanWarps;
constexpr int kFanNeurons = 16;  // of a slice: a row of offsets is 128 bytes

template <int kCenters_, int kDirections_, int kOutputs_>
struct FanShape {
  static constexpr int kCenters = kCenters_;        // of a warp
  static constexpr int kDirections = kDirections_;  // of a lane
  static constexpr int kOutputs = kOutputs_;
  static constexpr int kRows = kCenters * kFanWarps;
  static constexpr int kCols = kDirections * 32;
};

/// z < 0, or -0; not for NaN (what comes out of a multiply-add is a quiet one).
__device__ __forceinline__ bool is_negative(double z) {
  constexpr int kUpperHalfOfMinusInfinity = -0x100000;
  return static_cast<int>(__double_as_longlong(z) >> 32) <= kUpperHalfOfMinusInfinity;
}

/// Neurons first .. first + 15 of a tile: offsets[c][r], slopes[r][j], weights[o][r].
template <class Shape>
struct FanSlice {
  alignas(16) double offsets[Shape::kRows][kFanNeurons];
  alignas(16) double slopes[kFanNeurons][Shape::kCols];
  alignas(16) double weights[Shape::kOutputs][kFanNeurons];
};

/// Starts the copy of a slice. Neurons and directions that are not there are zero; centres and
/// outputs that are not there are the last one again, and nobody looks at their sums.
template <class Shape>
__device__ inline void copy_fan_slice(FanSlice<Shape>& slice, ConstDeviceView offsets,
                                      ConstDeviceView slopes_t, ConstDeviceView output, bool wide,
                                      Index top, Index left, Index group, Index first) {
  constexpr int kPairs = kFanNeurons / 2;
  const auto row_or_last = [](ConstDeviceView view, Index row) {
    return view.data + (row < view.rows ? row : view.rows - 1) * view.ld;
  };
  for (int e = static_cast<int>(threadIdx.x); e < Shape::kRows * kPairs; e += kFanThreads) {
    const int c = e / kPairs;
    const int pair = 2 * (e % kPairs);
    copy_pair(&slice.offsets[c][pair], row_or_last(offsets, top + c), first + pair, offsets.cols,
              wide);
  }
  constexpr int kColPairs = Shape::kCols / 2;
  for (int e = static_cast<int>(threadIdx.x); e < kFanNeurons * kColPairs; e += kFanThreads) {
    const int r = e / kColPairs;
    const int pair = 2 * (e % kColPairs);
    const Index inside = first + r < slopes_t.rows ? slopes_t.cols : 0;
    copy_pair(&slice.slopes[r][pair], row_or_last(slopes_t, first + r), left + pair, inside, wide);
  }
  for (int e = static_cast<int>(threadIdx.x); e < Shape::kOutputs * kPairs; e += kFanThreads) {
    const int o = e / kPairs;
    const int pair = 2 * (e % kPairs);
    copy_pair(&slice.weights[o][pair], row_or_last(output, group + o), first + pair, output.cols,
              wide);
  }
}

/// A block takes tiles of kRows centres, kCols directions and kOutputs outputs, one after another.
/// Neurons come through shared memory, 16 at a time and one slice ahead, and are summed in order.
/// wide: rows of offsets, slopes_t and output start at multiples of 16 bytes.
template <class Shape>
__global__ void __launch_bounds__(kFanThreads)
    relu_fan_sum_kernel(ConstDeviceView offsets, ConstDeviceView slopes_t, ConstDeviceView output,
                        ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView steps,
                        DeviceView out, bool wide) {
  constexpr int kCenters = Shape::kCenters;
  constexpr int kDirections = Shape::kDirections;
  constexpr int kOutputs = Shape::kOutputs;
  __shared__ FanSlice<Shape> slices[2];
  const Index m = steps.rows;
  const Index q = steps.cols;
  const Index k = offsets.cols;
  const Index p = out.cols;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int first_center = static_cast<int>(threadIdx.x / 32) * kCenters;
  const Index across = (q + Shape::kCols - 1) / Shape::kCols;
  const Index groups = (p + kOutputs - 1) / kOutputs;
  const Index tiles = (m + Shape::kRows - 1) / Shape::kRows * across * groups;
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const Index group = tile % groups * kOutputs;
    const Index left = tile / groups % across * Shape::kCols;
    const Index top = tile / groups / across * Shape::kRows;
    double step[kCenters][kDirections];
    double sums[kCenters][kDirections][kOutputs];
#pragma unroll
    for (int c = 0; c < kCenters; ++c) {
      const Index i = top + first_center + c;
#pragma unroll
      for (int b = 0; b < kDirections; ++b) {
        const Index j = left + lane + 32 * b;
        const bool inside = i < m && j < q;
        step[c][b] = inside ? steps.data[i * steps.ld + j] : 0.0;
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          sums[c][b][o] = inside && group + o < p
                              ? constant.data[i * constant.ld + group + o] +
                                    step[c][b] * tilt.data[j * tilt.ld + group + o]
                              : 0.0;
        }
      }
    }
    // 0, or NaN where a weight is not finite: a neuron that is skipped must not hide it.
    double spoilt[kOutputs] = {};

    __syncthreads();  // nobody reads a slice of the tile before any more
    copy_fan_slice(slices[0], offsets, slopes_t, output, wide, top, left, group, 0);
    copy_async_commit();
    int stage = 0;
    for (Index first = 0; first < k; first += kFanNeurons) {
      copy_async_wait<0>();
      __syncthreads();  // the slice has landed for everybody, and nobody reads the one before
      if (first + kFanNeurons < k) {
        copy_fan_slice(slices[1 - stage], offsets, slopes_t, output, wide, top, left, group,
                       first + kFanNeurons);
        copy_async_commit();
      }
      const FanSlice<Shape>& slice = slices[stage];
#pragma unroll 2
      for (int r = 0; r < kFanNeurons; r += 2) {
        double weight[kOutputs][2];
        double slope[2][kDirections];
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          const auto pair = *reinterpret_cast<const NumberPair*>(&slice.weights[o][r]);
          weight[o][0] = pair.first;
          weight[o][1] = pair.second;
          spoilt[o] = __fma_rn(pair.first, 0.0, __fma_rn(pair.second, 0.0, spoilt[o]));
        }
#pragma unroll
        for (int b = 0; b < kDirections; ++b) {
          slope[0][b] = slice.slopes[r][lane + 32 * b];
          slope[1][b] = slice.slopes[r + 1][lane + 32 * b];
        }
#pragma unroll
        for (int c = 0; c < kCenters; ++c) {
          const auto pair =
              *reinterpret_cast<const NumberPair*>(&slice.offsets[first_center + c][r]);
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const double offset = half == 0 ? pair.first : pair.second;
#pragma unroll
            for (int b = 0; b < kDirections; ++b) {
              const double z = __fma_rn(step[c][b], slope[half][b], offset);
              if (is_negative(z)) continue;
#pragma unroll
              for (int o = 0; o < kOutputs; ++o) {
                sums[c][b][o] = __fma_rn(weight[o][half], z, sums[c][b][o]);
              }
            }
          }
        }
      }
      stage = 1 - stage;
    }
#pragma unroll
    for (int c = 0; c < kCenters; ++c) {
      const Index i = top + first_center + c;
#pragma unroll
      for (int b = 0; b < kDirections; ++b) {
        const Index j = left + lane + 32 * b;
        if (i >= m || j >= q) continue;
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          if (group + o < p) out.data[(i * q + j) * out.ld + group + o] = sums[c][b][o] + spoilt[o];
        }
      }
    }
  }
}

}  // namespace crease
