// Kernels of lines.cu: networks along lines, summed directly or between sorted kinks.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/cuda/indexing.cuh"
#include "kernels/line_sum.hpp"

namespace crease {

/// A network on m lines as the kernels see it; the points of line l are first[l] .. first[l + 1].
struct OnLines {
  ConstDeviceView offsets;   // [k, m]
  ConstDeviceView slopes;    // [k, m]
  ConstDeviceView output;    // [p, k]
  ConstDeviceView constant;  // [m, p]
  ConstDeviceView tilt;      // [m, p]
  const Index* first;        // [m + 1]
  ConstDeviceView t;         // [n, 1]

  __device__ Index neurons() const { return offsets.rows; }
  __device__ Index lines() const { return offsets.cols; }
  __device__ double offset(Index r, Index l) const { return offsets.data[r * offsets.ld + l]; }
  __device__ double slope(Index r, Index l) const { return slopes.data[r * slopes.ld + l]; }
  __device__ double weight(Index o, Index r) const { return output.data[o * output.ld + r]; }
};

/// A part of `first`: it travels as an argument, so that nothing waits for a copy of host memory.
constexpr int kFirstPart = 128;
struct FirstPart {
  Index values[kFirstPart];
};

__global__ void set_first_kernel(FirstPart part, Index count, Index* first) {
  for (Index i = threadIdx.x; i < count; i += blockDim.x) first[i] = part.values[i];
}

constexpr int kLinePoints = 128;
constexpr int kLineNeurons = 64;

/// One thread per point and group of kOutputs outputs, lines along z; neurons come through shared
/// memory, 64 at a time, and are summed in order.
template <int kOutputs>
__global__ void relu_lines_sum_kernel(OnLines lines, DeviceView out) {
  __shared__ double offset[kLineNeurons];
  __shared__ double slope[kLineNeurons];
  __shared__ double weight[kOutputs][kLineNeurons];
  const Index k = lines.neurons();
  const Index p = out.cols;
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index l = blockIdx.z; l < lines.lines(); l += gridDim.z) {
    const Index end = lines.first[l + 1];
    const double* constant = lines.constant.data + l * lines.constant.ld;
    const double* tilt = lines.tilt.data + l * lines.tilt.ld;
    for (Index base = lines.first[l] + static_cast<Index>(blockIdx.x) * kLinePoints; base < end;
         base += static_cast<Index>(gridDim.x) * kLinePoints) {
      const Index i = base + threadIdx.x;
      const double step = i < end ? lines.t.data[i * lines.t.ld] : 0.0;
      for (Index group = static_cast<Index>(blockIdx.y) * kOutputs; group < p;
           group += static_cast<Index>(gridDim.y) * kOutputs) {
        double sums[kOutputs];
        for (int o = 0; o < kOutputs; ++o) {
          sums[o] = group + o < p ? constant[group + o] + step * tilt[group + o] : 0.0;
        }
        for (Index top = 0; top < k; top += kLineNeurons) {
          const int count = static_cast<int>(k - top < kLineNeurons ? k - top : kLineNeurons);
          __syncthreads();  // nobody reads the tile before any more
          for (int r = static_cast<int>(threadIdx.x); r < count; r += kLinePoints) {
            offset[r] = lines.offset(top + r, l);
            slope[r] = lines.slope(top + r, l);
          }
          for (int e = static_cast<int>(threadIdx.x); e < kOutputs * count; e += kLinePoints) {
            const int o = e / count;
            const int r = e % count;
            weight[o][r] = group + o < p ? lines.weight(group + o, top + r) : 0.0;
          }
          __syncthreads();
          for (int r = 0; r < count; ++r) {
            const double z = offset[r] + step * slope[r];
            const double active = z < 0.0 ? 0.0 : z;
            for (int o = 0; o < kOutputs; ++o) sums[o] += weight[o][r] * active;
          }
        }
        if (i < end) {
          for (int o = 0; o < kOutputs; ++o) {
            if (group + o < p) out.data[i * out.ld + group + o] = sums[o];
          }
        }
      }
    }
  }
}

// Sorted kinks. Element l * k + r is neuron r on line l; after sorting, order[l * k + j] is the
// element of the j-th kink of line l.

