// Times work on a GPU, holds it against a floor computed from ceilings of the same run, prints it.
#include "bench/gpu/measure.hpp"

#include <algorithm>
#include <cstdio>

#include "kernels/ops.hpp"

namespace crease::bench {
namespace {

constexpr double kMostSecondsPerRow = 2.0;
constexpr int kRepeats = 9;

void must(cudaError_t status) {
  if (status != cudaSuccess) throw DeviceError(cudaGetErrorString(status));
}

struct EventPair {
  cudaEvent_t begin = nullptr, end = nullptr;
  EventPair() {
    must(cudaEventCreate(&begin));
    must(cudaEventCreate(&end));
  }
  EventPair(const EventPair&) = delete;
  EventPair& operator=(const EventPair&) = delete;
  ~EventPair() {
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
  }
};

}  // namespace

Bench::Bench(double seconds)
    : device_(make_cuda_device()),
      end_(std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(
               std::chrono::duration<double>(seconds))) {
  std::size_t available = 0, total = 0;
  must(cudaMemGetInfo(&available, &total));
  free_bytes_ = static_cast<double>(available);
}

bool Bench::fits(double doubles) const {
  return 8 * doubles < 0.85 * free_bytes_;
}

bool Bench::out_of_time() const {
  return std::chrono::steady_clock::now() > end_;
}

Times Bench::time(const std::function<void()>& run) {
  const EventPair events;
  const auto once = [&] {
    must(cudaEventRecord(events.begin, stream()));
    run();
    must(cudaEventRecord(events.end, stream()));
    must(cudaEventSynchronize(events.end));
    float milliseconds = 0;
    must(cudaEventElapsedTime(&milliseconds, events.begin, events.end));
    return 1e-3 * milliseconds;
  };
  // The first run also loads modules and fills the memory pool.
  once();
  const double second = once();
  const int repeats =
      std::clamp(static_cast<int>(kMostSecondsPerRow / std::max(second, 1e-9)), 1, kRepeats);
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) seconds.push_back(once());
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back(), repeats};
}

void Bench::row(const std::string& name, const nlohmann::ordered_json& shape, const Work& work,
                const std::function<void()>& run) {
  const Times times = time(run);
  const double arithmetic = work.gemm_flops / ceilings_.gemm +
                            work.vector_instructions / ceilings_.vector +
                            work.single_flops / ceilings_.single;
  const double traffic = work.bytes / ceilings_.copy;
  const double floor = std::max(arithmetic, traffic);
  print({{"name", name},
         {"shape", shape},
         {"seconds", times.median},
         {"least", times.least},
         {"most", times.most},
         {"repeats", times.repeats},
         {"floor_seconds", floor},
         {"floor_by", arithmetic > traffic ? "arithmetic" : "traffic"},
         {"fraction", floor / times.median},
         {"gemm_flops", work.gemm_flops},
         {"vector_instructions", work.vector_instructions},
         {"single_flops", work.single_flops},
         {"bytes", work.bytes}});
}

void Bench::print(const nlohmann::ordered_json& row) const {
  std::printf("%s\n", row.dump().c_str());
  std::fflush(stdout);
}

DeviceMatrix Bench::normals(Index rows, Index cols) {
  DeviceMatrix matrix(*device_, rows, cols);
  fill_gaussian(*device_, Seed{1}, next_stream_++, 0, 1.0, matrix);
  return matrix;
}

}  // namespace crease::bench
