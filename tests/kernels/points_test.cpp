// Points of lines and fans, divided differences, and steps that cross little.
#include "kernels/ops.hpp"

#include <array>
#include <cmath>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

HostMatrix line_on(Device& device, const HostMatrix& origin, const HostMatrix& direction,
                   const HostMatrix& t) {
  Padded o(device, origin);
  Padded d(device, direction);
  Padded s(device, t);
  Padded out(device, t.rows(), origin.cols());
  line_points(device, {o, d}, s, out);
  return out.read();
}

HostMatrix fan_on(Device& device, const HostMatrix& centers, const HostMatrix& directions,
                  const HostMatrix& steps) {
  Padded c(device, centers);
  Padded d(device, directions);
  Padded s(device, steps);
  Padded out(device, centers.rows() * directions.rows(), centers.cols());
  fan_points(device, {c, d, s}, out);
  return out.read();
}

HostMatrix differences_on(Device& device, const HostMatrix& values, const HostMatrix& centers,
                          const HostMatrix& steps) {
  Padded v(device, values);
  Padded c(device, centers);
  Padded s(device, steps);
  Padded out(device, centers.rows() * centers.cols(), steps.cols());
  divided_differences(device, v, c, s, out);
  return out.read();
}

struct Steps {
  HostMatrix steps;
  HostMatrix noise;
};

Steps steps_on(Device& device, const HostMatrix& offsets, const HostMatrix& slopes_t,
               const HostMatrix& variance, const HostMatrix& first,
               const HostMatrix& center_noise) {
  Padded o(device, offsets);
  Padded s(device, slopes_t);
  Padded v(device, variance);
  Padded f(device, first);
  Padded c(device, center_noise);
  Padded steps(device, offsets.rows(), slopes_t.cols());
  Padded noise(device, offsets.rows(), slopes_t.cols());
  safest_steps(device, o, s, v, f, c, steps, noise);
  return {steps.read(), noise.read()};
}

HostMatrix magnitudes(HostMatrix values) {
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = std::abs(values.data()[i]);
  return values;
}

class PointsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(PointsTest);

TEST_P(PointsTest, LinePointsMatchValuesWorkedByHand) {
  EXPECT_TRUE(same_bits(line_on(device(), {{1, 2}}, {{3, -4}}, {{0}, {0.5}, {-2}}),
                        {{1, 2}, {2.5, 0}, {-5, 10}}));
}

TEST_P(PointsTest, LinePointsRoundAsTheirFormula) {
  for (const auto [n, d] : {std::array<Index, 2>{1, 1}, {31, 33}, {257, 1}, {64, 32}, {3, 257}}) {
    const HostMatrix origin = with_zeros_and_ties(distinct(1, d));
    const HostMatrix direction = distinct(1, d, 0.5);
    const HostMatrix t = with_zeros_and_ties(distinct(n, 1, -3.0));
    HostMatrix expected(n, d);
    for (Index i = 0; i < n; ++i) {
      for (Index c = 0; c < d; ++c) expected(i, c) = origin(0, c) + t(i, 0) * direction(0, c);
    }
    EXPECT_TRUE(same_bits(line_on(device(), origin, direction, t), expected)) << n << " x " << d;
  }
}

TEST_P(PointsTest, FanPointsMatchValuesWorkedByHand) {
  const HostMatrix got =
      fan_on(device(), {{0, 0}, {10, 20}}, {{1, 0}, {0, 1}, {3, 4}}, {{0.5, 1, -1}, {2, 0, 0.25}});
  EXPECT_TRUE(same_bits(got, {{0.5, 0}, {0, 1}, {-3, -4}, {12, 20}, {10, 20}, {10.75, 21}}));
}

TEST_P(PointsTest, FanPointsRoundAsTheirFormula) {
  for (const auto [m, q, d] :
       {std::array<Index, 3>{1, 1, 1}, {7, 33, 31}, {5, 64, 257}, {33, 2, 1}, {2, 257, 32}}) {
    const HostMatrix centers = with_zeros_and_ties(distinct(m, d));
    const HostMatrix directions = distinct(q, d, -0.5);
    const HostMatrix steps = with_zeros_and_ties(distinct(m, q, 1e-3));
    HostMatrix expected(m * q, d);
    for (Index row = 0; row < m * q; ++row) {
      for (Index c = 0; c < d; ++c) {
        expected(row, c) = centers(row / q, c) + steps(row / q, row % q) * directions(row % q, c);
      }
    }
    EXPECT_TRUE(same_bits(fan_on(device(), centers, directions, steps), expected))
        << "m=" << m << " q=" << q << " d=" << d;
  }
}

