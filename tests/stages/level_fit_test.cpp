// Biases from single points.
#include "src/stages/level_fit.hpp"

#include <cmath>
#include <limits>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/hypothesis_of.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"
#include "tests/support/searched.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 8;
constexpr Index kNeurons = 5;

class LevelFitTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(LevelFitTest);

/// Weights are exact, biases off by 1e-9; points on both sides of every hyperplane near the origin
/// say what they are up to the noise of an answer, u rho: rounding of F and F' at these points is
/// within 4 (d + k) of it, and a bias is the difference of a few.
TEST_P(LevelFitTest, PointsBesideTheHyperplanesMakeBiasesExact) {
  for (const Index p : {1, 3}) {
    const ReluNetwork truth = planted_network(kInputs, kNeurons, p, 81);
    const std::vector<double> base = row_of(normals(1, kInputs, 82), 0);
    Hypothesis rough = hypothesis_of(truth, base, 1e-9, 1e-9);
    const UnitNetwork exact(rough);
    for (double& bias : rough.bias) bias += 1e-9;
    UnitNetwork network(rough);
    const NoiseModel noise = relative_noise(kRounding, p);
    const HostMatrix weights_exact(kNeurons + p, kNeurons + p);
    const std::vector<double> prior(static_cast<std::size_t>(kNeurons + p), 1e-7);
    std::vector<double> wanted(prior.size(), 1e-13);
    std::fill(wanted.begin() + kNeurons, wanted.end(), std::numeric_limits<double>::infinity());
    const HostMatrix nothing_x(0, kInputs);
    const HostMatrix nothing_y(0, p);
    LevelFit before(device(), network, rough, noise, weights_exact, prior, nothing_x, nothing_y);
    Random random{Seed{4}};

    LevelPairs pairs = choose_levels(device(), random, rough, network, noise, weights_exact,
                                     before.covariance(), wanted, 2 * kNeurons);
    pairs.y = exact_values(truth, pairs.x);
    LevelFit fit(device(), network, rough, noise, weights_exact, prior, nothing_x, nothing_y,
                 pairs);
    for (int sweep = 0; sweep < 3; ++sweep) fit.sweep(network);

    EXPECT_LE(static_cast<Index>(pairs.neuron.size()), 2 * kNeurons);
    EXPECT_EQ(fit.pairs().neuron, pairs.neuron);
    for (Index j = 0; j < kNeurons; ++j) {
      const auto jj = static_cast<std::size_t>(j);
      EXPECT_TRUE(at_most(std::sqrt(fit.covariance()(j, j)), 1e-13));
      EXPECT_TRUE(at_most(std::abs(network.bias[jj] - exact.bias[jj]),
                          4 * (kInputs + kNeurons) * std::sqrt(fit.covariance()(j, j))))
          << "neuron " << j << " p=" << p;
    }
  }
}

/// An error e of weights moves the bias by <e, y>, whatever the noise: taken apart by brute force.
TEST_P(LevelFitTest, TheLeverIsWhatAnErrorOfTheWeightsDoes) {
  const ReluNetwork truth = planted_network(kInputs, kNeurons, 1, 83);
  const std::vector<double> base = row_of(normals(1, kInputs, 84), 0);
  const Hypothesis exact = hypothesis_of(truth, base, 1e-9, 1e-9);
  const HostMatrix x = normals(200, kInputs, 85);
  const HostMatrix y = exact_values(truth, x);
  const HostMatrix weights_exact(kNeurons + 1, kNeurons + 1);
  const std::vector<double> prior(static_cast<std::size_t>(kNeurons + 1), 1.0);
  const double by = 0x1p-20;
  std::vector<double> squares(static_cast<std::size_t>(kNeurons), 0.0);
  std::vector<double> lever;
  for (Index c = 0; c < kInputs; ++c) {
    for (Index j = 0; j < kNeurons; ++j) {
      UnitNetwork network(exact);
      const double bias = network.bias[static_cast<std::size_t>(j)];
      LevelFit fit(device(), network, exact, relative_noise(1e-3, 1), weights_exact, prior, x, y);
      lever = fit.lever();
      network.weights(j, c) += by;
      fit.sweep(network);
      const double moved = (network.bias[static_cast<std::size_t>(j)] - bias) / by;
      squares[static_cast<std::size_t>(j)] += moved * moved;
    }
  }

  for (std::size_t j = 0; j < squares.size(); ++j) {
    // A point whose side of the plane changes is off by `by` |x| of what it is: a share of 2^-20.
    EXPECT_NEAR(std::sqrt(squares[j]), lever[j], 0x1p-10 * (1 + lever[j])) << j;
  }
}

TEST_P(LevelFitTest, PointsTooNearAHyperplaneAreLeftOut) {
  const ReluNetwork truth = planted_network(kInputs, kNeurons, 1, 86);
  const Hypothesis vague = hypothesis_of(truth, std::vector<double>(kInputs, 0.0), 1, 100);
  const HostMatrix x = normals(20, kInputs, 87);
  const HostMatrix weights_exact(kNeurons + 1, kNeurons + 1);

  const LevelFit fit(device(), UnitNetwork(vague), vague, relative_noise(kRounding, 1),
                     weights_exact, std::vector<double>(kNeurons + 1, 1.0), x,
                     exact_values(truth, x));

  EXPECT_EQ(fit.points(), 0);
}

}  // namespace
}  // namespace crease
