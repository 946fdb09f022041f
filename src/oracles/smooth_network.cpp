// A known smooth network as a black box: fans are answered in their own coordinates.
#include <crease/oracle.hpp>

#include <optional>
#include <utility>

#include "src/device_smooth_network.hpp"

namespace crease {
namespace {

class SmoothNetworkOracle final : public Oracle {
 public:
  explicit SmoothNetworkOracle(SmoothNetwork network) : network_(std::move(network)) {}

  Index input_dim() const override { return network_.inputs(); }
  Index output_dim() const override { return network_.outputs(); }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    on(device).evaluate(x, y);
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    on(device).evaluate_fan(fan, y);
    return true;
  }

 private:
  /// Uploaded at the first question. The oracle must not outlive the device that asks it.
  const DeviceSmoothNetwork& on(Device& device) {
    if (device_ != &device) {
      uploaded_.emplace(device, network_);
      device_ = &device;
    }
    return *uploaded_;
  }

  SmoothNetwork network_;
  Device* device_ = nullptr;
  std::optional<DeviceSmoothNetwork> uploaded_;
};

}  // namespace

std::unique_ptr<Oracle> make_network_oracle(SmoothNetwork network) {
  check(network);
  return std::make_unique<SmoothNetworkOracle>(std::move(network));
}

}  // namespace crease
