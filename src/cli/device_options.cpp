// Choosing a device.
#include "src/cli/device_options.hpp"

#include "src/cli/cuda_choice.hpp"
#include "src/cli/number_options.hpp"

namespace crease {

void add_device_options(CLI::App& verb, DeviceOptions& options) {
  add_choice_option(verb, "--device", "where the work is done (auto: a GPU if there is one)",
                    {"auto", "cpu", "cuda"}, options.device);
  add_whole_option(verb, "--threads", "threads of the CPU (all cores)", 1, [&options](Index count) {
    constexpr Index kMostThreads = 4096;
    if (count > kMostThreads) {
      throw CLI::ValidationError("--threads", "expected a whole number from 1 to 4096");
    }
    options.threads = static_cast<int>(count);
  });
}

std::unique_ptr<Device> open_device(const DeviceOptions& options) {
  if (options.device == "cuda" && gpus_at_hand() == 0) {
    throw DeviceError(std::string("--device cuda: expected a GPU, and ") +
                      (built_with_cuda() ? "there is none" : "this build has no CUDA backend"));
  }
  if (options.device != "cpu" && gpus_at_hand() > 0) return open_gpu();
  CpuOptions cpu;
  cpu.threads = options.threads;
  return make_cpu_device(cpu);
}

}  // namespace crease
