// One GPU as a device: its context, its memory, and the copies to and from the host.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

#include "kernels/cuda/support.cuh"
#include "kernels/gpu_code.hpp"

namespace crease {
namespace {

constexpr Index kDouble = sizeof(double);
constexpr std::size_t kBlasWorkspace = std::size_t{32} << 20;      // what NVIDIA advises for Hopper
constexpr const char* kArchitectures = CREASE_CUDA_ARCHITECTURES;  // what CMake built it for
constexpr Index kMaxPitch = std::numeric_limits<int>::max();       // bytes; a limit of cudaMemcpy2D

std::string text_of(cublasStatus_t status) {
  return cublasGetStatusString(status);
}

std::string text_of(cusolverStatus_t status) {
  return "cuSOLVER status " + std::to_string(static_cast<int>(status));
}

/// Asked for at start-up: a build without code for this GPU fails there, and not in the middle.
__global__ void probe_kernel() {}

/// What the driver says where there is no GPU: that it is missing, or older than the toolkit.
std::string why_none() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  return status == cudaSuccess ? "" : std::string(": ") + cudaGetErrorString(status);
}

/// Throws DeviceError where this build has no code for the GPU, or the driver cannot load it.
void check_code(int device_id) {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel);
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  cudaDeviceProp gpu{};
  check(cudaGetDeviceProperties(&gpu, device_id), "device properties");
  const Capability capability{gpu.major, gpu.minor};
  if (status == cudaErrorNoKernelImageForDevice || !has_code_for(kArchitectures, capability)) {
    throw DeviceError("cuda: " + no_code_message(gpu.name, capability, kArchitectures));
  }
  check(status, "the code of this build cannot be loaded");
}

/// Copies between two views of device or host memory, whatever their strides.
void copy_rows(void* to, Index to_ld, const void* from, Index from_ld, Index rows, Index cols,
               cudaMemcpyKind kind, cudaStream_t stream, const char* what) {
  const auto row_bytes = static_cast<std::size_t>(cols * kDouble);
  if (rows == 1 || (to_ld == cols && from_ld == cols)) {
    check(cudaMemcpyAsync(to, from, row_bytes * static_cast<std::size_t>(rows), kind, stream),
          what);
  } else if (std::max(to_ld, from_ld) <= kMaxPitch / kDouble) {
    check(cudaMemcpy2DAsync(to, static_cast<std::size_t>(to_ld * kDouble), from,
                            static_cast<std::size_t>(from_ld * kDouble), row_bytes,
                            static_cast<std::size_t>(rows), kind, stream),
          what);
  } else {
    for (Index i = 0; i < rows; ++i) {
      check(
          cudaMemcpyAsync(static_cast<double*>(to) + i * to_ld,
                          static_cast<const double*>(from) + i * from_ld, row_bytes, kind, stream),
          what);
    }
  }
}

/// Two pinned buffers, used in turn: the caller's memory is free again when upload() returns,
/// whatever kind of memory it is, and a small upload does not wait for the stream.
class Uploader {
 public:
  explicit Uploader(CudaContext& context) : context_(context) {
    for (Slot& slot : slots_) {
      check(cudaMallocHost(&slot.data, kCapacity * kDouble), "pinned memory");
      check(cudaEventCreateWithFlags(&slot.sent, cudaEventDisableTiming), "event");
    }
  }

  void upload(ConstHostView from, DeviceView to) {
    const Index width = std::min(from.cols, kCapacity);
    const Index height = std::max<Index>(1, kCapacity / width);
    for (Index row = 0; row < from.rows; row += height) {
      for (Index col = 0; col < from.cols; col += width) {
        const Index rows = std::min(height, from.rows - row);
        const Index cols = std::min(width, from.cols - col);
        Slot& slot = slots_[next_];
        next_ = 1 - next_;
        check(cudaEventSynchronize(slot.sent), "upload");  // at once where it was never used
        for (Index i = 0; i < rows; ++i) {
          std::copy_n(from.data + (row + i) * from.ld + col, cols, slot.data + i * cols);
        }
        copy_rows(to.data + row * to.ld + col, to.ld, slot.data, cols, rows, cols,
                  cudaMemcpyHostToDevice, context_.stream(), "upload");
        check(cudaEventRecord(slot.sent, context_.stream()), "upload");
      }
    }
  }

