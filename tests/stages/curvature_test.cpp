// Smooth or piecewise linear: told apart by second differences, exact answers or not.
#include "src/stages/curvature.hpp"

#include <gtest/gtest.h>

#include "tests/support/devices.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

class CurvatureTest : public EveryBackend {
 protected:
  Bending probed(Oracle& oracle, double sigma, std::uint64_t seed, double size = 1) {
    Asker asker(device(), oracle, control_);
    Random random(Seed{seed});
    const Bending bending = probe_curvature(asker, random, {.sigma = sigma, .size = size});
    EXPECT_EQ(asker.asked(), kCurvatureQueries);
    EXPECT_EQ(asker.rounds(), 1);
    return bending;
  }
  RunControl control_;
};
CREASE_ON_EVERY_BACKEND(CurvatureTest);

TEST_P(CurvatureTest, SmoothNetworksBendSmoothly) {
  for (const Activation g : kActivations) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const auto one = make_network_oracle(planted_smooth(6, {8}, 1, {g}, seed));
      const auto two = make_network_oracle(planted_smooth(6, {8, 3}, 1, {g, g}, seed));
      EXPECT_EQ(probed(*one, 0, seed), Bending::smooth) << to_string(g);
      EXPECT_EQ(probed(*two, 0, seed), Bending::smooth) << to_string(g);
    }
  }
}

TEST_P(CurvatureTest, ReluNetworksBendNowhere) {
  for (const Index k : {0, 1, 30}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const auto oracle = make_network_oracle(planted_network(6, k, 1, seed));
      EXPECT_EQ(probed(*oracle, 0, seed, 10), Bending::nowhere) << k;
    }
  }
}

// A thousand kinks: some are nearer than a step of 1e-3, and what they do differs between steps.
TEST_P(CurvatureTest, KinksWithinTheStepAreNoSmoothness) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto oracle = make_network_oracle(planted_network(6, 1000, 1, seed));
    EXPECT_NE(probed(*oracle, 0, seed, 100), Bending::smooth);
  }
}

TEST_P(CurvatureTest, NoiseIsNoCurvature) {
  Imperfection noise;
  noise.kind = Imperfection::Kind::noise;
  noise.deviation = 1e-6;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto noisy = [&](auto network) {
      return make_imperfect_oracle(make_network_oracle(std::move(network)), noise);
    };
    const auto affine = noisy(planted_network(6, 0, 1, seed));
    const auto relu = noisy(planted_network(6, 8, 1, seed));
    const auto smooth = noisy(planted_smooth(6, {8}, 1, {Activation::tanh}, seed));
    EXPECT_EQ(probed(*affine, noise.deviation, seed), Bending::nowhere);
    EXPECT_NE(probed(*relu, noise.deviation, seed), Bending::smooth);
    EXPECT_EQ(probed(*smooth, noise.deviation, seed), Bending::smooth);
  }
}

TEST_P(CurvatureTest, AnOutputThatIsNotThereIsRefused) {
  const auto oracle = make_network_oracle(planted_network(2, 1, 1, 1));
  Asker asker(device(), *oracle, control_);
  Random random(Seed{1});
  EXPECT_THROW(probe_curvature(asker, random, {.output = 1}), BadInput);
}

}  // namespace
}  // namespace crease
