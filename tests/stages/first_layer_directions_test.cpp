// Weights of the first layer from directions that are slightly off.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/stages/corners.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class FirstLayerDirectionsTest : public EveryBackend {
 protected:
  /// The second layer in the first one's signs, as corners give it.
  static SmoothNetwork in_signs(const SmoothNetwork& truth) {
    SmoothNetwork second(truth.neurons(0), {truth.neurons(1)}, 1, {truth.hidden[1].activation});
    second.hidden[0] = truth.hidden[1];
    second.output = truth.output;
    second.constant = truth.constant;
    if (truth.hidden[0].activation != Activation::sigmoid) return second;
    SmoothNetwork::Layer& layer = second.hidden[0];
    for (Index l = 0; l < layer.weights.rows(); ++l) {
      for (Index i = 0; i < layer.weights.cols(); ++i) {
        layer.weights(l, i) /= 2;
        layer.bias(l, 0) += layer.weights(l, i);
      }
    }
    return second;
  }
};
CREASE_ON_EVERY_BACKEND(FirstLayerDirectionsTest);

// Gauss-Newton squares errors of 1e-7; 1e-12 is rounding at points twenty times as large, and the
// directions' condition.
TEST_P(FirstLayerDirectionsTest, ErrorsOfTheFarFieldGo) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::erf}) {
    for (const Index d : {6, 9, 20}) {
      const SmoothNetwork truth = planted_layers(d, 6, 3, g, Activation::tanh, 5);
      SmoothNetwork start = truth;
      HostMatrix& weights = start.hidden[0].weights;
      const HostMatrix errors = normals(6, d, 8);
      for (Index i = 0; i < weights.size(); ++i) weights.data()[i] += 1e-7 * errors.data()[i];
      for (Index i = 0; i < 6; ++i) start.hidden[0].bias(i, 0) += 1e-7;
      const std::unique_ptr<Oracle> oracle = make_network_oracle(truth);
      RunControl control;
      Asker asker(device(), *oracle, control);
      Random random(Seed{1});
      const SmoothNetwork exact =
          with_exact_directions(asker, random, saturated_layer(weights, g), in_signs(truth), start);
      EXPECT_LT(distance(exact.hidden[0].weights, truth.hidden[0].weights), 1e-12);
      EXPECT_LT(distance(exact.hidden[0].bias, truth.hidden[0].bias), 1e-12);
      EXPECT_EQ(asker.asked(), 6 * (3 * (d + 1) / 2 + 8));
    }
  }
}

// A neuron that the second layer does not use has no points that say anything.
TEST_P(FirstLayerDirectionsTest, ANeuronWithoutInfluenceStaysAsItIs) {
  SmoothNetwork truth = planted_layers(5, 5, 2, Activation::tanh, Activation::tanh, 3);
  for (Index l = 0; l < 2; ++l) truth.hidden[1].weights(l, 4) = 0;
  const std::unique_ptr<Oracle> oracle = make_network_oracle(truth);
  RunControl control;
  Asker asker(device(), *oracle, control);
  Random random(Seed{1});
  const SaturatedLayer first = saturated_layer(truth.hidden[0].weights, Activation::tanh);
  const SmoothNetwork same = with_exact_directions(asker, random, first, in_signs(truth), truth);
  EXPECT_LT(distance(same.hidden[0].weights, truth.hidden[0].weights), 1e-12);
}

}  // namespace
}  // namespace crease
