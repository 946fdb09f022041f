// A device that is lost at the operation it is told to, or has as little memory as it is told to.
#pragma once

#include <crease/device.hpp>

#include <optional>

namespace crease {

/// The CPU, until operation number `last` (from 1) is over: from then on every operation throws
/// DeviceError. An operation is an allocation, a copy, a wait, or a primitive: whatever a lost GPU
/// would refuse. Giving memory back never throws, and is no operation.
class FailingDevice final : public Device {
 public:
  static constexpr const char* kText = "the device is gone";

  explicit FailingDevice(std::optional<Index> last = std::nullopt);

  std::string name() const override { return "failing"; }
  void synchronize() override { count(); }
  Ops& ops() override;
  std::optional<Index> free_bytes() const override { return free_bytes_; }

  /// What it says of its memory; it has no less for it.
  void claim_free(std::optional<Index> bytes) { free_bytes_ = bytes; }

  Index operations() const { return operations_; }
  /// Operations that were tried after the one that failed.
  Index touched_after() const { return touched_after_; }

 protected:
  double* do_allocate(Index count) override;
  void do_release(double* data, Index count) noexcept override;
  void do_copy_in(ConstHostView from, DeviceView to) override;
  void do_copy_out(ConstDeviceView from, HostView to) override;

 private:
  void count();

  std::unique_ptr<Device> cpu_;
  std::optional<Index> last_;
  std::optional<Index> free_bytes_;
  Index operations_ = 0;
  Index touched_after_ = 0;
};

}  // namespace crease
