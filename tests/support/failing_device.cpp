// A device that is lost in the middle.
#include "tests/support/failing_device.hpp"

namespace crease {

FailingDevice::FailingDevice(std::optional<Index> last)
    : cpu_(make_cpu_device({.threads = 1, .poison = true})), last_(last) {}

void FailingDevice::count() {
  if (!last_ || operations_ < *last_) {
    ++operations_;
    return;
  }
  if (operations_ > *last_) ++touched_after_;
  operations_ = *last_ + 1;
  throw DeviceError(kText);
}

Ops& FailingDevice::ops() {
  count();
  return cpu_->ops();
}

double* FailingDevice::do_allocate(Index elements) {
  count();
  return cpu_->allocate(elements);
}

void FailingDevice::do_release(double* data, Index elements) noexcept {
  cpu_->release(data, elements);
}

void FailingDevice::do_copy_in(ConstHostView from, DeviceView to) {
  count();
  cpu_->copy_in(from, to);
}

void FailingDevice::do_copy_out(ConstDeviceView from, HostView to) {
  count();
  cpu_->copy_out(from, to);
}

}  // namespace crease
