// The answers of a build without CUDA.
#include "src/cli/cuda_choice.hpp"

namespace crease {

bool built_with_cuda() {
  return false;
}

int gpus_at_hand() {
  return 0;
}

std::unique_ptr<Device> open_gpu(bool /*poison*/, int /*device_id*/) {
  throw DeviceError("no CUDA device: this build has no CUDA backend");
}

}  // namespace crease
