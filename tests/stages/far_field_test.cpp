// Directions of planted networks from far out, and measured again near the origin.
#include "src/stages/far_field.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

/// Weights of unit length in both layers, first biases normals of size `shift`, outputs 1.
SmoothNetwork planted(Index d, Index m0, Index m1, Activation g, std::uint64_t seed,
                      double shift = 0.3) {
  SmoothNetwork network = planted_smooth(d, {m0, m1}, 1, {g, Activation::tanh}, seed);
  for (SmoothNetwork::Layer& layer : network.hidden) {
    for (Index i = 0; i < layer.weights.rows(); ++i) {
      double* row = layer.weights.row(i);
      const double norm = std::sqrt(dot(row, row, layer.weights.cols()));
      for (Index j = 0; j < layer.weights.cols(); ++j) row[j] /= norm;
    }
  }
  network.hidden[0].bias = normals(m0, 1, seed + 50);
  for (Index i = 0; i < m0; ++i) network.hidden[0].bias(i, 0) *= shift;
  network.output = HostMatrix(1, m1, 1.0);
  return network;
}

/// Largest distance of a found direction from the nearest neuron's, up to sign; 2 where two found
/// ones have the same nearest.
double worst(const HostMatrix& found, const SmoothNetwork& truth) {
  const HostMatrix& weights = truth.hidden[0].weights;
  std::vector<Index> met(static_cast<std::size_t>(weights.rows()));
  double largest = 0;
  for (Index r = 0; r < found.rows(); ++r) {
    double nearest = 2;
    Index which = 0;
    for (Index i = 0; i < weights.rows(); ++i) {
      const double norm = std::sqrt(dot(weights.row(i), weights.row(i), weights.cols()));
      for (const double sign : {1.0, -1.0}) {
        double square = 0;
        for (Index j = 0; j < found.cols(); ++j) {
          square += std::pow(found(r, j) - sign * weights(i, j) / norm, 2);
        }
        if (std::sqrt(square) < nearest) {
          nearest = std::sqrt(square);
          which = i;
        }
      }
    }
    largest = std::max(largest, ++met[static_cast<std::size_t>(which)] > 1 ? 2.0 : nearest);
  }
  return largest;
}

class FarFieldTest : public EveryBackend {
 protected:
  FarField found(std::unique_ptr<Oracle> oracle, const HostMatrix& basis, Index wanted,
                 const FarFieldPlan& plan = {}) {
    Asker asker(device(), *oracle, control_);
    asker.enter("far field");
    Random random(Seed{3});
    FarField field = far_field(asker, random, basis, wanted, plan);
    asked_ = asker.asked();
    return field;
  }
  /// Of a network of which all inputs matter.
  FarField found(const SmoothNetwork& truth, const FarFieldPlan& plan = {},
                 const Imperfection& imperfection = {}) {
    return found(make_imperfect_oracle(make_network_oracle(truth), imperfection),
                 identity(truth.inputs()), truth.neurons(0), plan);
  }
  RunControl control_;
  Index asked_ = 0;
};
CREASE_ON_EVERY_BACKEND(FarFieldTest);

// |x| is up to 1e5 m sqrt(D) = 3e6, its rounding 3e-10, over secants of 30: 1e-11 and a little.
TEST_P(FarFieldTest, AllDirectionsOfEveryStepLikeActivationToRounding) {
  for (const Activation g : {Activation::tanh, Activation::sigmoid, Activation::erf}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      const SmoothNetwork truth = planted(10, 10, 3, g, seed, seed == 3 ? 1 : 0.05);
      const FarField field = found(truth);
      EXPECT_EQ(field.directions.rows(), 10) << to_string(g) << seed;
      EXPECT_LT(worst(field.directions, truth), 1e-9) << to_string(g) << seed;
      EXPECT_LT(asked_, 10 * (3 * 10 + 100));
    }
  }
}

TEST_P(FarFieldTest, DirectionsLieInTheSpanOfFewerDimensionsThanInputs) {
  const SmoothNetwork truth = planted(20, 15, 5, Activation::tanh, 1);
  const HostMatrix basis = svd(truth.hidden[0].weights).right;
  const FarField field = found(make_network_oracle(truth), basis, 15);
  ASSERT_EQ(field.directions.rows(), 15);
  EXPECT_LT(worst(field.directions, truth), 1e-9);
  for (Index i = 0; i < 15; ++i) {
    double in_basis = 0;
    for (Index k = 0; k < 15; ++k) {
      in_basis += std::pow(dot(basis.row(k), field.directions.row(i), 20), 2);
    }
    EXPECT_NEAR(in_basis, 1, 1e-13);
  }
}

