// The fit of weights and output directions to fans, where there is little to fit.
#include "src/stages/gradient_fit.hpp"

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/hypothesis_of.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 6;
constexpr Index kNeurons = 7;
constexpr double kPrior = 0x1p-20;

class GradientFitTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(GradientFitTest);

UnitNetwork unit_network(Index outputs) {
  const ReluNetwork truth = planted_network(kInputs, kNeurons, outputs, 51);
  return UnitNetwork(hypothesis_of(truth, row_of(normals(1, kInputs, 52), 0), 1e-9, 1e-9));
}

TEST_P(GradientFitTest, WithoutFansEverythingIsAsUncertainAsBefore) {
  for (const Index p : {1, 2, 3}) {
    const UnitNetwork network = unit_network(p);
    const GradientFit fit(device(), network, {},
                          std::vector<double>(static_cast<std::size_t>(kNeurons + p), kPrior));
    for (Index i = 0; i < kNeurons; ++i) {
      // p - 1 angles, each with the prior's error; reflected and back, in sums of p terms.
      const double expected = std::sqrt(static_cast<double>(p - 1)) * kPrior / network.size(i);
      const double bound = 16 * static_cast<double>(p * p) * kRounding * expected;
      EXPECT_NEAR(fit.turn_error(i), expected, bound) << "p=" << p << " neuron " << i;
    }
  }
}

TEST_P(GradientFitTest, DirectionsThatDoNotFitIntoMemoryStayAsTheyAre) {
  const UnitNetwork network = unit_network(3);
  const std::vector<double> prior(static_cast<std::size_t>(kNeurons + 3), kPrior);
  const Index needed = 3 * 14 * 14 * 8;  // two turns of seven neurons
  const GradientFit fits(device(), network, {}, prior, needed);
  EXPECT_TRUE(fits.turns());
  const GradientFit does_not(device(), network, {}, prior, needed - 8);
  EXPECT_FALSE(does_not.turns());
  EXPECT_EQ(does_not.turn_error(2), kPrior / network.size(2));
}

TEST_P(GradientFitTest, WithoutFansNothingMoves) {
  for (const Index p : {1, 2, 3}) {
    UnitNetwork network = unit_network(p);
    const HostMatrix before = network.weights;
    GradientFit fit(device(), network, {},
                    std::vector<double>(static_cast<std::size_t>(kNeurons + p), kPrior));

    EXPECT_EQ(fit.sweep(network), 0.0);
    EXPECT_TRUE(same_bits(network.weights, before)) << "p=" << p;
  }
}

}  // namespace
}  // namespace crease
