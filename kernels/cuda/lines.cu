// Networks along lines, on the GPU.
#include "kernels/cuda/support.cuh"

namespace crease {
namespace {

/// max(z, 0) that lets NaN through.
__device__ inline double relu(double z) {
  return z < 0.0 ? 0.0 : z;
}

constexpr int kLinePoints = 128;
constexpr int kLineNeurons = 64;

/// One thread per point and group of kOutputs outputs; neurons come through shared memory, 64 at a
/// time, and are summed in order.
template <int kOutputs>
__global__ void relu_line_sum_kernel(ConstDeviceView offsets, ConstDeviceView slopes,
                                     ConstDeviceView output, ConstDeviceView constant,
                                     ConstDeviceView tilt, ConstDeviceView t, DeviceView out) {
  __shared__ double offset[kLineNeurons];
  __shared__ double slope[kLineNeurons];
  __shared__ double weight[kOutputs][kLineNeurons];
  const Index k = offsets.rows;
  const Index p = out.cols;
  // The bounds of these loops are the same for a whole block: every thread meets every barrier.
  for (Index base = static_cast<Index>(blockIdx.x) * kLinePoints; base < out.rows;
       base += static_cast<Index>(gridDim.x) * kLinePoints) {
    const Index i = base + threadIdx.x;
    const double step = i < out.rows ? t.data[i * t.ld] : 0.0;
    for (Index group = static_cast<Index>(blockIdx.y) * kOutputs; group < p;
         group += static_cast<Index>(gridDim.y) * kOutputs) {
      double sums[kOutputs];
#pragma unroll
      for (int o = 0; o < kOutputs; ++o) {
        sums[o] = group + o < p ? constant.data[group + o] + step * tilt.data[group + o] : 0.0;
      }
      for (Index first = 0; first < k; first += kLineNeurons) {
        const int count = static_cast<int>(k - first < kLineNeurons ? k - first : kLineNeurons);
        __syncthreads();  // nobody reads the tile before any more
        for (int r = static_cast<int>(threadIdx.x); r < count; r += kLinePoints) {
          offset[r] = offsets.data[(first + r) * offsets.ld];
          slope[r] = slopes.data[(first + r) * slopes.ld];
        }
        for (int e = static_cast<int>(threadIdx.x); e < kOutputs * count; e += kLinePoints) {
          const int o = e / count;
          const int r = e % count;
          weight[o][r] = group + o < p ? output.data[(group + o) * output.ld + first + r] : 0.0;
        }
        __syncthreads();
        for (int r = 0; r < count; ++r) {
          const double active = relu(offset[r] + step * slope[r]);
#pragma unroll
          for (int o = 0; o < kOutputs; ++o) sums[o] += weight[o][r] * active;
        }
      }
      if (i < out.rows) {
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          if (group + o < p) out.data[i * out.ld + group + o] = sums[o];
        }
      }
    }
  }
}

template <int kOutputs>
void launch_line_sum(ConstDeviceView offsets, ConstDeviceView slopes, ConstDeviceView output,
                     ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView t,
                     DeviceView out, cudaStream_t stream) {
  const dim3 grid(blocks_for(out.rows, kLinePoints, 1 << 15),
                  blocks_for(out.cols, kOutputs, 1 << 10));
  relu_line_sum_kernel<kOutputs>
      <<<grid, kLinePoints, 0, stream>>>(offsets, slopes, output, constant, tilt, t, out);
}

}  // namespace

void CudaOps::relu_line_sum(ConstDeviceView offsets, ConstDeviceView slopes, ConstDeviceView output,
                            ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView t,
                            DeviceView out) {
  const CurrentGpu current(context_.device_id());
  const auto launch = out.cols == 1   ? launch_line_sum<1>
                      : out.cols <= 4 ? launch_line_sum<4>
                                      : launch_line_sum<8>;
  launch(offsets, slopes, output, constant, tilt, t, out, context_.stream());
  check(cudaGetLastError(), "relu_line_sum");
}

}  // namespace crease