TEST_P(FarFieldTest, OneNeuronOfOneInput) {
  SmoothNetwork truth(1, {1}, 1, {Activation::tanh});
  truth.hidden[0].weights(0, 0) = -2;
  truth.output(0, 0) = 1;
  for (const double sigma : {0.0, 1e-6}) {
    FarFieldPlan plan;
    plan.sigma = sigma;
    const FarField field = found(truth, plan);
    ASSERT_EQ(field.directions.rows(), 1);
    EXPECT_EQ(std::fabs(field.directions(0, 0)), 1);
  }
}

TEST_P(FarFieldTest, WeightsOfVeryDifferentLengths) {
  SmoothNetwork truth = planted(6, 6, 3, Activation::tanh, 1);
  for (Index i = 0; i < 6; ++i) {
    for (Index j = 0; j < 6; ++j) {
      truth.hidden[0].weights(i, j) *= std::pow(2.0, static_cast<double>(2 * i) - 3);  // to 128
    }
  }
  const FarField field = found(truth);
  EXPECT_EQ(field.directions.rows(), 6);
  EXPECT_LT(worst(field.directions, truth), 1e-8);  // the longest bend within the gradient's step
}

TEST_P(FarFieldTest, ANeuronWhoseStepIsTiny) {
  SmoothNetwork truth = planted(6, 6, 3, Activation::tanh, 1);
  for (Index l = 0; l < 3; ++l) truth.hidden[1].weights(l, 2) *= 1e-5;
  const FarField field = found(truth);
  EXPECT_EQ(field.directions.rows(), 6);
  EXPECT_LT(worst(field.directions, truth), 1e-9);
  // Noise of its size leaves the others.
  FarFieldPlan plan;
  plan.sigma = 1e-5;
  Imperfection noise;
  noise.kind = Imperfection::Kind::noise;
  noise.deviation = plan.sigma;
  const FarField noisy = found(truth, plan, noise);
  EXPECT_EQ(noisy.directions.rows(), 5);
  EXPECT_LT(worst(noisy.directions, truth), 1e-5);
}

// Steps of equal size cancel in cells that hold two of them.
TEST_P(FarFieldTest, StepsThatAreAllOfOneSize) {
  SmoothNetwork truth(8, {8}, 1, {Activation::tanh});
  truth.hidden[0].weights = planted(8, 8, 1, Activation::tanh, 4).hidden[0].weights;
  truth.output = HostMatrix(1, 8, 1.0);
  const FarField field = found(truth);
  EXPECT_EQ(field.directions.rows(), 8);
  EXPECT_LT(worst(field.directions, truth), 1e-9);
}

// Crossings to .005 and the noise's part, over secants of 6000 sqrt(D): 3e-6 at the most where
// steps are of 24 deviations.
TEST_P(FarFieldTest, NoisyAnswersGiveDirectionsBySecants) {
  const SmoothNetwork truth = planted(10, 10, 3, Activation::tanh, 1);
  Imperfection noise;
  noise.kind = Imperfection::Kind::noise;
  FarFieldPlan plan;
  for (const double sigma : {1e-6, 1e-3}) {
    plan.sigma = noise.deviation = sigma;
    const FarField field = found(truth, plan, noise);
    EXPECT_EQ(field.directions.rows(), 10);
    EXPECT_LT(worst(field.directions, truth), sigma == 1e-6 ? 2e-6 : 2e-5);
    EXPECT_GT(worst(field.directions, truth), 1e-9);
    EXPECT_LT(asked_, 10 * (50 * 10 + 200));
  }
}

// Crossings to .025 and the noise's part over secants of 400 sqrt(D).
TEST_P(FarFieldTest, CrudeDirectionsCostAThirdLess) {
  const SmoothNetwork truth = planted(10, 10, 3, Activation::tanh, 1);
  Imperfection noise;
  noise.kind = Imperfection::Kind::noise;
  FarFieldPlan plan;
  plan.sigma = noise.deviation = 1e-4;
  found(truth, plan, noise);
  const Index fine = asked_;
  plan.crude = true;
  const FarField field = found(truth, plan, noise);
  EXPECT_EQ(field.directions.rows(), 10);
  EXPECT_LT(worst(field.directions, truth), 2e-4);
  EXPECT_LT(asked_, 0.75 * static_cast<double>(fine));
}

