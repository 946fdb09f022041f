// A known network as a black box: lines and fans are answered in their own coordinates.
#include <crease/oracle.hpp>

#include <optional>
#include <utility>

#include "src/device_network.hpp"

namespace crease {
namespace {

class NetworkOracle final : public Oracle {
 public:
  explicit NetworkOracle(ReluNetwork network) : network_(std::move(network)) {}

  Index input_dim() const override { return network_.inputs(); }
  Index output_dim() const override { return network_.outputs(); }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    on(device).evaluate(x, y);
  }
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override {
    if (network_.power != 1) return false;
    on(device).evaluate_line(line, t, y);
    return true;
  }
  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) override {
    if (network_.power != 1) return false;
    on(device).evaluate_lines(lines, t, y);
    return true;
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    if (network_.power != 1) return false;
    on(device).evaluate_fan(fan, y);
    return true;
  }

 private:
  /// Uploaded at the first question. The oracle must not outlive the device that asks it.
  const DeviceNetwork& on(Device& device) {
    if (device_ != &device) {
      uploaded_.emplace(device, network_);
      device_ = &device;
    }
    return *uploaded_;
  }

  ReluNetwork network_;
  Device* device_ = nullptr;
  std::optional<DeviceNetwork> uploaded_;
};

}  // namespace

std::unique_ptr<Oracle> make_network_oracle(ReluNetwork network) {
  check(network);
  return std::make_unique<NetworkOracle>(std::move(network));
}

}  // namespace crease
