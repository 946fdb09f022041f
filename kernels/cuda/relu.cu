// Networks on fans, on the GPU.
#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

/// max(z, 0) that lets NaN through.
__device__ inline double relu(double z) {
  return z < 0.0 ? 0.0 : z;
}

constexpr int kFanDirections = 32;  // per block, along x: one warp
constexpr int kFanWarps = 8;
constexpr int kCentersPerThread = 4;
constexpr int kFanCenters = kFanWarps * kCentersPerThread;
constexpr int kFanNeurons = 32;

/// One thread per direction, four centres and kOutputs outputs; neurons come through shared memory,
/// 32 at a time, and are summed in order.
template <int kOutputs>
__global__ void relu_fan_sum_kernel(ConstDeviceView offsets, ConstDeviceView slopes_t,
                                    ConstDeviceView output, ConstDeviceView constant,
                                    ConstDeviceView tilt, ConstDeviceView steps, DeviceView out) {
  __shared__ double offset[kFanCenters][kFanNeurons];
  __shared__ double slope[kFanNeurons][kFanDirections];
  __shared__ double weight[kOutputs][kFanNeurons];
  const Index m = steps.rows;
  const Index q = steps.cols;
  const Index k = offsets.cols;
  const Index p = out.cols;
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index top = static_cast<Index>(blockIdx.x) * kFanCenters; top < m;
       top += static_cast<Index>(gridDim.x) * kFanCenters) {
    for (Index left = static_cast<Index>(blockIdx.y) * kFanDirections; left < q;
         left += static_cast<Index>(gridDim.y) * kFanDirections) {
      const Index j = left + x;
      double step[kCentersPerThread];
#pragma unroll
      for (int c = 0; c < kCentersPerThread; ++c) {
        const Index i = top + c * kFanWarps + y;
        step[c] = i < m && j < q ? steps.data[i * steps.ld + j] : 0.0;
      }
      for (Index group = static_cast<Index>(blockIdx.z) * kOutputs; group < p;
           group += static_cast<Index>(gridDim.z) * kOutputs) {
        double sums[kCentersPerThread][kOutputs];
#pragma unroll
        for (int c = 0; c < kCentersPerThread; ++c) {
          const Index i = top + c * kFanWarps + y;
#pragma unroll
          for (int o = 0; o < kOutputs; ++o) {
            sums[c][o] = i < m && j < q && group + o < p
                             ? constant.data[i * constant.ld + group + o] +
                                   step[c] * tilt.data[j * tilt.ld + group + o]
                             : 0.0;
          }
        }
        for (Index first = 0; first < k; first += kFanNeurons) {
          const int count = static_cast<int>(k - first < kFanNeurons ? k - first : kFanNeurons);
          __syncthreads();  // nobody reads the tile before any more
          for (int c = y; c < kFanCenters; c += kFanWarps) {
            if (x < count) {
              offset[c][x] = top + c < m ? offsets.data[(top + c) * offsets.ld + first + x] : 0.0;
            }
          }
          for (int r = y; r < count; r += kFanWarps) {
            slope[r][x] = j < q ? slopes_t.data[(first + r) * slopes_t.ld + j] : 0.0;
          }
          for (int o = y; o < kOutputs; o += kFanWarps) {
            if (x < count) {
              weight[o][x] = group + o < p ? output.data[(group + o) * output.ld + first + x] : 0.0;
            }
          }
          __syncthreads();
          for (int r = 0; r < count; ++r) {
            const double s = slope[r][x];
#pragma unroll
            for (int c = 0; c < kCentersPerThread; ++c) {
              const double active = relu(offset[c * kFanWarps + y][r] + step[c] * s);
#pragma unroll
              for (int o = 0; o < kOutputs; ++o) sums[c][o] += weight[o][r] * active;
            }
          }
        }
#pragma unroll
        for (int c = 0; c < kCentersPerThread; ++c) {
          const Index i = top + c * kFanWarps + y;
          if (i >= m || j >= q) continue;
#pragma unroll
          for (int o = 0; o < kOutputs; ++o) {
            if (group + o < p) out.data[(i * q + j) * out.ld + group + o] = sums[c][o];
          }
        }
      }
    }
  }
}

template <int kOutputs>
void launch_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t, ConstDeviceView output,
                    ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView steps,
                    DeviceView out, cudaStream_t stream) {
  const dim3 grid(blocks_for(steps.rows, kFanCenters, 1 << 15),
                  blocks_for(steps.cols, kFanDirections, 1 << 10),
                  blocks_for(out.cols, kOutputs, 1 << 10));
  relu_fan_sum_kernel<kOutputs><<<grid, dim3(kFanDirections, kFanWarps), 0, stream>>>(
      offsets, slopes_t, output, constant, tilt, steps, out);
}

}  // namespace

void CudaOps::relu_fan_sum(ConstDeviceView offsets, ConstDeviceView slopes_t,
                           ConstDeviceView output, ConstDeviceView constant, ConstDeviceView tilt,
                           ConstDeviceView steps, DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const auto launch = out.cols == 1   ? launch_fan_sum<1>
                      : out.cols <= 4 ? launch_fan_sum<4>
                                      : launch_fan_sum<8>;
  launch(offsets, slopes_t, output, constant, tilt, steps, out, context_.stream());
  check(cudaGetLastError(), "relu_fan_sum");
}

}  // namespace crease