// A line meets every one of 15 hyperplanes in 10 dimensions, and the few that it meets beyond its
// ends are not enough to hide five.
TEST_P(FarFieldTest, ALineTellsMoreNeuronsThanDimensions) {
  for (const double sigma : {0.0, 1e-5}) {
    Imperfection noise;
    noise.kind = Imperfection::Kind::noise;
    FarFieldPlan plan;
    plan.sigma = noise.deviation = sigma;
    plan.most_steps = 10;
    const auto field_of = [&](Index m) {
      const SmoothNetwork truth = planted(10, m, 3, Activation::tanh, 5);
      return found(make_imperfect_oracle(make_network_oracle(truth), noise), identity(10), 10,
                   plan);
    };
    const FarField few = field_of(10);
    EXPECT_FALSE(few.too_many);
    EXPECT_EQ(few.directions.rows(), 10);
    const FarField many = field_of(15);
    EXPECT_TRUE(many.too_many);
    EXPECT_EQ(many.directions.rows(), 0);
    EXPECT_GE(many.most_steps, 14);
    EXPECT_LE(many.most_steps, 15);
    EXPECT_LT(asked_, 15 * 40);
  }
}

TEST_P(FarFieldTest, RoundedAnswersGiveDirectionsBySecants) {
  const SmoothNetwork truth = planted(8, 8, 3, Activation::sigmoid, 1);
  Imperfection rounding;
  FarFieldPlan plan;
  rounding.kind = Imperfection::Kind::float32;
  plan.sigma = 1e-7;
  FarField field = found(truth, plan, rounding);
  EXPECT_EQ(field.directions.rows(), 8);
  EXPECT_LT(worst(field.directions, truth), 2e-6);
  rounding.kind = Imperfection::Kind::decimals;
  rounding.decimals = 3;
  plan.sigma = 1e-3 / std::sqrt(12);
  field = found(truth, plan, rounding);
  EXPECT_EQ(field.directions.rows(), 8);
  EXPECT_LT(worst(field.directions, truth), 5e-6);
}

TEST_P(FarFieldTest, FunctionsWithoutStepsGiveNothingAndEnd) {
  const auto affine = [](double slope) {
    return make_host_oracle(5, 1, [slope](ConstHostView x, HostView y) {
      for (Index i = 0; i < x.rows; ++i) y(i, 0) = 2 + slope * (x(i, 0) - 3 * x(i, 4));
    });
  };
  for (const double sigma : {0.0, 1e-4}) {
    FarFieldPlan plan;
    plan.sigma = sigma;
    for (const double slope : {0.0, 1.0}) {
      const FarField field = found(affine(slope), identity(5), 5, plan);
      EXPECT_EQ(field.directions.rows(), 0);
      EXPECT_EQ(field.directions.cols(), 5);
      EXPECT_EQ(field.rounds, plan.most_stale);
      EXPECT_LE(asked_, slope == 0 ? 15 * 25 : 15 * 1000);
    }
  }
}

TEST_P(FarFieldTest, WhereThereAreFewerThanWantedItEndsWithThose) {
  const SmoothNetwork truth = planted(6, 4, 3, Activation::tanh, 1);
  FarFieldPlan plan;
  plan.most_stale = 2;
  const FarField field = found(make_network_oracle(truth), identity(6), 6, plan);
  EXPECT_EQ(field.directions.rows(), 4);
  EXPECT_LT(worst(field.directions, truth), 1e-9);
  EXPECT_GE(field.rounds, 3);
  plan.rounds = 1;
  EXPECT_EQ(found(make_network_oracle(truth), identity(6), 6, plan).rounds, 1);
}

TEST_P(FarFieldTest, FewerWantedAreNotExceeded) {
  const SmoothNetwork truth = planted(6, 6, 3, Activation::tanh, 1);
  const FarField field = found(make_network_oracle(truth), identity(6), 2);
  EXPECT_EQ(field.directions.rows(), 2);
  EXPECT_LT(worst(field.directions, truth), 1e-9);
}

TEST_P(FarFieldTest, TheEndOfTheBudgetPassesThrough) {
  const SmoothNetwork truth = planted(6, 6, 3, Activation::tanh, 1);
  for (const Index queries : {10, 100, 200}) {
    control_.budget.queries = queries;
    EXPECT_THROW(found(truth), EndOfRun);
  }
}

TEST_P(FarFieldTest, WhatDoesNotFitIsRefused) {
  const SmoothNetwork truth = planted(4, 4, 2, Activation::tanh, 1);
  const auto asks = [&](const HostMatrix& basis, Index wanted, const FarFieldPlan& plan) {
    return found(make_network_oracle(truth), basis, wanted, plan);
  };
  EXPECT_THROW(asks(identity(4), 0, {}), BadInput);
  EXPECT_THROW(asks(identity(4), 5, {}), BadInput);
  EXPECT_THROW(asks(identity(5), 4, {}), BadInput);
  FarFieldPlan plan;
  plan.sigma = -1;
  EXPECT_THROW(asks(identity(4), 4, plan), BadInput);
  plan.sigma = 0;
  plan.lines = 0;
  EXPECT_THROW(asks(identity(4), 4, plan), BadInput);
  EXPECT_THROW(found(planted_smooth(4, {4}, 2, {Activation::tanh}, 1)), BadInput);
}

}  // namespace
}  // namespace crease
