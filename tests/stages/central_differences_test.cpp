// Central differences: exact on quadratics, second order elsewhere, and what they cost.
#include "src/stages/central_differences.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_smooth.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 4;
const HostMatrix kForm = {{2, -1, 0, 3}, {-1, 4, 0.5, 0}, {0, 0.5, -3, 1}, {3, 0, 1, 1}};
const std::vector<double> kSlope = {1, -2, 0.5, 4};

/// x^T Q x / 2 + <g, x> + 1.
double quadratic(const double* x) {
  double value = 1;
  for (Index i = 0; i < kInputs; ++i) {
    value += kSlope[static_cast<std::size_t>(i)] * x[i];
    for (Index j = 0; j < kInputs; ++j) value += 0.5 * x[i] * kForm(i, j) * x[j];
  }
  return value;
}

class CentralDifferencesTest : public EveryBackend {
 protected:
  std::unique_ptr<Oracle> quadratic_oracle() {
    return make_host_oracle(kInputs, 1, [](ConstHostView x, HostView y) {
      for (Index i = 0; i < x.rows; ++i) y(i, 0) = quadratic(x.data + i * x.ld);
    });
  }
  RunControl control_;
};
CREASE_ON_EVERY_BACKEND(CentralDifferencesTest);

// Values are of size 50 at most, so that differences round by 50 eps / step^k.
TEST_P(CentralDifferencesTest, AQuadraticHasItsGradientsAndItsHessian) {
  const auto oracle = quadratic_oracle();
  Asker asker(device(), *oracle, control_);
  const HostMatrix centers = normals(5, kInputs, 3);
  const HostMatrix gradients = central_gradients(asker, centers, identity(kInputs), 0.25);
  const HostMatrix rows = download(device(), hessians(asker, centers, identity(kInputs), 0.25));
  for (Index i = 0; i < 5; ++i) {
    Index column = 0;
    for (Index j = 0; j < kInputs; ++j) {
      const double slope =
          kSlope[static_cast<std::size_t>(j)] + dot(kForm.row(j), centers.row(i), kInputs);
      EXPECT_NEAR(gradients(i, j), slope, 1e-12);
      for (Index k = j; k < kInputs; ++k, ++column) {
        EXPECT_NEAR(rows(i, column), kForm(j, k) * (j == k ? 1 : std::sqrt(2.0)), 1e-11);
      }
    }
  }
  EXPECT_EQ(asker.asked(), 5 * 2 * kInputs + 5 * stencil_size(kInputs));
}

TEST_P(CentralDifferencesTest, ABasisTurnsAndNarrowsThem) {
  const auto oracle = quadratic_oracle();
  Asker asker(device(), *oracle, control_);
  const double r = std::sqrt(0.5);
  const HostMatrix basis = {{r, r, 0, 0}, {0, 0, 0.6, -0.8}};
  const HostMatrix center = normals(1, kInputs, 3);
  const HostMatrix rows = download(device(), hessians(asker, center, basis, 0.25));
  ASSERT_EQ(rows.cols(), 3);
  const auto form = [&](Index a, Index b) {
    double value = 0;
    for (Index j = 0; j < kInputs; ++j) {
      value += basis(a, j) * dot(kForm.row(j), basis.row(b), kInputs);
    }
    return value;
  };
  EXPECT_NEAR(rows(0, 0), form(0, 0), 1e-11);
  EXPECT_NEAR(rows(0, 1), std::sqrt(2.0) * form(0, 1), 1e-11);
  EXPECT_NEAR(rows(0, 2), form(1, 1), 1e-11);
  EXPECT_EQ(asker.asked(), stencil_size(2));
}

// Halving the step divides what truncation leaves by four.
TEST_P(CentralDifferencesTest, ErrorsAreOfSecondOrder) {
  SmoothNetwork network(1, {1}, 1, {Activation::sin});
  network.hidden[0].weights = {{1}};
  network.output = {{1}};
  const auto oracle = make_network_oracle(network);
  Asker asker(device(), *oracle, control_);
  const HostMatrix at = {{0.7}};
  std::vector<double> slopes, curvatures;
  for (const double step : {0.1, 0.05}) {
    slopes.push_back(central_gradients(asker, at, identity(1), step)(0, 0) - std::cos(0.7));
    curvatures.push_back(download(device(), hessians(asker, at, identity(1), step))(0, 0) +
                         std::sin(0.7));
  }
  EXPECT_NEAR(slopes[0] / slopes[1], 4, 0.02);
  EXPECT_NEAR(curvatures[0] / curvatures[1], 4, 0.02);
}

TEST_P(CentralDifferencesTest, ChunksMakeNoDifference) {
  const auto oracle = make_network_oracle(planted_smooth(3, {4}, 1, {Activation::tanh}, 1));
  const HostMatrix centers = normals(9, 3, 3);
  std::vector<HostMatrix> all;
  for (const Index bytes : {Index{1} << 30, Index{600}}) {
    RunControl control;
    control.budget.device_bytes = bytes;
    Asker asker(device(), *oracle, control);
    all.push_back(download(device(), hessians(asker, centers, identity(3), 1e-3)));
    all.push_back(central_gradients(asker, centers, identity(3), 1e-3));
    EXPECT_EQ(asker.rounds(), 2);
  }
  EXPECT_TRUE(same_bits(all[0], all[2]));
  EXPECT_TRUE(same_bits(all[1], all[3]));
}

TEST(HessianStep, BalancesTruncationAgainstNoise) {
  EXPECT_NEAR(hessian_step(0, 1), 2.5 * std::pow(2e-16, 0.25), 1e-12);
  EXPECT_NEAR(hessian_step(1e-4, 1), 0.25, 1e-12);
  EXPECT_EQ(hessian_step(1, 1), 0.35);
  EXPECT_EQ(hessian_step(0, 1e-12), 1e-4);
}

TEST_P(CentralDifferencesTest, WhatDoesNotFitIsRefused) {
  const auto oracle = quadratic_oracle();
  Asker asker(device(), *oracle, control_);
  const HostMatrix centers(2, kInputs);
  EXPECT_THROW(hessians(asker, HostMatrix(2, 3), identity(kInputs), 0.1), BadInput);
  EXPECT_THROW(hessians(asker, centers, identity(3), 0.1), BadInput);
  EXPECT_THROW(hessians(asker, centers, identity(kInputs), 0), BadInput);
  EXPECT_THROW(central_gradients(asker, centers, identity(kInputs), std::nan("")), BadInput);
}

}  // namespace
}  // namespace crease
