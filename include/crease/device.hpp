// Device: the one handle for memory, order of work, and kernels.
#pragma once

#include <crease/matrix.hpp>

#include <memory>
#include <optional>
#include <string>

namespace crease {

class Ops;

struct DeviceStats {
  Index bytes_in_use = 0;
  Index peak_bytes = 0;
  Index uploaded_bytes = 0;
  Index downloaded_bytes = 0;
};

/// Where work happens. Work on one device happens in the order it was asked for (one stream).
/// Nothing waits except synchronize(), download() and primitives that return a number.
/// A device is used by one thread at a time. DeviceError: memory exhausted, or the device refused.
class Device {
 public:
  Device() = default;
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// For people: "cpu (2 threads)", "cuda (NVIDIA H200)".
  virtual std::string name() const = 0;

  /// Waits until all work asked for so far is done.
  virtual void synchronize() = 0;

  /// Bytes in matrices now, their peak, and what was copied to and from the device.
  DeviceStats stats() const { return stats_; }

  /// Bytes that matrices could still take; none where the backend cannot tell. CPU: physical memory
  /// less what its matrices hold. CUDA: free memory of the GPU, and what its pool holds unused.
  virtual std::optional<Index> free_bytes() const { return std::nullopt; }

  /// The backend's instruction set; called through the checked functions of kernels/ops.hpp.
  virtual Ops& ops() = 0;

  // Used by DeviceMatrix, upload and download.
  double* allocate(Index count);
  void release(double* data, Index count) noexcept;
  void copy_in(ConstHostView from, DeviceView to);
  void copy_out(ConstDeviceView from, HostView to);

 protected:
  virtual double* do_allocate(Index count) = 0;
  virtual void do_release(double* data, Index count) noexcept = 0;
  virtual void do_copy_in(ConstHostView from, DeviceView to) = 0;
  virtual void do_copy_out(ConstDeviceView from, HostView to) = 0;

 private:
  DeviceStats stats_;
};

struct CpuOptions {
  int threads = 0;      // 0: all cores
  bool poison = false;  // fresh and freed memory is NaN: for tests
};

/// The CPU backend. Throws BadInput on a negative thread count.
std::unique_ptr<Device> make_cpu_device(CpuOptions options = {});

}  // namespace crease
