// Networks along lines.
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

HostMatrix line_sum_on(Device& device, const HostMatrix& offsets, const HostMatrix& slopes,
                       const HostMatrix& output, const HostMatrix& constant, const HostMatrix& tilt,
                       const HostMatrix& t) {
  Padded a(device, offsets);
  Padded s(device, slopes);
  Padded u(device, output);
  Padded c(device, constant);
  Padded v(device, tilt);
  Padded at(device, t);
  Padded out(device, t.rows(), output.rows());
  relu_line_sum(device, a, s, u, c, v, at, out);
  return out.read();
}

class LinesTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(LinesTest);

TEST_P(LinesTest, LineSumMatchesValuesWorkedByHand) {
  // Two neurons, t - 1 and 2 - t, and two outputs.
  const HostMatrix got = line_sum_on(device(), {{-1}, {2}}, {{1}, {-1}}, {{1, 0}, {10, 100}},
                                     {{0.5, -1}}, {{2, 0}}, {{0}, {1}, {3}});
  EXPECT_TRUE(same_bits(got, {{0.5, 199}, {2.5, 99}, {8.5, 19}}));
}

TEST_P(LinesTest, LineSumAgreesWithExactSums) {
  for (const auto [n, k, p] : {std::array<Index, 3>{1, 1, 1},
                               {129, 257, 1},
                               {33, 64, 3},
                               {257, 65, 4},
                               {31, 32, 5},
                               {64, 33, 17},
                               {3, 0, 2}}) {
    const HostMatrix offsets = with_zeros_and_ties(distinct(k, 1));
    const HostMatrix slopes = with_zeros_and_ties(distinct(k, 1, 0.125));
    const HostMatrix output = with_zeros_and_ties(distinct(p, k));
    const HostMatrix constant = distinct(1, p, 0.5);
    const HostMatrix tilt = with_zeros_and_ties(distinct(1, p, -0.5));
    const HostMatrix t = with_zeros_and_ties(distinct(n, 1, 0.25));
    HostMatrix value(n, p);
    HostMatrix terms(n, p);
    for (Index i = 0; i < n; ++i) {
      for (Index o = 0; o < p; ++o) {
        const long double tilted = static_cast<long double>(t(i, 0)) * tilt(0, o);
        long double sum = constant(0, o) + tilted;
        long double size = std::abs(constant(0, o)) + std::abs(tilted);
        for (Index r = 0; r < k; ++r) {
          const long double rise = static_cast<long double>(t(i, 0)) * slopes(r, 0);
          sum += output(o, r) * std::max(offsets(r, 0) + rise, 0.0L);
          size += std::abs(output(o, r)) * (std::abs(offsets(r, 0)) + std::abs(rise));
        }
        value(i, o) = static_cast<double>(sum);
        terms(i, o) = static_cast<double>(size);
      }
    }
    EXPECT_TRUE(near_sum(line_sum_on(device(), offsets, slopes, output, constant, tilt, t), value,
                         terms, k + 2))
        << "n=" << n << " k=" << k << " p=" << p;
  }
}

TEST_P(LinesTest, SumsDoNotHideNaN) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(
      same_bits(line_sum_on(device(), {{nan}}, {{1}}, {{1}}, {{0}}, {{0}}, {{1}}), {{nan}}));
}

TEST_P(LinesTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(line_sum_on(device(), HostMatrix(2, 1), HostMatrix(2, 1), HostMatrix(1, 2),
                        HostMatrix(1, 1), HostMatrix(1, 1), HostMatrix(0, 1))
                .size(),
            0);
}

TEST_P(LinesTest, ShapesThatDoNotFitAreRefused) {
  // n = 2, k = 4, p = 3.
  DeviceMatrix weights(device(), 4, 3);
  DeviceMatrix bias(device(), 4, 1);
  DeviceMatrix output(device(), 3, 4);
  DeviceMatrix row(device(), 1, 3);
  DeviceMatrix t(device(), 2, 1);
  DeviceMatrix y(device(), 2, 3);
  EXPECT_THROW(relu_line_sum(device(), row, bias, output, row, row, t, y), BadInput);
  EXPECT_THROW(relu_line_sum(device(), bias, t, output, row, row, t, y), BadInput);
  EXPECT_THROW(relu_line_sum(device(), bias, bias, weights, row, row, t, y), BadInput);
  EXPECT_THROW(relu_line_sum(device(), bias, bias, output, t, row, t, y), BadInput);
  EXPECT_THROW(relu_line_sum(device(), bias, bias, output, row, t, t, y), BadInput);
  EXPECT_THROW(relu_line_sum(device(), bias, bias, output, row, row, bias, y), BadInput);
}

}  // namespace
}  // namespace crease
