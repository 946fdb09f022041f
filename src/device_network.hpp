// A network in a device's memory: evaluated at points, along lines and on fans.
#pragma once

#include <crease/network.hpp>
#include <crease/oracle.hpp>

namespace crease {

inline constexpr Index kFeatureBytes = Index{1} << 27;  // of values of hidden neurons at a time

/// column [n, 1] as [1, n], for add_row().
DeviceMatrix upload_as_row(Device& device, const HostMatrix& column);

/// Uploaded once, asked often. Must not outlive its device.
class DeviceNetwork {
 public:
  DeviceNetwork(Device& device, const ReluNetwork& network);

  Index inputs() const { return inputs_; }
  Index neurons() const { return weights_.rows(); }
  Index outputs() const { return constant_.cols(); }
  double power() const { return power_; }

  ConstDeviceView weights() const { return weights_; }
  ConstDeviceView bias() const { return bias_; }  // [k, 1]
  ConstDeviceView bias_as_row() const { return {bias_.view().data, 1, neurons(), neurons()}; }

  /// y [n, p] <- F(x [n, d]); features in chunks.
  void evaluate(ConstDeviceView x, DeviceView y) const;

  /// y [n, p] <- F(origin + t direction), along one line or several; no points are built. The
  /// number of launches does not depend on the number of lines. BadInput where the power is not 1,
  /// here and for fans.
  void evaluate_line(const Line& line, ConstDeviceView t, DeviceView y) const;
  void evaluate_lines(const Lines& lines, ConstDeviceView t, DeviceView y) const;

  /// y [m q, p] <- F on a fan; centres in chunks, scratch q (k + p) besides.
  void evaluate_fan(const Fan& fan, DeviceView y) const;

 private:
  Device* device_;
  Index inputs_;
  double power_;
  DeviceMatrix weights_;   // [k, d]
  DeviceMatrix bias_;      // [k, 1]
  DeviceMatrix output_;    // [p, k]
  DeviceMatrix linear_;    // [p, d]
  DeviceMatrix constant_;  // [1, p]
};

}  // namespace crease
