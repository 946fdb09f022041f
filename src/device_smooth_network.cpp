// Smooth networks on a device.
#include "src/device_smooth_network.hpp"

#include <algorithm>
#include <utility>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"

namespace crease {

DeviceSmoothNetwork::DeviceSmoothNetwork(Device& device, const SmoothNetwork& network)
    : device_(&device),
      output_(upload(device, network.output)),
      linear_(upload(device, network.linear)),
      constant_(upload_as_row(device, network.constant)) {
  for (const SmoothNetwork::Layer& layer : network.hidden) {
    hidden_.push_back(
        {upload(device, layer.weights), upload_as_row(device, layer.bias), layer.activation});
  }
}

Index DeviceSmoothNetwork::rows_at_once() const {
  Index widths = inputs() + outputs();
  for (const Layer& layer : hidden_) widths += layer.weights.rows();
  return std::max<Index>(1, kFeatureBytes / (widths * static_cast<Index>(sizeof(double))));
}

void DeviceSmoothNetwork::finish(DeviceView z, DeviceView y) const {
  DeviceMatrix second;
  for (std::size_t l = 0; l < hidden_.size(); ++l) {
    const Layer& layer = hidden_[l];
    if (l > 0) {
      second = DeviceMatrix(*device_, z.rows, layer.weights.rows());
      multiply(*device_, z, Transpose::no, layer.weights, Transpose::yes, 1.0, 0.0, second);
      z = second;
    }
    add_row(*device_, layer.bias, z);
    activate(*device_, layer.activation, 0, z);
  }
  multiply(*device_, z, Transpose::no, output_, Transpose::yes, 1.0, 1.0, y);
  add_row(*device_, constant_, y);
}

void DeviceSmoothNetwork::evaluate(ConstDeviceView x, DeviceView y) const {
  require(x.cols == inputs() && y.rows == x.rows && y.cols == outputs(),
          "smooth network: x must be [n, d], y [n, p]");
  const Index most = std::min(rows_at_once(), std::max<Index>(1, x.rows));
  const Layer& first = hidden_.front();
  DeviceMatrix z(*device_, most, first.weights.rows());
  for (Index top = 0; top < x.rows; top += most) {
    const Index count = std::min(most, x.rows - top);
    const ConstDeviceView points = x.row_block(top, count);
    const DeviceView hidden = z.view().row_block(0, count);
    const DeviceView values = y.row_block(top, count);
    multiply(*device_, points, Transpose::no, linear_, Transpose::yes, 1.0, 0.0, values);
    multiply(*device_, points, Transpose::no, first.weights, Transpose::yes, 1.0, 0.0, hidden);
    finish(hidden, values);
  }
}

void DeviceSmoothNetwork::evaluate_fan(const Fan& fan, DeviceView y) const {
  const Index m = fan.centers.rows;
  const Index q = fan.directions.rows;
  require(fan.centers.cols == inputs() && fan.directions.cols == inputs() && y.rows == m * q &&
              y.cols == outputs(),
          "smooth network: centers and directions must be [., d], y [m q, p]");
  if (m == 0 || q == 0) return;
  const Index most = std::clamp<Index>(rows_at_once() / q, 1, m);
  // What a linear map makes of a fan is a fan.
  const auto seen = [&](ConstDeviceView points, const DeviceMatrix& map) {
    DeviceMatrix image(*device_, points.rows, map.rows());
    multiply(*device_, points, Transpose::no, map, Transpose::yes, 1.0, 0.0, image);
    return image;
  };
  const Layer& first = hidden_.front();
  const DeviceMatrix hidden_centers = seen(fan.centers, first.weights);
  const DeviceMatrix hidden_directions = seen(fan.directions, first.weights);
  const DeviceMatrix linear_centers = seen(fan.centers, linear_);
  const DeviceMatrix linear_directions = seen(fan.directions, linear_);
  DeviceMatrix z(*device_, most * q, first.weights.rows());
  for (Index top = 0; top < m; top += most) {
    const Index count = std::min(most, m - top);
    const DeviceView hidden = z.view().row_block(0, count * q);
    const DeviceView values = y.row_block(top * q, count * q);
    const ConstDeviceView steps = fan.steps.row_block(top, count);
    fan_points(*device_, {hidden_centers.view().row_block(top, count), hidden_directions, steps},
               hidden);
    fan_points(*device_, {linear_centers.view().row_block(top, count), linear_directions, steps},
               values);
    finish(hidden, values);
  }
}

}  // namespace crease
