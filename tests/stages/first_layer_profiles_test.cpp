// Scales and shifts of a first layer, under a second one that is known.
#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/corners.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class FirstLayerProfilesTest : public EveryBackend {
 protected:
  struct Planted {
    SmoothNetwork second;  // in signs
    SmoothNetwork truth;   // scales in [1/2, 2], shifts in [-2, 2]
    HostMatrix directions;
  };
  static Planted planted(Activation g, Activation h) {
    constexpr Index m = 5, k = 3;
    Planted all{planted_smooth(m, {k}, 1, {h}, 3), SmoothNetwork(m + 1, {m, k}, 1, {g, h}),
                normals(m, m + 1, 8)};
    for (Index i = 0; i < m; ++i) {
      const double scale = std::exp2(-1 + 0.5 * static_cast<double>(i));
      for (Index c = 0; c <= m; ++c) {
        all.truth.hidden[0].weights(i, c) = scale * all.directions(i, c);
      }
      all.truth.hidden[0].bias(i, 0) = static_cast<double>(i) - 2;
    }
    SmoothNetwork::Layer& layer = all.truth.hidden[1];
    layer = all.second.hidden[0];
    if (g == Activation::sigmoid) {  // the signs are 2 g - 1
      for (Index l = 0; l < k; ++l) {
        for (Index i = 0; i < m; ++i) {
          layer.bias(l, 0) -= layer.weights(l, i);
          layer.weights(l, i) *= 2;
        }
      }
    }
    all.truth.output = all.second.output;
    all.truth.constant = all.second.constant;
    return all;
  }
  SmoothNetwork found(const Planted& all, double sigma = 0) {
    const std::unique_ptr<Oracle> oracle = make_imperfect_oracle(
        make_network_oracle(all.truth), {Imperfection::Kind::noise, 0, sigma, Seed{5}});
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{1});
    SmoothNetwork network = with_first_layer(
        asker, random, saturated_layer(all.directions, all.truth.hidden[0].activation), all.second,
        sigma);
    EXPECT_EQ(asker.asked(), 5 * (sigma > 0 ? 8 : 2) * 41);
    EXPECT_EQ(asker.rounds(), 1);
    return network;
  }
};
CREASE_ON_EVERY_BACKEND(FirstLayerProfilesTest);

// The least scale, 1/2, leaves 1 - tanh(10 - 2) ~ 2e-7 of the other neurons unsaturated (erf and
// the sigmoid at twice the reach: the same or less).
TEST_P(FirstLayerProfilesTest, ScalesAndShiftsComeBack) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::erf}) {
    for (const Activation h : {Activation::tanh, Activation::softplus, Activation::sin}) {
      const Planted all = planted(g, h);
      const SmoothNetwork network = found(all);
      const std::string what = to_string(g) + " " + to_string(h);
      EXPECT_LT(distance(network.hidden[0].weights, all.truth.hidden[0].weights), 1e-5) << what;
      EXPECT_LT(distance(network.hidden[0].bias, all.truth.hidden[0].bias), 1e-5) << what;
      EXPECT_LT(distance(network.hidden[1].weights, all.truth.hidden[1].weights), 1e-15) << what;
      EXPECT_LT(distance(network.hidden[1].bias, all.truth.hidden[1].bias), 1e-14) << what;
    }
  }
}

TEST_P(FirstLayerProfilesTest, NoiseIsAveraged) {
  const Planted all = planted(Activation::tanh, Activation::tanh);
  const SmoothNetwork network = found(all, 1e-3);
  EXPECT_LT(distance(network.hidden[0].weights, all.truth.hidden[0].weights), 0.05);
  EXPECT_LT(distance(network.hidden[0].bias, all.truth.hidden[0].bias), 0.05);
}

TEST_P(FirstLayerProfilesTest, OtherShapesAreRefused) {
  const Planted all = planted(Activation::tanh, Activation::tanh);
  const SaturatedLayer first = saturated_layer(all.directions, Activation::tanh);
  const auto refuses = [&](Index inputs, Index outputs, const SmoothNetwork& second) {
    const std::unique_ptr<Oracle> oracle =
        make_host_oracle(inputs, outputs, [](ConstHostView, HostView) {});
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{1});
    EXPECT_THROW(with_first_layer(asker, random, first, second), BadInput);
    EXPECT_EQ(asker.asked(), 0);
  };
  refuses(6, 2, all.second);
  refuses(7, 1, all.second);
  refuses(6, 1, all.truth);
  refuses(6, 1, planted_smooth(4, {3}, 1, {Activation::tanh}, 3));
  refuses(6, 1, planted_smooth(5, {3}, 2, {Activation::tanh}, 3));
}

}  // namespace
}  // namespace crease
