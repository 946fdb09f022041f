// Weights that were right on a subspace of the inputs become right on all of them.
#include "src/stages/input_lift.hpp"

#include <gtest/gtest.h>

#include "src/small_dense.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

constexpr double kTilt = 1e-6;  // of the weights, out of the subspace; squares of it are left

class InputLiftTest : public EveryBackend {
 protected:
  struct Case {
    SmoothNetwork truth;
    SmoothNetwork tilted;  // right where x lies in the span of the basis
    HostMatrix basis;
  };

  static Case tilted_case(Index d, Index subspace, const std::vector<Index>& neurons,
                          const std::vector<Activation>& activations, bool linear = false) {
    Case made;
    made.truth = planted_smooth(d, neurons, 1, activations, 3);
    made.basis = HostMatrix(svd(normals(subspace, d, 71)).right);
    if (linear) {
      for (Index j = 0; j < d; ++j) made.truth.linear(0, j) = 0.1 * static_cast<double>(j);
    }
    made.tilted = made.truth;
    tilt(made.tilted.hidden[0].weights, made.basis, 5);
    if (linear) tilt(made.tilted.linear, made.basis, 6);
    return made;
  }

  SmoothNetwork lifted(const Case& made, bool linear, double rows = 2) {
    const auto oracle = make_network_oracle(made.truth);
    Asker asker(device(), *oracle, control_);
    asker.enter("polish");
    Random random(Seed{4});
    const SmoothNetwork result =
        lift_to_inputs(asker, random, made.basis, made.tilted, linear, rows);
    asked_ = asker.asked();
    return result;
  }

  RunControl control_;
  Index asked_ = 0;

 private:
  /// rows += kTilt times normals, less what lies in the span.
  static void tilt(HostMatrix& rows, const HostMatrix& basis, std::uint64_t seed) {
    const HostMatrix errors = normals(rows.rows(), rows.cols(), seed);
    for (Index i = 0; i < rows.rows(); ++i) {
      std::vector<double> error(errors.row(i), errors.row(i) + rows.cols());
      for (Index b = 0; b < basis.rows(); ++b) {
        double along = 0;
        for (Index j = 0; j < rows.cols(); ++j) along += errors(i, j) * basis(b, j);
        for (Index j = 0; j < rows.cols(); ++j) {
          error[static_cast<std::size_t>(j)] -= along * basis(b, j);
        }
      }
      for (Index j = 0; j < rows.cols(); ++j) {
        rows(i, j) += kTilt * error[static_cast<std::size_t>(j)];
      }
    }
  }
};
CREASE_ON_EVERY_BACKEND(InputLiftTest);

// What is left is the square of the tilt, 1e-12, and rounding.
TEST_P(InputLiftTest, OneLayerOfEveryActivation) {
  for (const Activation g : kActivations) {
    const bool linear = g == Activation::softplus || g == Activation::gelu;
    const Case made = tilted_case(12, 4, {4}, {g}, linear);
    ASSERT_GT(distance(made.tilted.hidden[0].weights, made.truth.hidden[0].weights), kTilt);
    const SmoothNetwork network = lifted(made, linear);
    EXPECT_LT(distance(network.hidden[0].weights, made.truth.hidden[0].weights), 3e-10)
        << to_string(g);
    EXPECT_LT(distance(network.linear, made.truth.linear), 3e-10) << to_string(g);
    EXPECT_TRUE(same_bits(network.hidden[0].bias, made.truth.hidden[0].bias));
    EXPECT_EQ(asked_, 12 * lift_rows(made.truth, linear, 2));
  }
}

TEST_P(InputLiftTest, TwoLayers) {
  const Case made = tilted_case(20, 6, {5, 3}, {Activation::tanh, Activation::sigmoid});
  const SmoothNetwork network = lifted(made, false);
  EXPECT_LT(distance(network.hidden[0].weights, made.truth.hidden[0].weights), 3e-10);
  EXPECT_TRUE(same_bits(network.hidden[1].weights, made.truth.hidden[1].weights));
}

TEST_P(InputLiftTest, BlocksOfInputsMakeNoDifference) {
  const Case made = tilted_case(30, 3, {3}, {Activation::tanh});
  const SmoothNetwork whole = lifted(made, false);
  const Index asked = asked_;
  control_.budget.device_bytes = 1 << 14;
  const SmoothNetwork in_blocks = lifted(made, false);
  EXPECT_EQ(asked_, asked);
  EXPECT_LT(distance(in_blocks.hidden[0].weights, whole.hidden[0].weights), 1e-14);
}

// Whatever is added to such an input shows the same slopes: each of its rows must be another
// center.
TEST_P(InputLiftTest, AnInputWithoutWeightsIsLiftedAsWell) {
  Case made = tilted_case(12, 4, {4}, {Activation::tanh});
  for (Index b = 0; b < made.basis.rows(); ++b) made.basis(b, 7) = 0;
  made.basis = HostMatrix(svd(made.basis).right);
  for (Index i = 0; i < 4; ++i) made.truth.hidden[0].weights(i, 7) = 0;
  made.tilted = made.truth;
  for (Index i = 0; i < 4; ++i) made.tilted.hidden[0].weights(i, 7) = kTilt;
  const SmoothNetwork network = lifted(made, false, 1.5);
  EXPECT_LT(distance(network.hidden[0].weights, made.truth.hidden[0].weights), 3e-10);
}

// A neuron that is flat wherever it is looked at has no slopes, and keeps its weights.
TEST_P(InputLiftTest, ASaturatedNeuronKeepsItsWeights) {
  Case made = tilted_case(12, 4, {4}, {Activation::tanh});
  made.truth.hidden[0].bias(2, 0) = 100;
  made.tilted.hidden[0].bias(2, 0) = 100;
  const SmoothNetwork network = lifted(made, false);
  for (Index j = 0; j < 12; ++j) {
    EXPECT_EQ(network.hidden[0].weights(2, j), made.tilted.hidden[0].weights(2, j));
    EXPECT_NEAR(network.hidden[0].weights(1, j), made.truth.hidden[0].weights(1, j), 1e-9);
  }
}

TEST_P(InputLiftTest, WhatDoesNotFitIsRefused) {
  const Case made = tilted_case(12, 4, {4}, {Activation::tanh});
  Case narrow = made;
  narrow.basis = HostMatrix(2, 11);
  EXPECT_THROW(lifted(narrow, false), BadInput);
  EXPECT_THROW(lifted(made, false, 0.5), BadInput);
  Case two = made;
  two.truth = planted_smooth(12, {4}, 2, {Activation::tanh}, 3);
  EXPECT_THROW(lifted(two, false), BadInput);
}

}  // namespace
}  // namespace crease
