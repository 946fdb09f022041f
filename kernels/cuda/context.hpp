// One GPU as the CUDA twins see it: its stream, memory pool, library handles, errors and scratch.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>
#include <crease/cuda.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace crease {

/// Throw DeviceError naming `what` unless the status is success; the CUDA error is cleared.
void check(cudaError_t status, const char* what);
void check(cublasStatus_t status, const char* what);
void check(cusolverStatus_t status, const char* what);

/// Makes a GPU the calling thread's current one, and gives the thread its old one back at the end.
class CurrentGpu {
 public:
  explicit CurrentGpu(int device_id);
  ~CurrentGpu();
  CurrentGpu(const CurrentGpu&) = delete;
  CurrentGpu& operator=(const CurrentGpu&) = delete;

 private:
  int previous_ = 0;
  int device_id_;
};

struct StreamDeleter {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
struct PoolDeleter {
  void operator()(cudaMemPool_t pool) const { cudaMemPoolDestroy(pool); }
};
struct BlasDeleter {
  void operator()(cublasHandle_t handle) const { cublasDestroy(handle); }
};
struct SolverDeleter {
  void operator()(cusolverDnHandle_t handle) const { cusolverDnDestroy(handle); }
};
struct SolverParamsDeleter {
  void operator()(cusolverDnParams_t params) const { cusolverDnDestroyParams(params); }
};

/// What one CudaDevice owns on its GPU. A borrowed stream is not destroyed.
class CudaContext {
 public:
  /// Throws DeviceError where there is no such GPU, or this build has no code for it.
  explicit CudaContext(const CudaOptions& options);
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  int device_id() const { return device_id_; }
  cudaStream_t stream() const { return stream_; }
  cublasHandle_t blas() const { return blas_.get(); }
  cusolverDnHandle_t solver() const { return solver_.get(); }
  cusolverDnParams_t solver_params() const { return solver_params_.get(); }

  /// Memory in stream order: usable by work queued after allocate() and before release().
  void* allocate(std::size_t bytes);
  void release(void* data, std::size_t bytes) noexcept;

  /// Bytes that allocate() could still give; none where the GPU does not answer.
  std::optional<Index> free_bytes() const;

  void synchronize();

 private:
  int device_id_;
  bool poison_;
  std::unique_ptr<CUstream_st, StreamDeleter> own_stream_;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<CUmemPoolHandle_st, PoolDeleter> pool_;
  void* blas_workspace_ = nullptr;
  std::unique_ptr<cublasContext, BlasDeleter> blas_;
  std::unique_ptr<cusolverDnContext, SolverDeleter> solver_;
  std::unique_ptr<cusolverDnParams, SolverParamsDeleter> solver_params_;
};

/// Device memory of one primitive: given back, in stream order, when the call returns.
template <class T>
class Scratch {
 public:
  Scratch(CudaContext& context, std::size_t count)
      : context_(context),
        bytes_(count * sizeof(T)),
        data_(bytes_ == 0 ? nullptr : static_cast<T*>(context.allocate(bytes_))) {}
  ~Scratch() {
    if (data_ != nullptr) context_.release(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }

 private:
  CudaContext& context_;
  std::size_t bytes_;
  T* data_;
};

/// Host memory a library may read while the stream runs: freed by the stream itself.
class HostScratch {
 public:
  HostScratch(CudaContext& context, std::size_t bytes);
  ~HostScratch();
  HostScratch(const HostScratch&) = delete;
  HostScratch& operator=(const HostScratch&) = delete;

  void* data() const { return data_; }

 private:
  CudaContext& context_;
  char* data_;
};

/// Copies one number to the host and waits for it.
template <class T>
T read_back(CudaContext& context, const T* from, const char* what) {
  T value{};
  check(cudaMemcpyAsync(&value, from, sizeof(T), cudaMemcpyDeviceToHost, context.stream()), what);
  context.synchronize();
  return value;
}

}  // namespace crease
