// Oracles that write down what they were asked.
#include "tests/support/asking.hpp"

#include <numeric>
#include <utility>

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

Index RecordingOracle::points() const {
  return std::accumulate(batches.begin(), batches.end(), Index{0});
}

}  // namespace crease
