// Kernels of features.cu: ReLU features of points that are given or Gaussian, one pass from the
// points to the features, on FP64 tensor cores.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/dynamic_shared.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/staging.cuh"
#include "kernels/gaussian_sample.hpp"

namespace crease {

// A block computes tiles of `out`, one after another, each from slices of 16 inputs of its points
// and neurons. Slices come through a ring of stages in shared memory, always two ahead and also
// across the end of a tile, so that the next tile's first slices arrive while this one is written.
//
// A row of a slice is 128 bytes: eight pairs of numbers. Odd rows hold their two halves swapped:
// eight lanes that read four neighbouring pairs of two neighbouring rows meet all 32 banks once.

constexpr int kSliceInputs = 16;
constexpr int kSlicePairs = kSliceInputs / 2;
constexpr int kStages = 3;
constexpr int kFeatureThreads = 256;
constexpr int kWarpsDown = 2;  // warps of a block, over its tile
constexpr int kWarpsAcross = 4;

/// What a warp computes: kDown x kAcross products of 16 x 8. Eight warps of 64 x 32 make 128 x 128;
/// the accumulators of that fill half the registers, and a larger tile has no room.
template <int kDown_, int kAcross_>
struct FeatureShape {
  static constexpr int kDown = kDown_;
  static constexpr int kAcross = kAcross_;
  static constexpr int kRows = kWarpsDown * 16 * kDown;
  static constexpr int kCols = kWarpsAcross * 8 * kAcross;
};
using LargeTile = FeatureShape<4, 4>;
using SmallTile = FeatureShape<2, 2>;  // where large ones would leave most of the GPU idle

/// Where a pair of a slice is, in numbers.
__device__ inline int pair_place(int row, int pair) {
  return row * kSliceInputs + 2 * (pair ^ ((row & 1) << 2));
}

__device__ inline int slices_of(Index inputs) {
  return inputs <= kSliceInputs ? 1 : static_cast<int>((inputs + kSliceInputs - 1) / kSliceInputs);
}

/// Starts the copy of inputs left .. left + 15 of rows top .. top + kRows - 1. Inputs that are not
/// there are zero; rows that are not there are the last one again, and nobody looks at them.
/// kWide: rows start at multiples of 16 bytes.
template <int kRows, bool kWide>
__device__ inline void copy_slice(double* slice, ConstDeviceView from, Index top, Index left) {
  // Unrolled, the narrow copies would take registers that the products need.
#pragma unroll(kWide ? 4 : 1)
  for (int e = static_cast<int>(threadIdx.x); e < kRows * kSlicePairs; e += kFeatureThreads) {
    const int r = e / kSlicePairs;
    const int pair = e % kSlicePairs;
    const Index row = top + r < from.rows ? top + r : from.rows - 1;
    copy_pair(slice + pair_place(r, pair), from.data + row * from.ld, left + 2 * pair, from.cols,
              kWide);
  }
}

struct FeatureTile {
  Index top;   // first point
  Index left;  // first neuron
};

/// The tiles of a block among all of `out`: every gridDim.x-th. Tiles are numbered down bands of 12
/// tiles, so that what runs at one time is about as high as wide (12 x 11 on 132 processors) and
/// shares its points and neurons in the second cache.
template <class Shape>
struct BandedTiles {
  Index down;
  Index across;
  int count;  // of this block

  __device__ explicit BandedTiles(DeviceView out)
      : down((out.rows + Shape::kRows - 1) / Shape::kRows),
        across((out.cols + Shape::kCols - 1) / Shape::kCols),
        count(static_cast<int>((down * across - blockIdx.x + gridDim.x - 1) / gridDim.x)) {}

  __device__ FeatureTile at(int i) const {
    constexpr Index kBand = 12;
    const Index number = blockIdx.x + static_cast<Index>(i) * gridDim.x;
    const Index band = number / (kBand * across);
    const Index place = number - band * kBand * across;
    const Index height = down - band * kBand < kBand ? down - band * kBand : kBand;
    return {(band * kBand + place % height) * Shape::kRows, place / height * Shape::kCols};
  }
};

/// Points in global memory: their slices come through the stages, beside those of the neurons.
template <class Shape, bool kWide>
struct GivenPoints {
  static constexpr int kStageNumbers = Shape::kRows * kSliceInputs;

  ConstDeviceView x;

  __device__ void start() const {}
  __device__ void copy(double* slice, Index top, Index left) const {
    copy_slice<Shape::kRows, kWide>(slice, x, top, left);
  }
  __device__ const double* slice(const double* in_stage, int /*number*/) const { return in_stage; }
};

/// A panel of Gaussian points as high as a tile, made once in shared memory and kept for all their
/// tiles.
template <class Shape>
struct GaussianPanel {
  static constexpr int kStageNumbers = 0;
  static constexpr int kSliceNumbers = Shape::kRows * kSliceInputs;