TEST_P(PointsTest, DividedDifferencesMatchValuesWorkedByHand) {
  // Two centres, three directions, two outputs.
  const HostMatrix values = {{3, 10}, {5, 20}, {9, 30}, {1, 1}, {2, 4}, {4, 16}};
  const HostMatrix centers = {{1, 10}, {0, 1}};
  const HostMatrix steps = {{1, 2, -4}, {0.5, 1, 2}};
  EXPECT_TRUE(same_bits(differences_on(device(), values, centers, steps),
                        {{2, 2, -2}, {0, 5, -5}, {2, 2, 2}, {0, 3, 7.5}}));
}

TEST_P(PointsTest, DividedDifferencesRoundAsTheirFormula) {
  for (const auto [m, q, p] :
       {std::array<Index, 3>{1, 1, 1}, {7, 33, 3}, {2, 257, 1}, {31, 5, 64}, {3, 32, 10}}) {
    const HostMatrix centers = distinct(m, p);
    const HostMatrix values = with_zeros_and_ties(distinct(m * q, p, 0.25));
    const HostMatrix steps = distinct(m, q, 1.5);
    HostMatrix expected(m * p, q);
    for (Index i = 0; i < m; ++i) {
      for (Index o = 0; o < p; ++o) {
        for (Index j = 0; j < q; ++j) {
          expected(i * p + o, j) = (values(i * q + j, o) - centers(i, o)) / steps(i, j);
        }
      }
    }
    EXPECT_TRUE(same_bits(differences_on(device(), values, centers, steps), expected))
        << "m=" << m << " q=" << q << " p=" << p;
  }
}

TEST_P(PointsTest, SafestStepStaysBelowAnExpensiveHyperplane) {
  // The hyperplane lies 1 away along the first direction, and the second never meets it. Steps are
  // 4, 1, 1/4, ...; a step of exactly 1 ends on it, which is no crossing and costs 2 / 1, less than
  // the sqrt(4 + 140) / 4 = 3 behind it.
  const Steps got = steps_on(device(), {{1}}, {{-1, 0}}, {{140}}, {{4}}, {{2}});
  EXPECT_TRUE(same_bits(got.steps, {{1, 4}}));
  EXPECT_TRUE(same_bits(got.noise, {{2, 0.5}}));
}

TEST_P(PointsTest, SafestStepCrossesACheapHyperplane) {
  // Crossing costs sqrt(16 + 9) / 4 = 1.25; staying below costs 4 / 1.
  const Steps got = steps_on(device(), {{-1}}, {{1}}, {{9}}, {{4}}, {{4}});
  EXPECT_TRUE(same_bits(got.steps, {{4}}));
  EXPECT_TRUE(same_bits(got.noise, {{1.25}}));
}

TEST_P(PointsTest, TheLargerStepWinsATie) {
  // Without noise every step that crosses nothing costs 0; so does the first.
  const Steps free = steps_on(device(), {{1}}, {{1}}, {{9}}, {{2}}, {{0}});
  EXPECT_TRUE(same_bits(free.steps, {{2}}));
  EXPECT_TRUE(same_bits(free.noise, {{0}}));
  // sqrt(1 + 15) / 4 is as large as sqrt(1) / 1.
  const Steps tied = steps_on(device(), {{1}}, {{-1}}, {{15}}, {{4}}, {{1}});
  EXPECT_TRUE(same_bits(tied.steps, {{4}}));
  EXPECT_TRUE(same_bits(tied.noise, {{1}}));
}

TEST_P(PointsTest, SafestStepsStopAtTheSeventh) {
  // 4^-6 is tried, 4^-7 is not, although only that one would stay below the hyperplane.
  const Steps got = steps_on(device(), {{0x1p-13}}, {{-1}}, {{1}}, {{1}}, {{0}});
  EXPECT_TRUE(same_bits(got.steps, {{1}}));
  EXPECT_TRUE(same_bits(got.noise, {{1}}));
  const Steps one_more = steps_on(device(), {{0x1p-11}}, {{-1}}, {{1}}, {{1}}, {{0}});
  EXPECT_TRUE(same_bits(one_more.steps, {{0x1p-12}}));
  EXPECT_TRUE(same_bits(one_more.noise, {{0}}));
}

