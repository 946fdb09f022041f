// Outputs, scales and shifts of one hidden layer whose directions are known.
#include "src/stages/saturated_profiles.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

constexpr Activation kSaturating[] = {Activation::tanh, Activation::sigmoid, Activation::erf};

struct Planted {
  SmoothNetwork truth;
  HostMatrix directions;  // unit rows
};

/// Neuron i has the scale first_scale 4^i and the shift i - 2; outputs +-[1, 2].
Planted planted(Activation g, double first_scale, Index m = 5) {
  Planted all{SmoothNetwork(m + 1, {m}, 1, {g}), normals(m, m + 1, 8)};
  for (Index i = 0; i < m; ++i) {
    double* row = all.directions.row(i);
    const std::vector<double> unit = unit_vector({row, row + m + 1});
    std::copy(unit.begin(), unit.end(), row);
    const double scale = first_scale * std::exp2(2 * static_cast<double>(i));
    for (Index c = 0; c <= m; ++c) all.truth.hidden[0].weights(i, c) = scale * row[c];
    all.truth.hidden[0].bias(i, 0) = static_cast<double>(i) - 2;
    all.truth.output(0, i) =
        (i % 2 == 0 ? 1 : -1) * (1 + static_cast<double>(i) / static_cast<double>(m));
  }
  all.truth.constant(0, 0) = 0.7;
  return all;
}

class SaturatedProfilesTest : public EveryBackend {
 protected:
  struct Found {
    LinearCorners corners;
    std::optional<SmoothNetwork> network;
    Index corner_queries = 0;
    Index queries = 0;
  };
  Found found(const HostMatrix& directions, Activation g, const SmoothNetwork& truth,
              double sigma = 0, Index pairs = 2) {
    const std::unique_ptr<Oracle> oracle = make_imperfect_oracle(
        make_network_oracle(truth), {Imperfection::Kind::noise, 0, sigma, Seed{5}});
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{1});
    SaturatedLayer first = saturated_layer(directions, g);
    first.reach = saturating_reach(asker, random, first, sigma);
    const Index before = asker.asked();
    Found all;
    all.corners = linear_corners(asker, random, first);
    all.corner_queries = asker.asked() - before;
    all.network = saturated_profiles(asker, random, first, all.corners, pairs);
    all.queries = asker.asked() - before - all.corner_queries;
    return all;
  }
};
CREASE_ON_EVERY_BACKEND(SaturatedProfilesTest);

// Scales from 1/8 to 32 and shifts from -2 to 2 at once: 48 bits less rounding of answers of size 9
// and what is not quite saturated, 1e-10 of their deviation.
TEST_P(SaturatedProfilesTest, OutputsScalesAndShiftsComeBackWhateverTheirSize) {
  for (const Activation g : kSaturating) {
    const Planted all = planted(g, 0.125);
    const Found result = found(all.directions, g, all.truth);
    ASSERT_TRUE(result.network) << to_string(g);
    EXPECT_EQ(result.corner_queries, 5 + 33);
    EXPECT_LT(result.corners.residual, 1e-9) << to_string(g);
    EXPECT_LT(result.queries, 5 * 24) << to_string(g);
    for (Index i = 0; i < 5; ++i) {
      EXPECT_NEAR(result.network->output(0, i), all.truth.output(0, i), 1e-8) << to_string(g);
      EXPECT_NEAR(result.network->hidden[0].bias(i, 0), all.truth.hidden[0].bias(i, 0), 1e-7);
      for (Index c = 0; c < 6; ++c) {
        const double weight = all.truth.hidden[0].weights(i, c);
        EXPECT_NEAR(result.network->hidden[0].weights(i, c), weight,
                    1e-7 * std::exp2(2.0 * static_cast<double>(i)))
            << to_string(g) << " " << i;
      }
    }
    EXPECT_NEAR(result.network->constant(0, 0), 0.7, 1e-7) << to_string(g);
  }
}

// What a second layer of unit weights bends is of the order of its third derivative.
TEST_P(SaturatedProfilesTest, ASecondLayerIsSeenAtTheCorners) {
  const SmoothNetwork truth = planted_smooth(5, {5, 3}, 1, {Activation::tanh, Activation::tanh}, 3);
  const Found result = found(truth.hidden[0].weights, Activation::tanh, truth);
  EXPECT_GT(result.corners.residual, 1e-3);
}

