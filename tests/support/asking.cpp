// Oracles that write down what they were asked.
#include "tests/support/asking.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/ops.hpp"

namespace crease {

RecordingOracle::RecordingOracle(ReluNetwork network, Manner manner)
    : manner_(manner),
      inputs_(network.inputs()),
      outputs_(network.outputs()),
      network_(make_network_oracle(std::move(network))) {}

void RecordingOracle::record(Device& device, DeviceView y) {
  batches.push_back(y.rows);
  if (after) after(device, y);
}

void RecordingOracle::answer(Device& device, ConstDeviceView x, DeviceView y) {
  network_->answer(device, x, y);
  record(device, y);
}

bool RecordingOracle::answer_line(Device& device, const Line& line, ConstDeviceView t,
                                  DeviceView y) {
  if (manner_ == Manner::opaque) return false;
  network_->answer_line(device, line, t, y);
  ++lines;
  record(device, y);
  return true;
}

bool RecordingOracle::answer_fan(Device& device, const Fan& fan, DeviceView y) {
  if (manner_ == Manner::opaque) return false;
  network_->answer_fan(device, fan, y);
  ++fans;
  record(device, y);
  return true;
}

OracleWithSigmas::OracleWithSigmas(ReluNetwork network, Sigmas sigmas,
                                   RecordingOracle::Manner manner)
    : manner_(manner),
      inputs_(network.inputs()),
      outputs_(network.outputs()),
      network_(make_network_oracle(std::move(network))),
      sigmas_(std::move(sigmas)) {}

void OracleWithSigmas::answer(Device& device, ConstDeviceView x, DeviceView y) {
  DeviceMatrix exact(device, x.rows, outputs_);
  network_->answer(device, x, exact);
  HostMatrix values = download(device, exact);
  const HostMatrix points = download(device, x);
  HostMatrix sigmas(x.rows, outputs_);
  for (Index i = 0; i < x.rows; ++i) {
    sigmas_(points.row(i), sigmas.row(i));
    const bool says_nothing = std::any_of(sigmas.row(i), sigmas.row(i) + outputs_,
                                          [](double sigma) { return std::isinf(sigma); });
    silent += says_nothing ? 1 : 0;
    for (Index o = 0; o < outputs_ && says_nothing; ++o) values(i, o) = 0;
  }
  if (disturb) disturb(values, sigmas);
  device.copy_in(values, y.col_block(0, outputs_));
  device.copy_in(sigmas, y.col_block(outputs_, outputs_));
}

bool OracleWithSigmas::answer_line(Device& device, const Line& line, ConstDeviceView t,
                                   DeviceView y) {
  if (manner_ == RecordingOracle::Manner::opaque) return false;
  DeviceMatrix x(device, t.rows, inputs_);
  line_points(device, line, t, x);
  answer(device, x, y);
  return true;
}

bool OracleWithSigmas::answer_fan(Device& device, const Fan& fan, DeviceView y) {
  if (manner_ == RecordingOracle::Manner::opaque) return false;
  DeviceMatrix x(device, fan.centers.rows * fan.directions.rows, inputs_);
  fan_points(device, fan, x);
  answer(device, x, y);
  return true;
}

Index RecordingOracle::points() const {
  return std::accumulate(batches.begin(), batches.end(), Index{0});
}

}  // namespace crease
