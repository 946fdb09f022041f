// The CUDA backend: the only header that needs the CUDA toolkit.
#pragma once

#include <crease/device.hpp>
#include <crease/oracle.hpp>

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

/// The stream that orders all work of a CUDA device: the borrowed one, or its own. BadInput for a
/// device that is not CUDA.
cudaStream_t cuda_stream(Device& device);

/// y [n, p] <- F(x [n, d]) by work that the function queues on `stream`.
///
/// stream  the device's: everything that wrote x was queued on it before, everything that reads y
///         will be queued on it after. Work queued anywhere else is not ordered
/// x, y    GPU memory, row-major without gaps (ld = cols), valid until the queued work is done;
///         0 < n, n (d + p) numbers are at most 256 MiB unless one row alone is more
using CudaFunction = std::function<void(cudaStream_t stream, ConstDeviceView x, DeviceView y)>;

/// A black box on the GPU: points, answers and whatever the function keeps stay there.
///
/// The function must write all of y, must not wait for the stream (it would still be right, but the
/// GPU would run dry) and must not keep x or y. It is called on the caller's thread with the
/// device's GPU current. What it throws passes through; a CUDA error that it leaves behind, such as
/// a launch that was refused, is thrown as OracleError and cleared. A fault inside its kernels
/// shows where the learner next waits, as DeviceError: no GPU survives it. Two chunks need no two
/// buffers: the host runs ahead of the stream, so the next chunk is queued while this one is
/// computed.
///
/// Throws BadInput on inputs < 1, outputs < 1 or an empty function, and when it is asked on a
/// device that is not CUDA.
std::unique_ptr<Oracle> make_cuda_oracle(Index inputs, Index outputs, CudaFunction function);

}  // namespace crease
