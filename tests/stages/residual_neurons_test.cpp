// What a network lacks is found in its residual.
#include "src/stages/residual_neurons.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class ResidualNeuronsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(ResidualNeuronsTest);

TEST_P(ResidualNeuronsTest, EveryMissingNeuronIsFound) {
  const Index d = 24;
  const Index n = 8000;
  for (const Index p : {1, 2}) {
    const ReluNetwork truth = planted_network(d, 12, p, 3);
    const Hyperplanes whole = hyperplanes_of(truth);
    // Those that bend F where the points are.
    std::vector<Index> order(12);
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(), [&](Index a, Index b) {
      return std::abs(whole.planes(a, d)) < std::abs(whole.planes(b, d));
    });
    std::vector<bool> marked(12, false);
    for (int i = 0; i < 2; ++i) marked[static_cast<std::size_t>(order[i])] = true;
    const HostMatrix points = normals(n, d, 5);
    const DeviceMatrix x = upload(device(), points);
    const DeviceMatrix y = upload(device(), exact_values(truth, points));
    Random random(Seed{4});
    ResidualNeuronsPlan plan;
    plan.most_bytes = 1 << 22;

    const HostMatrix found =
        residual_neurons(device(), {x, y}, whole.without(marked), 3, random, plan);

    ASSERT_EQ(found.rows(), 3);
    for (int i = 0; i < 2; ++i) {
      double best = 0;
      for (Index r = 0; r < 3; ++r) {
        EXPECT_NEAR(dot(found.row(r), found.row(r), d), 1, 4 * d * kRounding);
        best = std::max(best, std::abs(dot(found.row(r), whole.planes.row(order[i]), d)));
      }
      // One of three random directions in R^24 comes as near as this once in 1e7.
      EXPECT_GE(best, 0.85) << "p=" << p;
    }
  }
}

TEST_P(ResidualNeuronsTest, TheyAreHyperplanesAlsoWhereNothingIsLeft) {
  const Index d = 10;
  const DeviceMatrix x = upload(device(), normals(100, d, 5));
  const DeviceMatrix y = upload(device(), HostMatrix(100, 2));
  Random random(Seed{4});
  const HostMatrix found = residual_neurons(device(), {x, y}, Hyperplanes(d, 2), 2, random);
  ASSERT_EQ(found.rows(), 2);
  for (Index i = 0; i < 2; ++i) {
    EXPECT_NEAR(dot(found.row(i), found.row(i), d), 1, 4 * d * kRounding);
  }
  EXPECT_EQ(residual_neurons(device(), {x, y}, Hyperplanes(d, 2), 0, random).rows(), 0);
}

}  // namespace
}  // namespace crease
