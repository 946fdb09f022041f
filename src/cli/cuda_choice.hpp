// What this build can say about GPUs: CMake links one of two answers, with or without CUDA.
#pragma once

#include <crease/device.hpp>

#include <memory>

namespace crease {

/// Whether the CUDA backend is in this build.
bool built_with_cuda();

/// GPUs that open_gpu() could open; 0 in a build without CUDA.
int gpus_at_hand();

/// The first GPU, or another by its number; `poison` as in CudaOptions. Throws DeviceError with one
/// line that says what is missing: the backend, or the GPU.
std::unique_ptr<Device> open_gpu(bool poison = false, int device_id = 0);

}  // namespace crease
