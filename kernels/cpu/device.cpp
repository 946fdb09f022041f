// The CPU as a device: aligned memory, work done at once.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <thread>

#include "kernels/cpu/ops.hpp"

namespace crease {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(CpuOptions options)
      : threads_(options.threads > 0
                     ? options.threads
                     : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))),
        poison_(options.poison),
        ops_(threads_) {}

  std::string name() const override {
    return "cpu (" + std::to_string(threads_) + (threads_ == 1 ? " thread)" : " threads)");
  }
  void synchronize() override {}
  Ops& ops() override { return ops_; }

  std::optional<Index> free_bytes() const override {
    const Index pages = sysconf(_SC_PHYS_PAGES);
    const Index page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return std::nullopt;
    return std::max<Index>(0, pages * page - stats().bytes_in_use);
  }

 protected:
  double* do_allocate(Index count) override {
    constexpr Index kMost = std::numeric_limits<Index>::max() / 16;
    const std::size_t bytes = static_cast<std::size_t>(std::min(count, kMost)) * sizeof(double);
    void* data =
        count > kMost
            ? nullptr
            : std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (data == nullptr) {
      throw DeviceError("cpu: no memory for " + std::to_string(count) + " numbers");
    }
    auto* numbers = static_cast<double*>(data);
    if (poison_) poison(numbers, count);
    return numbers;
  }

  void do_release(double* data, Index count) noexcept override {
    if (poison_) poison(data, count);
    std::free(data);
  }

  void do_copy_in(ConstHostView from, DeviceView to) override {
    for (Index i = 0; i < from.rows; ++i) {
      std::copy_n(from.data + i * from.ld, from.cols, to.data + i * to.ld);
    }
  }

  void do_copy_out(ConstDeviceView from, HostView to) override {
    for (Index i = 0; i < from.rows; ++i) {
      std::copy_n(from.data + i * from.ld, from.cols, to.data + i * to.ld);
    }
  }

 private:
  static void poison(double* data, Index count) {
    std::fill_n(data, count, std::numeric_limits<double>::quiet_NaN());
  }

  int threads_;
  bool poison_;
  CpuOps ops_;
};

}  // namespace

int CpuOps::threads_for(Index operations) const {
  constexpr Index kWorthwhile = Index{1} << 18;  // about 0.1 ms of work
  return operations < kWorthwhile ? 1 : threads_;
}

std::unique_ptr<Device> make_cpu_device(CpuOptions options) {
  require(options.threads >= 0, "make_cpu_device: threads must not be negative");
  return std::make_unique<CpuDevice>(options);
}

}  // namespace crease
