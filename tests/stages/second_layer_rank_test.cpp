// The rank of slopes where some of the first layer's neurons are open and the others saturated.
#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/corners.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class SecondLayerRankTest : public EveryBackend {
 protected:
  struct Counted {
    Index least = 0;
    Index asked = 0;
  };
  Counted counted(const SmoothNetwork& truth, double sigma = 0, std::uint64_t seed = 1) {
    std::unique_ptr<Oracle> oracle = make_network_oracle(truth);
    if (sigma > 0) {
      oracle =
          make_imperfect_oracle(std::move(oracle), {Imperfection::Kind::noise, 0, sigma, Seed{5}});
    }
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{seed});
    const SaturatedLayer first =
        saturated_layer(truth.hidden[0].weights, truth.hidden[0].activation);
    Counted result;
    result.least = least_second_neurons(asker, random, first, sigma);
    result.asked = asker.asked();
    return result;
  }
};
CREASE_ON_EVERY_BACKEND(SecondLayerRankTest);

TEST_P(SecondLayerRankTest, ExactAnswersGiveTheCountWhateverShiftsAndOutputsAre) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::erf}) {
    for (const Activation h : kActivations) {
      for (const Index k : {1, 4, 9}) {
        const SmoothNetwork truth = planted_layers(16, 15, k, g, h, 3);
        const Counted got = counted(truth);
        EXPECT_EQ(got.least, k) << to_string(g) << " " << to_string(h);
        // Ten open neurons; 8, or all of 13 corners.
        EXPECT_EQ(got.asked, 2 * 10 * (k < 6 ? 8 : 13));
      }
    }
  }
}

TEST_P(SecondLayerRankTest, MoreNeuronsThanOpenOnesAreABoundOnly) {
  EXPECT_EQ(counted(planted_layers(15, 15, 13, Activation::tanh, Activation::tanh, 1)).least, 10);
  EXPECT_LE(counted(planted_layers(9, 9, 8, Activation::tanh, Activation::tanh, 1)).least, 6);
}

TEST_P(SecondLayerRankTest, NeuronsOfOneDirectionAreABoundOnly) {
  SmoothNetwork truth = planted_layers(12, 12, 4, Activation::tanh, Activation::tanh, 2);
  HostMatrix& weights = truth.hidden[1].weights;
  std::copy(weights.row(0), weights.row(0) + 12, weights.row(3));
  EXPECT_EQ(counted(truth).least, 3);
}

// Slopes have errors of sigma / (sqrt(2) step); what is counted stands above them.
TEST_P(SecondLayerRankTest, NoiseIsNotCounted) {
  for (const double sigma : {1e-6, 1e-4, 1e-2}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const SmoothNetwork truth =
          planted_layers(15, 15, 4, Activation::tanh, Activation::tanh, seed);
      const Index least = counted(truth, sigma, seed).least;
      EXPECT_LE(least, 4) << sigma << " " << seed;
      EXPECT_GE(least, sigma < 1e-5 ? 2 : 1) << sigma << " " << seed;
    }
  }
}

TEST_P(SecondLayerRankTest, FewSignsSayNothing) {
  for (const Index m : {1, 2}) {
    const Counted got = counted(planted_layers(3, m, 2, Activation::tanh, Activation::tanh, 1));
    EXPECT_EQ(got.least, 1);
    EXPECT_EQ(got.asked, 0);
  }
}

}  // namespace
}  // namespace crease