TEST_P(PointsTest, SafestStepsRoundAsTheirFormula) {
  for (const auto [m, k, q] : {std::array<Index, 3>{1, 1, 1},
                               {7, 33, 31},
                               {3, 257, 64},
                               {33, 5, 2},
                               {2, 0, 32},
                               {31, 64, 257}}) {
    const HostMatrix offsets = with_zeros_and_ties(distinct(m, k));
    const HostMatrix slopes_t = with_zeros_and_ties(distinct(k, q, 0.25));
    const HostMatrix variance = with_zeros_and_ties(magnitudes(distinct(k, 1)));
    const HostMatrix first = distinct(m, 1, 4.0);
    const HostMatrix center_noise = with_zeros_and_ties(magnitudes(distinct(m, 1)));
    HostMatrix steps(m, q);
    HostMatrix noise(m, q);
    for (Index i = 0; i < m; ++i) {
      for (Index j = 0; j < q; ++j) {
        for (int level = 0; level < 7; ++level) {
          const double step = std::ldexp(first(i, 0), -2 * level);
          double crossed = 0;
          for (Index r = 0; r < k; ++r) {
            const double there = offsets(i, r) + step * slopes_t(r, j);
            if (offsets(i, r) * there < 0) crossed += variance(r, 0);
          }
          const double error = std::sqrt(center_noise(i, 0) * center_noise(i, 0) + crossed) / step;
          if (level > 0 && error >= noise(i, j)) continue;
          steps(i, j) = step;
          noise(i, j) = error;
        }
      }
    }
    const Steps got = steps_on(device(), offsets, slopes_t, variance, first, center_noise);
    EXPECT_TRUE(same_bits(got.steps, steps)) << "m=" << m << " k=" << k << " q=" << q;
    EXPECT_TRUE(same_bits(got.noise, noise)) << "m=" << m << " k=" << k << " q=" << q;
  }
}

TEST_P(PointsTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(line_on(device(), HostMatrix(1, 2), HostMatrix(1, 2), HostMatrix(0, 1)).size(), 0);
  EXPECT_EQ(line_on(device(), HostMatrix(1, 0), HostMatrix(1, 0), HostMatrix(3, 1)).size(), 0);
  EXPECT_EQ(fan_on(device(), HostMatrix(0, 2), HostMatrix(3, 2), HostMatrix(0, 3)).size(), 0);
  EXPECT_EQ(fan_on(device(), HostMatrix(2, 2), HostMatrix(0, 2), HostMatrix(2, 0)).size(), 0);
  EXPECT_EQ(differences_on(device(), HostMatrix(0, 2), HostMatrix(0, 2), HostMatrix(0, 3)).size(),
            0);
  EXPECT_EQ(differences_on(device(), HostMatrix(6, 0), HostMatrix(2, 0), HostMatrix(2, 3)).size(),
            0);
  EXPECT_EQ(steps_on(device(), HostMatrix(0, 2), HostMatrix(2, 3), HostMatrix(2, 1),
                     HostMatrix(0, 1), HostMatrix(0, 1))
                .steps.size(),
            0);
}

TEST_P(PointsTest, ShapesThatDoNotFitARefused) {
  DeviceMatrix one(device(), 1, 1);
  DeviceMatrix row(device(), 1, 3);
  DeviceMatrix column(device(), 4, 1);
  DeviceMatrix two(device(), 2, 3);
  DeviceMatrix four(device(), 4, 3);
  EXPECT_THROW(line_points(device(), {one, row}, column, four), BadInput);
  EXPECT_THROW(line_points(device(), {row, one}, column, four), BadInput);
  EXPECT_THROW(line_points(device(), {two, row}, column, four), BadInput);
  EXPECT_THROW(line_points(device(), {row, row}, one, four), BadInput);

  DeviceMatrix steps(device(), 2, 4);
  DeviceMatrix eight(device(), 8, 3);
  EXPECT_THROW(fan_points(device(), {one, four, steps}, eight), BadInput);
  EXPECT_THROW(fan_points(device(), {two, four, two}, eight), BadInput);
  EXPECT_THROW(fan_points(device(), {two, four, steps}, four), BadInput);
  EXPECT_THROW(fan_points(device(), {two, four, steps}, DeviceMatrix(device(), 8, 2)), BadInput);

  DeviceMatrix six(device(), 6, 4);
  EXPECT_THROW(divided_differences(device(), eight, row, steps, six), BadInput);
  EXPECT_THROW(divided_differences(device(), four, two, steps, six), BadInput);
  EXPECT_THROW(divided_differences(device(), eight, two, steps, eight), BadInput);

  // m = 2, k = 3, q = 4.
  DeviceMatrix slopes(device(), 3, 4);
  DeviceMatrix three(device(), 3, 1);
  DeviceMatrix pair(device(), 2, 1);
  DeviceMatrix noise(device(), 2, 4);
  EXPECT_THROW(safest_steps(device(), two, noise, three, pair, pair, steps, noise), BadInput);
  EXPECT_THROW(safest_steps(device(), two, slopes, pair, pair, pair, steps, noise), BadInput);
  EXPECT_THROW(safest_steps(device(), two, slopes, three, three, pair, steps, noise), BadInput);
  EXPECT_THROW(safest_steps(device(), two, slopes, three, pair, three, steps, noise), BadInput);
  EXPECT_THROW(safest_steps(device(), two, slopes, three, pair, pair, slopes, noise), BadInput);
  EXPECT_THROW(safest_steps(device(), two, slopes, three, pair, pair, steps, slopes), BadInput);
}

}  // namespace
}  // namespace crease
