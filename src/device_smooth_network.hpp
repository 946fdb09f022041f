// A smooth network in a device's memory: evaluated at points and on fans.
#pragma once

#include <crease/oracle.hpp>
#include <crease/smooth_network.hpp>

namespace crease {

/// Uploaded once, asked often. Must not outlive its device.
class DeviceSmoothNetwork {
 public:
  DeviceSmoothNetwork(Device& device, const SmoothNetwork& network);

  Index inputs() const { return linear_.cols(); }
  Index outputs() const { return linear_.rows(); }

  /// Rows whose hidden neurons fit into a chunk.
  Index rows_at_once() const;

  /// y [n, p] <- F(x [n, d]); hidden neurons in chunks.
  void evaluate(ConstDeviceView x, DeviceView y) const;

  /// y [m q, p] <- F on a fan: the first layer sees centres and directions once each, and no point
  /// is built. Centres in chunks.
  void evaluate_fan(const Fan& fan, DeviceView y) const;

 private:
  struct Layer {
    DeviceMatrix weights;  // [k, inputs of the layer]
    DeviceMatrix bias;     // [1, k]
    Activation activation;
  };
  /// y <- F where z [n, k] holds the first layer's weights times x, and y the linear part.
  void finish(DeviceView z, DeviceView y) const;

  Device* device_;
  std::vector<Layer> hidden_;
  DeviceMatrix output_;    // [p, k]
  DeviceMatrix linear_;    // [p, d]
  DeviceMatrix constant_;  // [1, p]
};

}  // namespace crease