  double* panel;  // slice after slice
  std::uint64_t seed;
  std::uint64_t stream;
  Index first;   // number of the panel's first row
  Index inputs;  // d

  /// Makes the panel; a barrier must follow.
  __device__ void start() const {
    const int pairs = slices_of(inputs) * Shape::kRows * kSlicePairs;
    for (int e = static_cast<int>(threadIdx.x); e < pairs; e += kFeatureThreads) {
      const int pair = e % kSlicePairs;
      const int r = e / kSlicePairs % Shape::kRows;
      const int number = e / (kSlicePairs * Shape::kRows);
      const int input = number * kSliceInputs + 2 * pair;
      NumberPair numbers{0.0, 0.0};
      if (input < inputs) {
        const NormalPair normals = normal_pair(seed, stream, static_cast<std::uint64_t>(first + r),
                                               static_cast<std::uint64_t>(input / 2));
        numbers.first = normals.first;
        if (input + 1 < inputs) numbers.second = normals.second;
      }
      *reinterpret_cast<NumberPair*>(panel + number * kSliceNumbers + pair_place(r, pair)) =
          numbers;
    }
  }
  __device__ void copy(double* /*slice*/, Index /*top*/, Index /*left*/) const {}
  __device__ const double* slice(const double* /*in_stage*/, int number) const {
    return panel + number * kSliceNumbers;
  }
};

/// The tiles right of one another that one panel of points needs.
template <class Shape>
struct PanelTiles {
  Index top;
  Index left;
  int count;

  __device__ FeatureTile at(int i) const { return {top, left + Index{i} * Shape::kCols}; }
};

/// Adds the bias, applies max(z, 0), which lets NaN through, and writes a warp's part of a tile.
template <class Shape>
__device__ inline void write_features(const double (&sums)[Shape::kDown][Shape::kAcross][4],
                                      ConstDeviceView bias, DeviceView out, bool wide, Index top,
                                      Index left) {
  const auto relu = [](double z) { return z < 0.0 ? 0.0 : z; };
#pragma unroll
  for (int across = 0; across < Shape::kAcross; ++across) {
    const Index column = left + across * 8;
    if (column >= out.cols) continue;
    const bool both = column + 1 < out.cols;
    const double first = bias.data[column * bias.ld];
    const double second = both ? bias.data[(column + 1) * bias.ld] : 0.0;
#pragma unroll
    for (int down = 0; down < Shape::kDown; ++down) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const Index row = top + down * 16 + half * 8;
        if (row >= out.rows) continue;
        const NumberPair pair{relu(sums[down][across][2 * half] + first),
                              relu(sums[down][across][2 * half + 1] + second)};
        double* target = out.data + row * out.ld + column;
        if (wide && both) {
          *reinterpret_cast<NumberPair*>(target) = pair;
        } else {
          target[0] = pair.first;
          if (both) target[1] = pair.second;
        }
      }
    }
  }
}

