// A network in a device's memory.
#include "src/device_network.hpp"

#include <algorithm>
#include <array>

#include "kernels/ops.hpp"

namespace crease {

DeviceMatrix upload_as_row(Device& device, const HostMatrix& column) {
  return upload(device, ConstHostView{column.data(), 1, column.rows(), column.rows()});
}

DeviceNetwork::DeviceNetwork(Device& device, const ReluNetwork& network)
    : device_(&device),
      inputs_(network.inputs()),
      power_(network.power),
      weights_(upload(
          device, {network.weights.data(), network.neurons(), network.inputs(), network.inputs()})),
      bias_(upload(device, {network.bias.data(), network.neurons(), 1, 1})),
      output_(upload(device, network.output)),
      linear_(upload(device, network.linear)),
      constant_(upload_as_row(device, network.constant)) {}

void DeviceNetwork::evaluate(ConstDeviceView x, DeviceView y) const {
  const Index row_bytes = std::max<Index>(1, neurons()) * static_cast<Index>(sizeof(double));
  const Index chunk = std::max<Index>(1, kFeatureBytes / row_bytes);
  DeviceMatrix scratch(*device_, std::min(chunk, x.rows), neurons());
  for (Index first = 0; first < x.rows; first += chunk) {
    const Index count = std::min(chunk, x.rows - first);
    const ConstDeviceView points = x.row_block(first, count);
    const DeviceView features = scratch.view().row_block(0, count);
    const DeviceView answers = y.row_block(first, count);
    relu_features(*device_, points, weights_, bias_, features);
    if (power_ != 1) rectified_power(*device_, power_, features);
    multiply(*device_, points, Transpose::no, linear_, Transpose::yes, 1.0, 0.0, answers);
    multiply(*device_, features, Transpose::no, output_, Transpose::yes, 1.0, 1.0, answers);
    add_row(*device_, constant_, answers);
  }
}

void DeviceNetwork::evaluate_line(const Line& line, ConstDeviceView t, DeviceView y) const {
  const std::array<Index, 2> all = {0, t.rows};
  evaluate_lines({line.origin, line.direction, all}, t, y);
}

void DeviceNetwork::evaluate_lines(const Lines& lines, ConstDeviceView t, DeviceView y) const {
  require(power_ == 1, "a network of another power than 1 has no fast lines");
  const Index m = lines.origins.rows;
  DeviceMatrix once(*device_, 1, m);
  fill(*device_, 1.0, once);
  DeviceMatrix offsets(*device_, neurons(), m);
  multiply(*device_, bias_, Transpose::no, once, Transpose::no, 1.0, 0.0, offsets);
  multiply(*device_, weights_, Transpose::no, lines.origins, Transpose::yes, 1.0, 1.0, offsets);
  DeviceMatrix slopes(*device_, neurons(), m);
  multiply(*device_, weights_, Transpose::no, lines.directions, Transpose::yes, 1.0, 0.0, slopes);
  DeviceMatrix constant(*device_, m, outputs());
  multiply(*device_, once, Transpose::yes, constant_, Transpose::no, 1.0, 0.0, constant);
  multiply(*device_, lines.origins, Transpose::no, linear_, Transpose::yes, 1.0, 1.0, constant);
  DeviceMatrix tilt(*device_, m, outputs());
  multiply(*device_, lines.directions, Transpose::no, linear_, Transpose::yes, 1.0, 0.0, tilt);
  relu_lines_sum(*device_, offsets, slopes, output_, constant, tilt, lines.first, t, y);
}

void DeviceNetwork::evaluate_fan(const Fan& fan, DeviceView y) const {
  require(power_ == 1, "a network of another power than 1 has no fast fans");
  const Index q = fan.directions.rows;
  DeviceMatrix slopes(*device_, neurons(), q);
  multiply(*device_, weights_, Transpose::no, fan.directions, Transpose::yes, 1.0, 0.0, slopes);
  DeviceMatrix tilt(*device_, q, outputs());
  multiply(*device_, fan.directions, Transpose::no, linear_, Transpose::yes, 1.0, 0.0, tilt);
  const Index row_bytes = (neurons() + outputs()) * static_cast<Index>(sizeof(double));
  const Index chunk =
      std::clamp<Index>(kFeatureBytes / row_bytes, 1, std::max<Index>(1, fan.centers.rows));
  DeviceMatrix all_offsets(*device_, chunk, neurons());
  DeviceMatrix all_constants(*device_, chunk, outputs());
  for (Index first = 0; first < fan.centers.rows; first += chunk) {
    const Index m = std::min(chunk, fan.centers.rows - first);
    const ConstDeviceView centers = fan.centers.row_block(first, m);
    const DeviceView offsets = all_offsets.view().row_block(0, m);
    multiply(*device_, centers, Transpose::no, weights_, Transpose::yes, 1.0, 0.0, offsets);
    add_row(*device_, bias_as_row(), offsets);
    const DeviceView constant = all_constants.view().row_block(0, m);
    multiply(*device_, centers, Transpose::no, linear_, Transpose::yes, 1.0, 0.0, constant);
    add_row(*device_, constant_, constant);
    relu_fan_sum(*device_, offsets, slopes, output_, constant, tilt, fan.steps.row_block(first, m),
                 y.row_block(first * q, m * q));
  }
}

}  // namespace crease
