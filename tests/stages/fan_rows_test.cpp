// Fans as rows: what a known network leaves of them, and how exact they are.
#include "src/stages/fan_rows.hpp"

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

/// A fan of a network around a point, with these steps, answered in extended precision.
PaidFan fan_at(const ReluNetwork& truth, const std::vector<double>& center, double step) {
  const Index d = truth.inputs();
  PaidFan fan;
  fan.center = center;
  HostMatrix basis(d, d);  // reflected axes: orthonormal, and no direction is an axis
  const HostMatrix v = normals(1, d, 91);
  const double square = dot(v.row(0), v.row(0), d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) basis(i, j) = (i == j) - 2 * v(0, i) * v(0, j) / square;
  }
  fan.directions = std::make_shared<const HostMatrix>(basis);
  HostMatrix x(d, d);
  for (Index j = 0; j < d; ++j) {
    fan.steps.push_back(j % 2 == 0 ? step : -step);
    for (Index i = 0; i < d; ++i) {
      x(j, i) = center[static_cast<std::size_t>(i)] + fan.steps.back() * basis(j, i);
    }
  }
  fan.answers = exact_values(truth, x);
  HostMatrix middle(0, d);
  middle.append_row(center.data(), d);
  const HostMatrix value = exact_values(truth, middle);
  fan.center_answer.assign(value.row(0), value.row(0) + truth.outputs());
  fan.center_noise.assign(static_cast<std::size_t>(truth.outputs()), 1e-16);
  return fan;
}

class FanRowsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(FanRowsTest);

/// Each divided difference sums less than 4 (k + d) terms no larger than `size`, and the basis adds
/// d of them up.
double rounding_bound(const ReluNetwork& truth, double step) {
  double size = 0;
  for (Index j = 0; j < truth.neurons(); ++j) {
    for (Index o = 0; o < truth.outputs(); ++o) {
      size += std::abs(truth.output(o, j)) *
              (norm(truth.weights) * 10 * (1 + step) + std::abs(truth.bias(j, 0)));
    }
  }
  size += 10 * (1 + step) * norm(truth.linear) + norm(truth.constant);
  const auto terms = static_cast<double>(4 * (truth.neurons() + truth.inputs()));
  return 2 * kRounding * terms * size / step * static_cast<double>(truth.inputs());
}

TEST_P(FanRowsTest, TheTrueNetworkLeavesRoundingAlsoWhereStepsCrossHyperplanes) {
  for (const Index p : {1, 3}) {
    const ReluNetwork truth = planted_network(kInputs, 7, p, 41);
    const std::vector<double> x = row_of(normals(1, kInputs, 42), 0);
    const Hypothesis exact = hypothesis_of(truth, row_of(normals(1, kInputs, 43), 0), 1e-15, 1e-15);
    const UnitNetwork network(exact);
    for (const double step : {1e-3, 3.0}) {
      const PaidFan fan = fan_at(truth, x, step);
      const std::vector<FanRows> rows =
          fan_rows(device(), network, relative_noise(kRounding, p), {&fan});
      ASSERT_EQ(rows.size(), 1U);

      const HostMatrix left = gradient_residuals(device(), network, rows);

      EXPECT_TRUE(at_most(norm(left), rounding_bound(truth, step))) << "step " << step;
    }
  }
}

TEST_P(FanRowsTest, AChangedWeightIsSeenThroughItsCoefficient) {
  const Index p = 2;
  const ReluNetwork truth = planted_network(kInputs, 5, p, 44);
  const std::vector<double> x = row_of(normals(1, kInputs, 45), 0);
  const PaidFan fan = fan_at(truth, x, 1e-4);
  UnitNetwork network(hypothesis_of(truth, row_of(normals(1, kInputs, 46), 0), 1e-15, 1e-15));
  const std::vector<FanRows> rows =
      fan_rows(device(), network, relative_noise(kRounding, p), {&fan});
  ASSERT_EQ(rows.size(), 1U);
  const HostMatrix coefficient = coefficients(network, rows);
  const HostMatrix change = normals(5, kInputs, 47);
  const double by = 0x1p-20;
  for (Index i = 0; i < change.size(); ++i) network.weights.data()[i] += by * change.data()[i];

  const HostMatrix left = gradient_residuals(device(), network, rows);

  for (Index o = 0; o < p; ++o) {
    for (Index c = 0; c < kInputs; ++c) {
      double expected = 0;
      for (Index j = 0; j < 5; ++j) expected -= coefficient(o, j) * by * change(j, c);
      EXPECT_TRUE(at_most(std::abs(left(o, c) - expected), rounding_bound(truth, 1e-4)));
    }
  }
}

TEST_P(FanRowsTest, CentresTooNearAHyperplaneAreLeftOut) {
  const ReluNetwork truth = planted_network(kInputs, 5, 1, 48);
  const std::vector<double> x = row_of(normals(1, kInputs, 49), 0);
  const PaidFan fan = fan_at(truth, x, 1e-4);
  const std::vector<double> base = row_of(normals(1, kInputs, 50), 0);
  const NoiseModel noise = relative_noise(kRounding, 1);

  EXPECT_EQ(
      fan_rows(device(), UnitNetwork(hypothesis_of(truth, base, 1e-9, 1e-9)), noise, {&fan}).size(),
      1U);
  EXPECT_TRUE(
      fan_rows(device(), UnitNetwork(hypothesis_of(truth, base, 10, 10)), noise, {&fan}).empty());
}

/// Two planes meet no step: noise alone. Steps of 3 cross some, whose offset errors count.
TEST_P(FanRowsTest, CrossedHyperplanesCountWithTheirErrors) {
  ReluNetwork truth(2, 1, 1);
  truth.weights = {{2, 0}};
  truth.bias(0, 0) = -2;  // the plane x_0 = 1
  truth.output(0, 0) = 3;
  PaidFan fan;
  fan.center = {0, 0};
  fan.directions = std::make_shared<const HostMatrix>(HostMatrix{{1, 0}, {0, 1}});
  fan.steps = {2, 2};
  fan.answers = HostMatrix(2, 1);
  fan.center_answer = {0};
  fan.center_noise = {0.5};
  NoiseModel noise = relative_noise(0, 1);
  noise.absolute = {0.25};
  const UnitNetwork network(hypothesis_of(truth, {0, 0}, 0.01, 0.02));

  const std::vector<FanRows> rows = fan_rows(device(), network, noise, {&fan});

  ASSERT_EQ(rows.size(), 1U);
  const double own = 0.02 * 6;  // |u| |w| times the error of the offset
  const double expected = std::sqrt((2 * (0.25 * 0.25 + 0.5 * 0.5) + own * own) / 4 / 2);
  EXPECT_TRUE(at_most(std::abs(rows[0].sigma[0] - expected), 16 * kRounding * expected));
}

}  // namespace
}  // namespace crease
