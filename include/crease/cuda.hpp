// The CUDA backend: the only header that needs the CUDA toolkit.
#pragma once

#include <crease/device.hpp>

#include <cuda_runtime_api.h>

namespace crease {

struct CudaOptions {
  int device_id = 0;
  cudaStream_t stream =
      nullptr;  // null: the device makes a stream of its own; else borrowed, never destroyed
  bool poison = false;  // fresh and freed memory is NaN: for tests
};

/// Throws DeviceError where there is no such GPU. Never falls back to another device.
std::unique_ptr<Device> make_cuda_device(CudaOptions options = {});

/// The GPUs make_cuda_device could open; 0 without a driver. Throws nothing.
int cuda_device_count() noexcept;

}  // namespace crease