// An argument is off by sigma / (output slope), at most .0033 here, of 24 the mean by .001.
TEST_P(SaturatedProfilesTest, NoiseIsAveraged) {
  const Planted all = planted(Activation::tanh, 0.5, 3);
  const Found result = found(all.directions, Activation::tanh, all.truth, 1e-3, 12);
  ASSERT_TRUE(result.network);
  EXPECT_LT(result.corners.residual, 2e-3);
  EXPECT_GT(result.corners.residual, 5e-4);
  for (Index i = 0; i < 3; ++i) {
    EXPECT_NEAR(result.network->hidden[0].bias(i, 0), all.truth.hidden[0].bias(i, 0), 0.01);
    EXPECT_NEAR(result.network->output(0, i), all.truth.output(0, i), 2e-3);
  }
}

// Others' signs s add reach <error, sum s_j dual_j> to the argument, -s the opposite: what is left
// is second order, and of rounding of the scale.
TEST_P(SaturatedProfilesTest, WrongDirectionsDoNotMoveTheShifts) {
  const Planted all = planted(Activation::tanh, 1, 3);
  HostMatrix wrong = all.directions;
  const HostMatrix errors = normals(3, 4, 21);
  for (Index i = 0; i < wrong.size(); ++i) wrong.data()[i] += 1e-3 * errors.data()[i];
  const Found mirrored = found(wrong, Activation::tanh, all.truth);
  const Found alone = found(wrong, Activation::tanh, all.truth, 0, 0);
  ASSERT_TRUE(mirrored.network && alone.network);
  double worst = 0, worst_alone = 0;
  for (Index i = 0; i < 2; ++i) {
    const double shift = all.truth.hidden[0].bias(i, 0);
    worst = std::max(worst, std::fabs(mirrored.network->hidden[0].bias(i, 0) - shift));
    worst_alone = std::max(worst_alone, std::fabs(alone.network->hidden[0].bias(i, 0) - shift));
  }
  EXPECT_LT(worst, 0.2 * worst_alone);
  EXPECT_GT(worst_alone, 1e-3);
}

TEST_P(SaturatedProfilesTest, AStepHasNoProfileAndTheSearchEnds) {
  const auto oracle = make_host_oracle(2, 1, [](ConstHostView x, HostView y) {
    for (Index i = 0; i < y.rows; ++i) y(i, 0) = (x(i, 0) > 0.1 ? 1 : -1) + (x(i, 1) > 0 ? 2 : -2);
  });
  RunControl control;
  Asker asker(device(), *oracle, control);
  Random random(Seed{1});
  HostMatrix directions(2, 2);
  directions(0, 0) = directions(1, 1) = 1;
  const SaturatedLayer first = saturated_layer(directions, Activation::tanh);
  const LinearCorners corners = linear_corners(asker, random, first);
  EXPECT_LT(corners.residual, 1e-12);
  EXPECT_FALSE(saturated_profiles(asker, random, first, corners));
  EXPECT_LT(asker.asked(), 35 + 2 * 100);
}

TEST_P(SaturatedProfilesTest, OtherShapesAreRefused) {
  const Planted all = planted(Activation::tanh, 1);
  const SaturatedLayer first = saturated_layer(all.directions, Activation::tanh);
  const auto refuses = [&](Index inputs, Index outputs, std::size_t neurons, Index pairs) {
    const auto oracle = make_host_oracle(inputs, outputs, [](ConstHostView, HostView) {});
    RunControl control;
    Asker asker(device(), *oracle, control);
    Random random(Seed{1});
    LinearCorners corners;
    corners.outputs.assign(neurons, 1.0);
    EXPECT_THROW(saturated_profiles(asker, random, first, corners, pairs), BadInput);
    if (inputs != 6 || outputs != 1) {
      EXPECT_THROW(linear_corners(asker, random, first), BadInput);
    }
    EXPECT_EQ(asker.asked(), 0);
  };
  refuses(6, 2, 5, 2);
  refuses(7, 1, 5, 2);
  refuses(6, 1, 4, 2);
  refuses(6, 1, 5, -1);
}

}  // namespace
}  // namespace crease