/// Kinks to sort, and the element that each belongs to.
__global__ void line_kinks_kernel(OnLines lines, double* kinks, Index* elements) {
  const Index k = lines.neurons();
  for (Index l = first_row(); l < lines.lines(); l += row_step()) {
    for (Index r = first_col(); r < k; r += col_step()) {
      kinks[l * k + r] = kink_of(lines.offset(r, l), lines.slope(r, l));
      elements[l * k + r] = l * k + r;
    }
  }
}

/// The line of every element, to sort by once more.
__global__ void lines_of_kernel(const Index* elements, Index k, Index count, unsigned* line) {
  for (Index e = first_col(); e < count; e += col_step()) {
    line[e] = static_cast<unsigned>(elements[e] / k);
  }
}

/// The kinks in the order that two sorts have found.
__global__ void gather_kinks_kernel(const double* kinks, const Index* order, Index count,
                                    double* sorted) {
  for (Index e = first_col(); e < count; e += col_step()) sorted[e] = kinks[order[e]];
}

constexpr int kScanThreads = 256;
constexpr int kScanEach = 4;
constexpr int kScanTile = kScanThreads * kScanEach;

/// Outputs first .. first + count of the prefix sums in hand, and where they are kept:
/// totals[(l * count + g) * tiles + tile], pieces[(l * count + g) * (k + 1) + j].
struct LineScan {
  const Index* order;  // [m, k]
  Index first_output;
  Index outputs;
  Index tiles;        // of kScanTile kinks
  LinePiece* across;  // [m, outputs, tiles] sum over the kinks of a tile, then over all before it
  LinePiece* before;  // [m, outputs, tiles] what the neurons of these kinks add left of them
  LinePiece* pieces;  // [m, outputs, k + 1]
};

/// The neuron of a sorted kink.
__device__ inline Index neuron_at(const LineScan& scan, Index k, Index l, Index j) {
  return scan.order[l * k + j] - l * k;
}

__device__ inline LinePiece across_at(const OnLines& lines, const LineScan& scan, Index l, Index o,
                                      Index j) {
  const Index r = neuron_at(scan, lines.neurons(), l, j);
  return across_kink(lines.weight(o, r), lines.offset(r, l), lines.slope(r, l));
}

/// Sums over tiles, in an order that sizes alone fix.
__global__ void line_totals_kernel(OnLines lines, LineScan scan) {
  __shared__ LinePiece across[kScanThreads];
  __shared__ LinePiece before[kScanThreads];
  const Index k = lines.neurons();
  const int me = static_cast<int>(threadIdx.x);
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index l = blockIdx.z; l < lines.lines(); l += gridDim.z) {
    for (Index g = blockIdx.y; g < scan.outputs; g += gridDim.y) {
      for (Index tile = blockIdx.x; tile < scan.tiles; tile += gridDim.x) {
        LinePiece my_across = {};
        LinePiece my_before = {};
        for (int e = 0; e < kScanEach; ++e) {
          const Index j = tile * kScanTile + static_cast<Index>(me) * kScanEach + e;
          if (j >= k) break;
          const Index r = neuron_at(scan, k, l, j);
          const double u = lines.weight(scan.first_output + g, r);
          const double offset = lines.offset(r, l);
          const double slope = lines.slope(r, l);
          my_across = my_across + across_kink(u, offset, slope);
          my_before = my_before + before_kink(u, offset, slope);
        }
        across[me] = my_across;
        before[me] = my_before;
        for (int half = kScanThreads / 2; half > 0; half /= 2) {
          __syncthreads();
          if (me < half) {
            across[me] = across[me] + across[me + half];
            before[me] = before[me] + before[me + half];
          }
        }
        if (me == 0) {
          const Index at = (l * scan.outputs + g) * scan.tiles + tile;
          scan.across[at] = across[0];
          scan.before[at] = before[0];
        }
        __syncthreads();  // nobody writes the next tile while thread 0 reads this one
      }
    }
  }
}

/// Where every tile starts: all that is active left of the first kink, and the tiles before. One
/// thread per line and output.
__global__ void line_starts_kernel(Index count, LineScan scan) {
  for (Index which = first_col(); which < count; which += col_step()) {
    LinePiece* across = scan.across + which * scan.tiles;
    const LinePiece* before = scan.before + which * scan.tiles;
    LinePiece start = {};
    for (Index tile = 0; tile < scan.tiles; ++tile) start = start + before[tile];
    for (Index tile = 0; tile < scan.tiles; ++tile) {
      const LinePiece own = across[tile];
      across[tile] = start;
      start = start + own;
    }
  }
}

