// Times work on a GPU, holds it against a floor computed from ceilings of the same run, prints it.
#pragma once

#include <crease/crease.hpp>
#include <crease/cuda.hpp>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace crease::bench {

/// What this GPU does at its best, measured before the rows.
struct Ceilings {
  double gemm = 0;    // flop/s of a large DGEMM
  double single = 0;  // flop/s of a large SGEMM
  double vector = 0;  // FP64 instructions/s of the ordinary (not the matrix) units
  double copy = 0;    // bytes/s of a device-to-device copy, read and written
};

/// What a row has to do at least. The floor is the longer of arithmetic and traffic:
///   max(gemm_flops / gemm + vector_instructions / vector + single_flops / single, bytes / copy).
struct Work {
  double gemm_flops = 0;
  double vector_instructions = 0;
  double bytes = 0;
  double single_flops = 0;
};

struct Times {
  double median = 0, least = 0, most = 0;  // seconds
  Index repeats = 0;
};

/// A GPU, its stream, and what was measured on it.
class Bench {
 public:
  explicit Bench(double seconds);

  Device& device() { return *device_; }
  cudaStream_t stream() { return cuda_stream(*device_); }
  Ceilings& ceilings() { return ceilings_; }

  /// Whether matrices of this many doubles in all leave room to spare on this GPU.
  bool fits(double doubles) const;
  bool out_of_time() const;

  /// Two runs to warm up, then up to nine, fewer where one takes long: the median, by CUDA events.
  Times time(const std::function<void()>& run);

  /// Times `run` and prints a row.
  void row(const std::string& name, const nlohmann::ordered_json& shape, const Work& work,
           const std::function<void()>& run);
  void print(const nlohmann::ordered_json& row) const;

  /// Standard normals on the GPU, other ones for every call.
  DeviceMatrix normals(Index rows, Index cols);

 private:
  std::unique_ptr<Device> device_;
  Ceilings ceilings_;
  double free_bytes_ = 0;
  std::uint64_t next_stream_ = 0;
  std::chrono::steady_clock::time_point end_;
};

/// A named part of the bench; it prints its rows.
struct Part {
  std::string name;
  std::function<void(Bench&)> run;
};

void measure_ceilings(Bench& bench);  // ceilings.cu; always first
std::vector<Part> kernel_parts();
std::vector<Part> solver_parts();

}  // namespace crease::bench
