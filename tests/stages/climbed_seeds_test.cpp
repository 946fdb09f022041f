// Seeds that climb towards the neurons that a network lacks.
#include "src/stages/climbed_seeds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"

namespace crease {
namespace {

class ClimbedSeedsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(ClimbedSeedsTest);

/// Values c |<v, x> + e| plus noise of deviation 1, v the first unit vector, at n points.
HostMatrix bent(const HostMatrix& x, double scale, double offset, Random& random) {
  HostMatrix y(x.rows(), 1);
  for (Index i = 0; i < x.rows(); ++i) {
    y(i, 0) = scale * std::abs(x(i, 0) + offset) + random.normals(1)[0];
  }
  return y;
}

TEST_P(ClimbedSeedsTest, ANeuronAsSmallAsTheNoiseIsMetFromAfar) {
  // A product with the noise is off by 1 / sqrt(4000) = .016 times the height of a feature; the
  // neuron's own is its scale times that height: .60, .44, .12 at the offsets below.
  const Index d = 20;
  for (const auto& [scale, offset] : {std::pair{1.0, 0.0}, {1.0, 0.8}, {2.0, -1.9}}) {
    Random random({3});
    const DeviceMatrix x = random.gaussian_points(device(), Stream::rows, 4000, d);
    const DeviceMatrix y = upload(device(), bent(download(device(), x), scale, offset, random));
    const auto affine = solve_scales(device(), {x, y}, Hyperplanes(d, 1));
    ASSERT_TRUE(affine);
    const HostMatrix seeds = climbed_seeds(device(), {x, y}, affine->network, 3, random, 1 << 24);
    ASSERT_GE(seeds.rows(), 1);
    EXPECT_LE(seeds.rows(), 3);
    for (Index i = 0; i < seeds.rows(); ++i) {
      EXPECT_NEAR(dot(seeds.row(i), seeds.row(i), d), 1, 4 * d * kRounding);
    }
    // Within 30 degrees: a random direction in 20 dimensions is, once in 1e7.
    EXPECT_GE(std::abs(seeds(0, 0)), 0.87) << scale << " " << offset;
  }
}

TEST_P(ClimbedSeedsTest, NoTwoAreAlikeAndNoneAreLeftWhereNothingIs) {
  const Index d = 3;
  Random random({2});
  const DeviceMatrix x = random.gaussian_points(device(), Stream::rows, 500, d);
  const DeviceMatrix y = upload(device(), bent(download(device(), x), 10, 0.3, random));
  const auto affine = solve_scales(device(), {x, y}, Hyperplanes(d, 1));
  ASSERT_TRUE(affine);
  const HostMatrix seeds = climbed_seeds(device(), {x, y}, affine->network, 8, random, 1 << 20);
  for (Index i = 0; i < seeds.rows(); ++i) {
    for (Index j = 0; j < i; ++j) {
      double same = 0;
      double opposite = 0;
      for (Index c = 0; c <= d; ++c) {
        same += std::pow(seeds(i, c) - seeds(j, c), 2);
        opposite += std::pow(seeds(i, c) + seeds(j, c), 2);
      }
      EXPECT_GE(std::min(same, opposite), 0.3 * 0.3);
    }
  }
  const DeviceMatrix zero = upload(device(), HostMatrix(500, 1));
  EXPECT_EQ(climbed_seeds(device(), {x, zero}, Hyperplanes(d, 1), 8, random, 1 << 20).rows(), 0);
  EXPECT_EQ(climbed_seeds(device(), {x, y}, Hyperplanes(d, 1), 0, random, 1 << 20).rows(), 0);
}

}  // namespace
}  // namespace crease