/// relu(points weights^T + bias) on the given tiles. A lane takes inputs 2 place and 2 place + 1 of
/// every eight where the instruction says place and place + 4, of points and neurons alike: the
/// same sum in another order, and half as many reads of shared memory. Fragments are read one
/// product ahead of their use.
template <class Shape, bool kWide, class Points, class Tiles>
__device__ inline void features_of_tiles(const Points& points, const Tiles& tiles,
                                         ConstDeviceView weights, ConstDeviceView bias,
                                         DeviceView out, bool wide_out) {
  constexpr int kNeuronNumbers = Shape::kCols * kSliceInputs;
  constexpr int kStageNumbers = kNeuronNumbers + Points::kStageNumbers;
  double* const stages = dynamic_shared<double>();
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int group = lane / 4;
  const int place = lane % 4;
  const int warp_row = warp % kWarpsDown * (16 * Shape::kDown) + group;
  const int warp_col = warp / kWarpsDown * (8 * Shape::kAcross) + group;
  const int slices = slices_of(weights.cols);

  int next_tile = 0;  // what is copied next
  int next_slice = 0;
  FeatureTile next = tiles.at(0);
  const auto copy_next = [&](int stage) {
    if (next_tile < tiles.count) {
      double* slice = stages + stage * kStageNumbers;
      copy_slice<Shape::kCols, kWide>(slice, weights, next.left, Index{next_slice} * kSliceInputs);
      points.copy(slice + kNeuronNumbers, next.top, Index{next_slice} * kSliceInputs);
      if (++next_slice == slices) {
        next_slice = 0;
        if (++next_tile < tiles.count) next = tiles.at(next_tile);
      }
    }
    copy_async_commit();  // an empty group at the end, so that the count of groups stays right
  };

  double a[2][4];
  double b[2][Shape::kAcross][2];
  const auto read_a = [&](double(&to)[4], int stage, int number, int step, int down) {
    const double* slice = points.slice(stages + stage * kStageNumbers + kNeuronNumbers, number);
    const int row = warp_row + down * 16;
    const auto upper =
        *reinterpret_cast<const NumberPair*>(slice + pair_place(row, 4 * step + place));
    const auto lower =
        *reinterpret_cast<const NumberPair*>(slice + pair_place(row + 8, 4 * step + place));
    to[0] = upper.first;
    to[1] = lower.first;
    to[2] = upper.second;
    to[3] = lower.second;
  };
  const auto read_b = [&](double(&to)[Shape::kAcross][2], int stage, int step) {
    const double* slice = stages + stage * kStageNumbers;
#pragma unroll
    for (int across = 0; across < Shape::kAcross; ++across) {
      const auto pair = *reinterpret_cast<const NumberPair*>(
          slice + pair_place(warp_col + across * 8, 4 * step + place));
      to[across][0] = pair.first;
      to[across][1] = pair.second;
    }
  };

  for (int stage = 0; stage < kStages; ++stage) copy_next(stage);
  points.start();
  copy_async_wait<kStages - 1>();
  __syncthreads();
  read_b(b[0], 0, 0);
  read_a(a[0], 0, 0, 0, 0);

  int stage = 0;
  for (int i = 0; i < tiles.count; ++i) {
    double sums[Shape::kDown][Shape::kAcross][4] = {};
    for (int number = 0; number < slices; ++number) {
      int after = stage;
      int number_after = number;
#pragma unroll
      for (int step = 0; step < 2; ++step) {
#pragma unroll
        for (int down = 0; down < Shape::kDown; ++down) {
          const bool last_of_step = down + 1 == Shape::kDown;
          if (step == 1 && last_of_step) {
            // The next slice has landed for everybody, and nobody reads this one any more.
            copy_async_wait<kStages - 2>();
            __syncthreads();
            copy_next(stage);
            after = stage + 1 == kStages ? 0 : stage + 1;
            number_after = number + 1 == slices ? 0 : number + 1;
          }
          // Past the last slice of all this reads what nobody uses.
          if (last_of_step) read_b(b[1 - step], after, 1 - step);
          read_a(a[1 - down % 2], after, number_after, last_of_step ? 1 - step : step,
                 last_of_step ? 0 : down + 1);
#pragma unroll
          for (int across = 0; across < Shape::kAcross; ++across) {
            mma_f64_16x8x8(sums[down][across], a[down % 2], b[step][across]);
          }
        }
      }
      stage = after;
    }
    const FeatureTile tile = tiles.at(i);
    write_features<Shape>(sums, bias, out, wide_out, tile.top + warp_row,
                          tile.left + warp_col - group + 2 * place);
  }
}

/// kWide: rows of x and weights start at multiples of 16 bytes; wide_out: those of out.
template <class Shape, bool kWide>
__global__ void __launch_bounds__(kFeatureThreads)
    relu_features_kernel(ConstDeviceView x, ConstDeviceView weights, ConstDeviceView bias,
                         DeviceView out, bool wide_out) {
  const BandedTiles<Shape> tiles(out);
  const GivenPoints<Shape, kWide> points{x};
  features_of_tiles<Shape, kWide>(points, tiles, weights, bias, out, wide_out);
}

/// Items: a panel of points with up to `tiles_per_item` tiles. A block makes the panel and keeps
/// it.
template <bool kWide>
__global__ void __launch_bounds__(kFeatureThreads)
    gaussian_features_kernel(std::uint64_t seed, std::uint64_t stream, Index first_row,
                             ConstDeviceView weights, ConstDeviceView bias, DeviceView out,
                             bool wide_out, int tiles_per_item) {
  using Shape = LargeTile;
  const Index panels = (out.rows + Shape::kRows - 1) / Shape::kRows;
  const int across = static_cast<int>((out.cols + Shape::kCols - 1) / Shape::kCols);
  const int parts = (across + tiles_per_item - 1) / tiles_per_item;
  double* panel = dynamic_shared<double>() + kStages * Shape::kCols * kSliceInputs;
  // The bounds of this loop are the same for a whole block: every thread meets every barrier.
  for (Index item = blockIdx.x; item < panels * parts; item += gridDim.x) {
    const Index top = item / parts * Shape::kRows;
    const int tile = static_cast<int>(item % parts) * tiles_per_item;
    const int count = across - tile < tiles_per_item ? across - tile : tiles_per_item;
    const GaussianPanel<Shape> points{panel, seed, stream, first_row + top, weights.cols};
    features_of_tiles<Shape, kWide>(points,
                                    PanelTiles<Shape>{top, Index{tile} * Shape::kCols, count},
                                    weights, bias, out, wide_out);
    __syncthreads();  // nobody reads the panel or a stage any more
  }
}

}  // namespace crease
