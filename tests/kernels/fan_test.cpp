// Networks on fans: values by hand, exact sums, empty, refused.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

HostMatrix fan_sum_on(Device& device, const HostMatrix& offsets, const HostMatrix& slopes_t,
                      const HostMatrix& output, const HostMatrix& constant, const HostMatrix& tilt,
                      const HostMatrix& steps) {
  Padded a(device, offsets);
  Padded s(device, slopes_t);
  Padded u(device, output);
  Padded c(device, constant);
  Padded v(device, tilt);
  Padded at(device, steps);
  Padded out(device, steps.rows() * steps.cols(), output.rows());
  relu_fan_sum(device, a, s, u, c, v, at, out);
  return out.read();
}

class FanTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(FanTest);

TEST_P(FanTest, FanSumMatchesValuesWorkedByHand) {
  // One neuron seen from two centres along two directions; one output.
  const HostMatrix got = fan_sum_on(device(), {{1}, {-1}}, {{1, -2}}, {{3}}, {{10}, {20}},
                                    {{1}, {0}}, {{1, 1}, {2, 0.5}});
  EXPECT_TRUE(same_bits(got, {{17}, {10}, {25}, {20}}));
}

TEST_P(FanTest, FanSumAgreesWithExactSums) {
  for (const auto [m, q, k, p] : {std::array<Index, 4>{1, 1, 1, 1},
                                  {33, 31, 65, 1},
                                  {2, 33, 257, 3},
                                  {64, 5, 32, 4},
                                  {7, 64, 33, 9},
                                  {31, 1, 0, 2},
                                  {1, 257, 31, 17}}) {
    const HostMatrix offsets = with_zeros_and_ties(distinct(m, k));
    const HostMatrix slopes_t = with_zeros_and_ties(distinct(k, q, 0.125));
    const HostMatrix output = with_zeros_and_ties(distinct(p, k));
    const HostMatrix constant = distinct(m, p, 0.5);
    const HostMatrix tilt = with_zeros_and_ties(distinct(q, p, -0.5));
    const HostMatrix steps = with_zeros_and_ties(distinct(m, q, 0.25));
    HostMatrix value(m * q, p);
    HostMatrix terms(m * q, p);
    for (Index row = 0; row < m * q; ++row) {
      const Index i = row / q;
      const Index j = row % q;
      const long double s = steps(i, j);
      for (Index o = 0; o < p; ++o) {
        long double sum = constant(i, o) + s * tilt(j, o);
        long double size = std::abs(constant(i, o)) + std::abs(s * tilt(j, o));
        for (Index r = 0; r < k; ++r) {
          const long double rise = s * slopes_t(r, j);
          sum += output(o, r) * std::max(offsets(i, r) + rise, 0.0L);
          size += std::abs(output(o, r)) * (std::abs(offsets(i, r)) + std::abs(rise));
        }
        value(row, o) = static_cast<double>(sum);
        terms(row, o) = static_cast<double>(size);
      }
    }
    EXPECT_TRUE(near_sum(fan_sum_on(device(), offsets, slopes_t, output, constant, tilt, steps),
                         value, terms, k + 2))
        << "m=" << m << " q=" << q << " k=" << k << " p=" << p;
  }
}

TEST_P(FanTest, FanSumDoesNotHideNaN) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(same_bits(fan_sum_on(device(), {{nan}}, {{1}}, {{1}}, {{0}}, {{0}}, {{1}}), {{nan}}));
  // A slope that is not a number spoils the points of its own direction alone.
  EXPECT_TRUE(same_bits(
      fan_sum_on(device(), {{1}, {1}}, {{nan, 1}}, {{1}}, {{0}, {0}}, {{0}, {0}}, {{1, 1}, {1, 1}}),
      {{nan}, {2}, {nan}, {2}}));
}

TEST_P(FanTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(fan_sum_on(device(), HostMatrix(0, 2), HostMatrix(2, 3), HostMatrix(1, 2),
                       HostMatrix(0, 1), HostMatrix(3, 1), HostMatrix(0, 3))
                .size(),
            0);
}

TEST_P(FanTest, ShapesThatDoNotFitAreRefused) {
  // m = 2, q = 5, k = 4, p = 3.
  DeviceMatrix output(device(), 3, 4);
  DeviceMatrix y(device(), 2, 3);
  DeviceMatrix offsets(device(), 2, 4);
  DeviceMatrix slopes(device(), 4, 5);
  DeviceMatrix tilt(device(), 5, 3);
  DeviceMatrix steps(device(), 2, 5);
  DeviceMatrix z(device(), 10, 3);
  EXPECT_THROW(relu_fan_sum(device(), output, slopes, output, y, tilt, steps, z), BadInput);
  EXPECT_THROW(relu_fan_sum(device(), offsets, tilt, output, y, tilt, steps, z), BadInput);
  EXPECT_THROW(relu_fan_sum(device(), offsets, slopes, slopes, y, tilt, steps, z), BadInput);
  EXPECT_THROW(relu_fan_sum(device(), offsets, slopes, output, tilt, tilt, steps, z), BadInput);
  EXPECT_THROW(relu_fan_sum(device(), offsets, slopes, output, y, y, steps, z), BadInput);
  EXPECT_THROW(relu_fan_sum(device(), offsets, slopes, output, y, tilt, offsets, z), BadInput);
  EXPECT_THROW(relu_fan_sum(device(), offsets, slopes, output, y, tilt, steps, y), BadInput);
}

}  // namespace
}  // namespace crease
