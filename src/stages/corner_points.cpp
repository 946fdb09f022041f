// Signs, answers, values.
#include "src/stages/corner_points.hpp"

#include <algorithm>

#include "kernels/activations.hpp"
#include "kernels/ops.hpp"

namespace crease {

HostMatrix random_signs(Random& random, Index n, Index m) {
  HostMatrix signs(n, m);
  for (Index i = 0; i < signs.size(); ++i) signs.data()[i] = random.uniform(-1, 1) < 0 ? -1 : 1;
  return signs;
}

HostMatrix values_at(Asker& asker, const SaturatedLayer& first, ConstHostView coordinates,
                     double factor) {
  Device& device = asker.device();
  const DeviceMatrix dual = upload(device, first.dual);
  HostMatrix values(coordinates.rows, 1);
  const Index most = asker.rows_at_once(first.dual.rows() + first.dual.cols());
  for (Index top = 0; top < coordinates.rows; top += most) {
    const Index count = std::min(most, coordinates.rows - top);
    const DeviceMatrix block = upload(device, coordinates.row_block(top, count));
    DeviceMatrix x(device, count, first.dual.cols());
    multiply(device, block, Transpose::no, dual, Transpose::no, factor, 0.0, x);
    const HostMatrix answers =
        download(device, asker.points(x, top == 0 ? Round::next : Round::same));
    std::copy(answers.data(), answers.data() + count, values.data() + top);
  }
  return values;
}

double value_in_signs(Activation first, double argument, int derivative) {
  const double value = activation_at(first, derivative, argument);
  if (first != Activation::sigmoid) return value;
  return derivative == 0 ? 2 * value - 1 : 2 * value;
}

SmoothNetwork::Layer on_values(SmoothNetwork::Layer layer, Activation first) {
  if (first != Activation::sigmoid) return layer;
  for (Index l = 0; l < layer.weights.rows(); ++l) {
    for (Index i = 0; i < layer.weights.cols(); ++i) {
      layer.bias(l, 0) -= layer.weights(l, i);
      layer.weights(l, i) *= 2;
    }
  }
  return layer;
}

}  // namespace crease
