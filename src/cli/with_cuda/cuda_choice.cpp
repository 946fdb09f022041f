// The answers of a build with CUDA.
#include "src/cli/cuda_choice.hpp"

#include <crease/cuda.hpp>

namespace crease {

bool built_with_cuda() {
  return true;
}

int gpus_at_hand() {
  return cuda_device_count();
}

std::unique_ptr<Device> open_gpu(bool poison, int device_id) {
  return make_cuda_device({.device_id = device_id, .poison = poison});
}

}  // namespace crease