 private:
  static constexpr Index kCapacity = 1 << 19;  // doubles: 4 MiB
  struct Slot {
    double* data = nullptr;
    cudaEvent_t sent = nullptr;
    Slot() = default;
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() {
      if (sent != nullptr) cudaEventDestroy(sent);
      if (data != nullptr) cudaFreeHost(data);
    }
  };

  CudaContext& context_;
  std::array<Slot, 2> slots_;
  std::size_t next_ = 0;
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(const CudaOptions& options) : context_(options), ops_(context_) {
    const CurrentGpu current(context_.device_id());
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, context_.device_id()), "device properties");
    name_ = std::string("cuda (") + properties.name + ")";
    uploader_ = std::make_unique<Uploader>(context_);
  }

  ~CudaDevice() override {
    const CurrentGpu current(context_.device_id());
    static_cast<void>(cudaStreamSynchronize(context_.stream()));  // the pinned buffers are in use
    uploader_.reset();
  }

  std::string name() const override { return name_; }

  void synchronize() override {
    const CurrentGpu current(context_.device_id());
    context_.synchronize();
  }

  Ops& ops() override { return ops_; }

  std::optional<Index> free_bytes() const override {
    const CurrentGpu current(context_.device_id());
    return context_.free_bytes();
  }

  cudaStream_t stream() const { return context_.stream(); }

 protected:
  double* do_allocate(Index count) override {
    const CurrentGpu current(context_.device_id());
    if (count > std::numeric_limits<Index>::max() / (2 * kDouble)) {
      throw DeviceError("cuda: no memory for " + std::to_string(count) + " numbers");
    }
    return static_cast<double*>(context_.allocate(static_cast<std::size_t>(count * kDouble)));
  }

  void do_release(double* data, Index count) noexcept override {
    const CurrentGpu current(context_.device_id());
    context_.release(data, static_cast<std::size_t>(count * kDouble));
  }

  void do_copy_in(ConstHostView from, DeviceView to) override {
    const CurrentGpu current(context_.device_id());
    uploader_->upload(from, to);
  }

  void do_copy_out(ConstDeviceView from, HostView to) override {
    const CurrentGpu current(context_.device_id());
    copy_rows(to.data, to.ld, from.data, from.ld, from.rows, from.cols, cudaMemcpyDeviceToHost,
              context_.stream(), "download");
    context_.synchronize();
  }

 private:
  CudaContext context_;
  CudaOps ops_;
  std::unique_ptr<Uploader> uploader_;
  std::string name_;
};

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // cleared, so that the next call is not blamed for it
  throw DeviceError(std::string("cuda: ") + what + ": " + cudaGetErrorString(status));
}

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  static_cast<void>(cudaGetLastError());
  throw DeviceError(std::string("cuda: ") + what + ": " + text_of(status));
}

void check(cusolverStatus_t status, const char* what) {
  if (status == CUSOLVER_STATUS_SUCCESS) return;
  static_cast<void>(cudaGetLastError());
  throw DeviceError(std::string("cuda: ") + what + ": " + text_of(status));
}

CurrentGpu::CurrentGpu(int device_id) : device_id_(device_id) {
  // A failure here shows in the first call after it: this also runs where nothing may be thrown.
  static_cast<void>(cudaGetDevice(&previous_));
  if (previous_ != device_id_) static_cast<void>(cudaSetDevice(device_id_));
}

CurrentGpu::~CurrentGpu() {
  if (previous_ != device_id_) static_cast<void>(cudaSetDevice(previous_));
}

