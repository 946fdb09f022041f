// A stranger's CUDA pipeline: its own stream, its own memory, its own kernel, learned in place.
#include <crease/crease.hpp>
#include <crease/cuda.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

namespace {

constexpr int kInputs = 32, kNeurons = 6, kOutputs = 2;
constexpr int kNoGpu = 77;  // exit status: there was nothing to run on

// The pipeline's model: relu(w x + b), and from there to two outputs. The weights live on the GPU.
struct Model {
  double w[kNeurons][kInputs], b[kNeurons], u[kOutputs][kNeurons];
};

__host__ __device__ void evaluate(const Model& model, const double* x, double* y) {
  for (int o = 0; o < kOutputs; ++o) y[o] = 0.5;
  for (int r = 0; r < kNeurons; ++r) {
    double sum = model.b[r];
    for (int c = 0; c < kInputs; ++c) sum += model.w[r][c] * x[c];
    for (int o = 0; o < kOutputs; ++o) y[o] += model.u[o][r] * (sum > 0 ? sum : 0.0);
  }
}

__global__ void evaluate_all(const Model* model, const double* x, double* y, long long n) {
  const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (i < n) evaluate(*model, x + i * kInputs, y + i * kOutputs);
}

Model some_model() {
  Model model{};
  for (int r = 0; r < kNeurons; ++r) {
    for (int c = 0; c < kInputs; ++c) model.w[r][c] = std::sin(1.0 + 7 * r + 3 * c);
    model.b[r] = 0.3 * std::cos(2.0 + r);
    for (int o = 0; o < kOutputs; ++o) model.u[o][r] = 1.5 * std::cos(5.0 + 2 * r + o);
  }
  return model;
}

int fail(const char* what) {
  std::fprintf(stderr, "cuda_app: %s\n", what);
  return 1;
}

int learn(cudaStream_t stream, const Model& model, const Model* on_gpu) {
  // The black box: queues the model's kernel on the stream, and copies nothing.
  crease::Index asked = 0;
  const auto oracle = crease::make_cuda_oracle(
      kInputs, kOutputs, [&](cudaStream_t where, crease::ConstDeviceView x, crease::DeviceView y) {
        const auto blocks = static_cast<unsigned>((x.rows + 255) / 256);
        evaluate_all<<<blocks, 256, 0, where>>>(on_gpu, x.data, y.data, x.rows);
        asked += x.rows;
      });

  const auto device = crease::make_cuda_device({.stream = stream});  // borrowed, not destroyed
  const auto learned = crease::learn_from_queries(*device, *oracle, {.accuracy = 1e-8});

  const crease::RunReport& report = learned.report;
  const crease::DeviceStats moved = device->stats();
  const crease::Index points = asked * kInputs * static_cast<crease::Index>(sizeof(double));
  std::printf(
      "%s on %s: %lld neurons after %lld queries; points on the GPU: %lld bytes, "
      "downloaded: %lld, uploaded: %lld\n",
      crease::to_string(report.outcome).c_str(), report.device.c_str(),
      static_cast<long long>(report.neurons), static_cast<long long>(asked),
      static_cast<long long>(points), static_cast<long long>(moved.downloaded_bytes),
      static_cast<long long>(moved.uploaded_bytes));
  if (report.outcome != crease::Outcome::reached) return fail("the accuracy was not reached");
  if (report.neurons != kNeurons) return fail("six neurons were expected");
  if (report.learning_queries + report.certificate_queries != asked)
    return fail("the report's queries are not what the black box was asked");
  // The learner reads answers and a little of its own; the points stay where they were made.
  if (moved.downloaded_bytes >= points) return fail("more came down than the learner has to read");

  // What `reached` promises is an rms over N(0, I); these few points are no exception here.
  for (const double t : {-1.0, -0.25, 0.0, 0.5, 1.5}) {
    crease::HostMatrix x(1, kInputs);
    for (int c = 0; c < kInputs; ++c) x(0, c) = t * std::cos(1.0 + c);
    double y[kOutputs];
    evaluate(model, x.row(0), y);
    const crease::HostMatrix got = crease::evaluate(*device, learned.network, x);
    for (int o = 0; o < kOutputs; ++o) {
      if (!(std::abs(got(0, o) - y[o]) < 1e-6)) return fail("the learned network differs");
    }
  }
  return 0;
}

}  // namespace

int main() {
  if (crease::cuda_device_count() == 0) {
    const char* wanted = std::getenv("CREASE_REQUIRE_GPU");
    const bool required = wanted != nullptr && wanted[0] == '1';
    std::fprintf(stderr, "cuda_app: no GPU%s\n", required ? "" : ": nothing was run");
    return required ? 1 : kNoGpu;
  }
  const Model model = some_model();
  Model* on_gpu = nullptr;
  cudaStream_t stream = nullptr;
  if (cudaStreamCreate(&stream) != cudaSuccess ||
      cudaMalloc(&on_gpu, sizeof(Model)) != cudaSuccess ||
      cudaMemcpy(on_gpu, &model, sizeof(Model), cudaMemcpyHostToDevice) != cudaSuccess) {
    return fail("the GPU refused a stream or memory");
  }
  int status = 1;
  try {
    status = learn(stream, model, on_gpu);
  } catch (const std::exception& error) {
    fail(error.what());
  }
  // The stream is still the pipeline's own.
  if (status == 0 && cudaStreamSynchronize(stream) != cudaSuccess)
    status = fail("the stream is lost");
  cudaFree(on_gpu);
  cudaStreamDestroy(stream);
  return status;
}