/// pieces[j + 1] = what is active right of kink j; pieces[0] left of all.
__global__ void line_pieces_kernel(OnLines lines, LineScan scan) {
  __shared__ LinePiece sums[2][kScanThreads];
  const Index k = lines.neurons();
  const int me = static_cast<int>(threadIdx.x);
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index l = blockIdx.z; l < lines.lines(); l += gridDim.z) {
    for (Index g = blockIdx.y; g < scan.outputs; g += gridDim.y) {
      const Index which = l * scan.outputs + g;
      LinePiece* pieces = scan.pieces + which * (k + 1);
      for (Index tile = blockIdx.x; tile < scan.tiles; tile += gridDim.x) {
        const Index from = tile * kScanTile + static_cast<Index>(me) * kScanEach;
        LinePiece own[kScanEach];
        LinePiece sum = {};
        for (int e = 0; e < kScanEach; ++e) {
          if (from + e < k) {
            sum = sum + across_at(lines, scan, l, scan.first_output + g, from + e);
          }
          own[e] = sum;
        }
        int now = 0;
        sums[now][me] = sum;
        for (int reach = 1; reach < kScanThreads; reach *= 2) {
          __syncthreads();
          sums[1 - now][me] = me >= reach ? sums[now][me - reach] + sums[now][me] : sums[now][me];
          now = 1 - now;
        }
        __syncthreads();
        const LinePiece tile_start = scan.across[which * scan.tiles + tile];
        const LinePiece start = me == 0 ? tile_start : tile_start + sums[now][me - 1];
        for (int e = 0; e < kScanEach; ++e) {
          if (from + e < k) pieces[from + e + 1] = start + own[e];
        }
        if (tile == 0 && me == 0) pieces[0] = tile_start;
        __syncthreads();  // nobody writes the next tile while others read this one
      }
    }
  }
}

constexpr int kEvaluateThreads = 256;
constexpr int kLandmarks = 1024;

/// One thread per point, lines along z: its piece is found among every stride-th kink, in shared
/// memory, and then among those in between. A point that comes out as no finite number is summed
/// directly.
__global__ void line_values_kernel(OnLines lines, LineScan scan, const double* kinks,
                                   DeviceView out) {
  __shared__ double landmarks[kLandmarks];
  const Index k = lines.neurons();
  const Index stride = (k + kLandmarks - 1) / kLandmarks;
  const int count = static_cast<int>(k == 0 ? 0 : (k + stride - 1) / stride);
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index l = blockIdx.z; l < lines.lines(); l += gridDim.z) {
    const double* own = kinks + l * k;
    __syncthreads();  // nobody reads the landmarks before any more
    for (int c = static_cast<int>(threadIdx.x); c < count; c += kEvaluateThreads) {
      landmarks[c] = own[c * stride];
    }
    __syncthreads();
    const Index end = lines.first[l + 1];
    const double* constant = lines.constant.data + l * lines.constant.ld;
    const double* tilt = lines.tilt.data + l * lines.tilt.ld;
    for (Index i = lines.first[l] + static_cast<Index>(blockIdx.x) * kEvaluateThreads + threadIdx.x;
         i < end; i += static_cast<Index>(gridDim.x) * kEvaluateThreads) {
      const double t = lines.t.data[i * lines.t.ld];
      int low = 0;  // landmarks before it are at or left of t, those from `high` on are not
      int high = count;
      while (low < high) {
        const int middle = (low + high) / 2;
        if (landmarks[middle] <= t) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      Index passed = low == 0 ? 0 : (low - 1) * stride + 1;
      Index beyond = low * stride < k ? low * stride : k;
      while (passed < beyond) {
        const Index middle = (passed + beyond) / 2;
        if (own[middle] <= t) {
          passed = middle + 1;
        } else {
          beyond = middle;
        }
      }
      for (Index g = 0; g < scan.outputs; ++g) {
        const Index o = scan.first_output + g;
        const LinePiece& piece = scan.pieces[(l * scan.outputs + g) * (k + 1) + passed];
        double sum = value_at(piece, constant[o], tilt[o], t);
        if (!(sum - sum == 0.0)) {
          sum = constant[o] + t * tilt[o];
          for (Index r = 0; r < k; ++r) {
            const double z = lines.offset(r, l) + t * lines.slope(r, l);
            sum += lines.weight(o, r) * (z < 0.0 ? 0.0 : z);
          }
        }
        out.data[i * out.ld + o] = sum;
      }
    }
  }
}

}  // namespace crease