CudaContext::CudaContext(const CudaOptions& options)
    : device_id_(options.device_id), poison_(options.poison) {
  const int count = cuda_device_count();
  if (count == 0) throw DeviceError("no CUDA device found" + why_none());
  if (device_id_ < 0 || device_id_ >= count) {
    throw DeviceError("no CUDA device " + std::to_string(device_id_) + ": there are " +
                      std::to_string(count));
  }
  const CurrentGpu current(device_id_);
  check_code(device_id_);

  stream_ = options.stream;
  if (stream_ == nullptr) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    own_stream_.reset(stream_);
  }

  // A pool of our own: what other users of the GPU do to the default pool does not matter here.
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;  // the only type there is: on the device
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device_id_;
  cudaMemPool_t pool = nullptr;
  check(cudaMemPoolCreate(&pool, &properties), "memory pool");
  pool_.reset(pool);
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "memory pool");

  cublasHandle_t blas = nullptr;
  check(cublasCreate(&blas), "cuBLAS");
  blas_.reset(blas);
  check(cublasSetStream(blas, stream_), "cuBLAS");
  // Its own workspace: what cuBLAS would allocate by itself has no place in a captured graph.
  blas_workspace_ = allocate(kBlasWorkspace);
  check(cublasSetWorkspace(blas, blas_workspace_, kBlasWorkspace), "cuBLAS");
  check(cublasSetMathMode(blas, CUBLAS_DEFAULT_MATH), "cuBLAS");  // FP64 as FP64, not emulated
  check(cublasSetAtomicsMode(blas, CUBLAS_ATOMICS_NOT_ALLOWED), "cuBLAS");
  check(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_HOST), "cuBLAS");

  cusolverDnHandle_t solver = nullptr;
  check(cusolverDnCreate(&solver), "cuSOLVER");
  solver_.reset(solver);
  check(cusolverDnSetStream(solver, stream_), "cuSOLVER");
  check(cusolverDnSetMathMode(solver, CUSOLVER_DEFAULT_MATH), "cuSOLVER");
  check(cusolverDnSetDeterministicMode(solver, CUSOLVER_DETERMINISTIC_RESULTS), "cuSOLVER");
  cusolverDnParams_t params = nullptr;
  check(cusolverDnCreateParams(&params), "cuSOLVER");
  solver_params_.reset(params);
}

CudaContext::~CudaContext() {
  const CurrentGpu current(device_id_);
  static_cast<void>(cudaStreamSynchronize(stream_));
  solver_params_.reset();
  solver_.reset();
  blas_.reset();
  if (blas_workspace_ != nullptr) release(blas_workspace_, kBlasWorkspace);
  pool_.reset();
  own_stream_.reset();
}

void* CudaContext::allocate(std::size_t bytes) {
  void* data = nullptr;
  const std::string what = "no memory for " + std::to_string(bytes) + " bytes";
  check(cudaMallocFromPoolAsync(&data, bytes, pool_.get(), stream_), what.c_str());
  // All bits set is a NaN.
  if (poison_) check(cudaMemsetAsync(data, 0xff, bytes, stream_), "poison");
  return data;
}

void CudaContext::release(void* data, std::size_t bytes) noexcept {
  if (poison_) static_cast<void>(cudaMemsetAsync(data, 0xff, bytes, stream_));
  if (cudaFreeAsync(data, stream_) != cudaSuccess) static_cast<void>(cudaGetLastError());
}

std::optional<Index> CudaContext::free_bytes() const {
  std::size_t free = 0;
  std::size_t total = 0;
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess ||
      cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrReservedMemCurrent, &reserved) !=
          cudaSuccess ||
      cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrUsedMemCurrent, &used) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return std::nullopt;
  }
  return static_cast<Index>(free + (reserved - used));
}

void CudaContext::synchronize() {
  check(cudaStreamSynchronize(stream_), "the work on the GPU failed");
}

HostScratch::HostScratch(CudaContext& context, std::size_t bytes)
    : context_(context), data_(bytes == 0 ? nullptr : new char[bytes]) {}

HostScratch::~HostScratch() {
  if (data_ == nullptr) return;
  const auto free_it = [](void* data) { delete[] static_cast<char*>(data); };
  if (cudaLaunchHostFunc(context_.stream(), free_it, data_) != cudaSuccess) {
    static_cast<void>(cudaStreamSynchronize(context_.stream()));
    static_cast<void>(cudaGetLastError());
    free_it(data_);
  }
}

std::unique_ptr<Device> make_cuda_device(CudaOptions options) {
  return std::make_unique<CudaDevice>(options);
}

cudaStream_t cuda_stream(Device& device) {
  const auto* cuda = dynamic_cast<const CudaDevice*>(&device);
  require(cuda != nullptr, "cuda_stream: " + device.name() + " is not a CUDA device");
  return cuda->stream();
}

int cuda_device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  return 0;
}

}  // namespace crease
