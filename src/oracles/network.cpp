// A known network as a black box: lines and fans are answered in their own coordinates.
#include <crease/oracle.hpp>

#include <optional>
#include <utility>

#include "src/device_network.hpp"
#include "src/device_smooth_network.hpp"

namespace crease {
namespace {

template <class Network, class OnDevice>
class UploadedNetwork : public Oracle {
 public:
  explicit UploadedNetwork(Network network) : network_(std::move(network)) {}

  Index input_dim() const override { return network_.inputs(); }
  Index output_dim() const override { return network_.outputs(); }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    on(device).evaluate(x, y);
  }

 protected:
  const Network& network() const { return network_; }

  /// Uploaded at the first question. The oracle must not outlive the device that asks it.
  const OnDevice& on(Device& device) {
    if (device_ != &device) {
      uploaded_.emplace(device, network_);
      device_ = &device;
    }
    return *uploaded_;
  }

 private:
  Network network_;
  Device* device_ = nullptr;
  std::optional<OnDevice> uploaded_;
};

class NetworkOracle final : public UploadedNetwork<ReluNetwork, DeviceNetwork> {
 public:
  using UploadedNetwork::UploadedNetwork;

  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override {
    if (network().power != 1) return false;
    on(device).evaluate_line(line, t, y);
    return true;
  }
  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) override {
    if (network().power != 1) return false;
    on(device).evaluate_lines(lines, t, y);
    return true;
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    if (network().power != 1) return false;
    on(device).evaluate_fan(fan, y);
    return true;
  }
};

class SmoothNetworkOracle final : public UploadedNetwork<SmoothNetwork, DeviceSmoothNetwork> {
 public:
  using UploadedNetwork::UploadedNetwork;

  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    on(device).evaluate_fan(fan, y);
    return true;
  }
};

}  // namespace

std::unique_ptr<Oracle> make_network_oracle(ReluNetwork network) {
  check(network);
  return std::make_unique<NetworkOracle>(std::move(network));
}

std::unique_ptr<Oracle> make_network_oracle(SmoothNetwork network) {
  check(network);
  return std::make_unique<SmoothNetworkOracle>(std::move(network));
}

}  // namespace crease
