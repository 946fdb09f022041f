// The ceilings of this GPU, measured in the run that holds everything else against them.
#include <cublas_v2.h>

#include "bench/gpu/measure.hpp"
#include "kernels/ops.hpp"

namespace crease::bench {
namespace {

constexpr Index kFlops = 4096;  // fused multiply-adds of one chain
constexpr int kChains = 8;      // of one thread, independent of each other

/// Nothing but fused multiply-adds from registers: what the FP64 units issue at most.
__global__ void multiply_adds(double a, double b, double* out) {
  double x[kChains];
  for (int c = 0; c < kChains; ++c) x[c] = threadIdx.x + c;
  for (Index i = 0; i < kFlops; ++i) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) x[c] = __fma_rn(x[c], a, b);
  }
  double sum = 0;
  for (int c = 0; c < kChains; ++c) sum += x[c];
  if (sum == a) out[0] = sum;  // never; the compiler does not know
}

void ceiling(Bench& bench, const std::string& name, const nlohmann::ordered_json& shape,
             const char* unit, double amount, double* rate, const std::function<void()>& run) {
  const Times times = bench.time(run);
  *rate = amount / times.median;
  bench.print({{"name", name},
               {"shape", shape},
               {"seconds", times.median},
               {"least", times.least},
               {"most", times.most},
               {"repeats", times.repeats},
               {"rate", *rate},
               {"unit", unit}});
}

}  // namespace

void measure_ceilings(Bench& bench) {
  Device& device = bench.device();
  const auto cube = [](Index n) { return static_cast<double>(n) * n * n; };
  {
    Index n = 8192;
    while (n > 1024 && !bench.fits(3.0 * n * n)) n /= 2;
    const DeviceMatrix a = bench.normals(n, n), b = bench.normals(n, n);
    DeviceMatrix c(device, n, n);
    ceiling(bench, "ceiling_gemm", {{"n", n}}, "flop/s", 2 * cube(n), &bench.ceilings().gemm,
            [&] { multiply(device, a, Transpose::no, b, Transpose::no, 1.0, 0.0, c); });

    // For comparison only: `gram` is held against the GEMM, whose rate a SYRK could have.
    cublasHandle_t blas = nullptr;
    if (cublasCreate(&blas) != CUBLAS_STATUS_SUCCESS) throw DeviceError("cuBLAS has no handle");
    cublasSetStream(blas, bench.stream());
    const double one = 1, zero = 0;
    double rate = 0;
    ceiling(bench, "ceiling_syrk", {{"n", n}}, "flop/s", cube(n), &rate, [&] {
      cublasDsyrk_64(blas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, n, n, &one, a.view().data, n, &zero,
                     c.view().data, n);
    });
    // Any numbers will do: the matrices' bytes, read as single precision.
    const float one_single = 1, zero_single = 0;
    const auto* floats_a = reinterpret_cast<const float*>(a.view().data);
    const auto* floats_b = reinterpret_cast<const float*>(b.view().data);
    auto* floats_c = reinterpret_cast<float*>(c.view().data);
    ceiling(bench, "ceiling_sgemm", {{"n", n}}, "flop/s", 2 * cube(n), &bench.ceilings().single,
            [&] {
              cublasSgemm_64(blas, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one_single, floats_a, n,
                             floats_b, n, &zero_single, floats_c, n);
            });
    device.synchronize();
    cublasDestroy(blas);
  }
  {
    const Index blocks = 8192, threads = 256;
    DeviceMatrix out(device, 1, 1);
    const double instructions = static_cast<double>(blocks) * threads * kFlops * kChains;
    ceiling(bench, "ceiling_vector", {{"blocks", blocks}, {"threads", threads}},
            "FP64 instructions/s", instructions, &bench.ceilings().vector, [&] {
              multiply_adds<<<blocks, threads, 0, bench.stream()>>>(0.5, 0.25, out.view().data);
              if (cudaGetLastError() != cudaSuccess) throw DeviceError("multiply_adds");
            });
  }
  {
    Index n = Index{1} << 28;  // doubles: 2 GiB, many times any cache
    while (n > (Index{1} << 22) && !bench.fits(2.0 * n)) n /= 2;
    const DeviceMatrix from = bench.normals(n >> 10, 1 << 10);
    DeviceMatrix to(device, n >> 10, 1 << 10);
    ceiling(bench, "ceiling_copy", {{"doubles", n}}, "bytes/s", 16.0 * n, &bench.ceilings().copy,
            [&] {
              const cudaError_t status =
                  cudaMemcpyAsync(to.view().data, from.view().data, 8 * static_cast<std::size_t>(n),
                                  cudaMemcpyDeviceToDevice, bench.stream());
              if (status != cudaSuccess) throw DeviceError(cudaGetErrorString(status));
            });
  }
}

}  // namespace crease::bench
