// Networks along lines.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

using Quad = __float128;  // 113 bits: the reference of sums in double-double

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kUnit = 0x1p-53;

/// A network on m lines, as relu_lines_sum takes it.
struct OnLines {
  HostMatrix offsets, slopes;  // [k, m]
  HostMatrix output;           // [p, k]
  HostMatrix constant, tilt;   // [m, p]
  std::vector<Index> first;    // [m + 1]
  HostMatrix t;                // [n, 1]

  std::size_t line_of(Index point) const {
    std::size_t l = 0;
    while (first[l + 1] <= point) ++l;
    return l;
  }
};

OnLines on_one_line(HostMatrix offsets, HostMatrix slopes, HostMatrix output, HostMatrix constant,
                    HostMatrix tilt, HostMatrix t) {
  const Index n = t.rows();
  return {std::move(offsets),  std::move(slopes), std::move(output),
          std::move(constant), std::move(tilt),   {0, n},
          std::move(t)};
}

HostMatrix sum_on(Device& device, const OnLines& lines) {
  Padded offsets(device, lines.offsets);
  Padded slopes(device, lines.slopes);
  Padded output(device, lines.output);
  Padded constant(device, lines.constant);
  Padded tilt(device, lines.tilt);
  Padded t(device, lines.t);
  Padded out(device, lines.t.rows(), lines.output.rows());
  relu_lines_sum(device, offsets, slopes, output, constant, tilt, lines.first, t, out);
  return out.read();
}

Quad magnitude(Quad x) {
  return x < 0 ? -x : x;
}

/// One point in 113 bits.
struct ExactSum {
  Quad value = 0;
  Quad terms = 0;    // sum of |terms|
  Quad at_kink = 0;  // sum of |output * offset| over the neurons whose rounded kink is t
};

ExactSum exact_sum_at(const OnLines& lines, Index i, Index o) {
  const auto l = static_cast<Index>(lines.line_of(i));
  const double t = lines.t(i, 0);
  const Quad tilted = static_cast<Quad>(t) * lines.tilt(l, o);
  ExactSum sum{lines.constant(l, o) + tilted, magnitude(lines.constant(l, o)) + magnitude(tilted)};
  for (Index r = 0; r < lines.offsets.rows(); ++r) {
    const double offset = lines.offsets(r, l);
    const double slope = lines.slopes(r, l);
    const Quad u = lines.output(o, r);
    const Quad rise = static_cast<Quad>(t) * slope;
    const Quad z = offset + rise;
    if (z > 0) sum.value += u * z;
    sum.terms += magnitude(u) * (magnitude(offset) + magnitude(rise));
    if (slope != 0 && -(offset / slope) == t) sum.at_kink += magnitude(u * offset);
  }
  return sum;
}

/// Every point within sum(k + 2).
void expect_sums(const HostMatrix& got, const OnLines& lines) {
  HostMatrix value(got.rows(), got.cols());
  HostMatrix terms(got.rows(), got.cols());
  for (Index i = 0; i < got.rows(); ++i) {
    for (Index o = 0; o < got.cols(); ++o) {
      const ExactSum sum = exact_sum_at(lines, i, o);
      value(i, o) = static_cast<double>(sum.value);
      terms(i, o) = static_cast<double>(sum.terms);
    }
  }
  EXPECT_TRUE(near_sum(got, value, terms, lines.offsets.rows() + 2))
      << "n=" << got.rows() << " k=" << lines.offsets.rows() << " p=" << got.cols()
      << " m=" << lines.offsets.cols();
}

/// Every `stride`-th point within the bound of sorted kinks, which rounds a sum of any length once.
void expect_sorted_sums(const HostMatrix& got, const OnLines& lines, Index stride) {
  const auto k = static_cast<double>(lines.offsets.rows());
  for (Index i = 0; i < got.rows(); i += stride) {
    for (Index o = 0; o < got.cols(); ++o) {
      const ExactSum sum = exact_sum_at(lines, i, o);
      const auto error = static_cast<double>(magnitude(sum.value - got(i, o)));
      const Quad bound = kUnit * magnitude(got(i, o)) + (6 * k + 20) * kUnit * kUnit * sum.terms +
                         kUnit * sum.at_kink;
      ASSERT_TRUE(at_most(error, static_cast<double>(bound)))
          << "point " << i << " at " << lines.t(i, 0) << ", output " << o << ", sum " << got(i, o);
    }
  }
}

OnLines planted(Index n, Index k, Index p) {
  return on_one_line(
      with_zeros_and_ties(distinct(k, 1)), with_zeros_and_ties(distinct(k, 1, 0.125)),
      with_zeros_and_ties(distinct(p, k)), distinct(1, p, 0.5),
      with_zeros_and_ties(distinct(1, p, -0.5)), with_zeros_and_ties(distinct(n, 1, 0.25)));
}

class LinesTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(LinesTest);

TEST_P(LinesTest, LineSumMatchesValuesWorkedByHand) {
  // Two neurons, t - 1 and 2 - t, and two outputs.
  const HostMatrix got = sum_on(device(), on_one_line({{-1}, {2}}, {{1}, {-1}}, {{1, 0}, {10, 100}},
                                                      {{0.5, -1}}, {{2, 0}}, {{0}, {1}, {3}}));
  EXPECT_TRUE(same_bits(got, {{0.5, 199}, {2.5, 99}, {8.5, 19}}));
}

TEST_P(LinesTest, LinesSumMatchesValuesWorkedByHand) {
  // The neuron t - 1 on one line, 2 - t on the next, nothing asked there, 3 everywhere on the last.
  OnLines lines{{{-1, 2, 3}},
                {{1, -1, 0}},
                {{10}},
                {{1}, {2}, {3}},
                {{0}, {1}, {-1}},
                {0, 2, 2, 5},
                {{0}, {3}, {-1}, {0}, {1}}};
  EXPECT_TRUE(same_bits(sum_on(device(), lines), {{1}, {21}, {34}, {33}, {32}}));
}

TEST_P(LinesTest, LineSumAgreesWithExactSums) {
  for (const auto [n, k, p] : {std::array<Index, 3>{1, 1, 1},
                               {129, 257, 1},
                               {33, 64, 3},
                               {257, 65, 4},
                               {257, 257, 9},
                               {31, 32, 5},
                               {64, 33, 17},
                               {700, 101, 2},
                               {101, 1500, 1},
                               {3, 0, 2}}) {
    const OnLines line = planted(n, k, p);
    expect_sums(sum_on(device(), line), line);
  }
}

TEST_P(LinesTest, LinesSumAgreesWithExactSums) {
  for (const auto& first :
       {std::vector<Index>{0, 5, 5, 200, 231}, std::vector<Index>{0, 0, 300, 300},
        std::vector<Index>{0, 150, 151, 301, 302, 600}}) {
    const auto m = static_cast<Index>(first.size()) - 1;
    for (const auto [k, p] : {std::array<Index, 2>{1, 1}, {97, 3}, {257, 1}, {400, 5}}) {
      const OnLines lines{with_zeros_and_ties(distinct(k, m)),
                          with_zeros_and_ties(distinct(k, m, 0.125)),
                          with_zeros_and_ties(distinct(p, k)),
                          distinct(m, p, 0.5),
                          distinct(m, p, -0.5),
                          first,
                          with_zeros_and_ties(distinct(first.back(), 1, 0.25))};
      expect_sums(sum_on(device(), lines), lines);
    }
  }
}

TEST_P(LinesTest, APointOfALineDoesNotDependOnTheOtherLines) {
  const OnLines one = planted(200, 150, 2);
  OnLines lines{HostMatrix(150, 3), HostMatrix(150, 3), one.output,        HostMatrix(3, 2),
                HostMatrix(3, 2),   {0, 200, 400, 600}, HostMatrix(600, 1)};
  for (Index l = 0; l < 3; ++l) {
    for (Index r = 0; r < 150; ++r) {
      lines.offsets(r, l) = one.offsets(r, 0);
      lines.slopes(r, l) = one.slopes(r, 0);
    }
    for (Index o = 0; o < 2; ++o) {
      lines.constant(l, o) = one.constant(0, o);
      lines.tilt(l, o) = one.tilt(0, o);
    }
    for (Index i = 0; i < 200; ++i) lines.t(200 * l + i, 0) = one.t(i, 0);
  }
  const HostMatrix got = sum_on(device(), lines);
  for (Index i = 0; i < 200; ++i) {
    for (Index o = 0; o < 2; ++o) {
      EXPECT_EQ(got(200 + i, o), got(i, o));
      EXPECT_EQ(got(400 + i, o), got(i, o));
    }
  }
}

TEST_P(LinesTest, SortedSumsAreRoundedOnce) {
  for (const auto [k, p] : {std::array<Index, 2>{5000, 3}, {20000, 1}}) {
    OnLines line = planted(1200, k, p);
    for (Index i = 0; i < 1200; ++i) {
      // From beyond all kinks to the middle of them, and some of the kinks themselves.
      line.t(i, 0) *= std::pow(10.0, static_cast<double>(i % 9) - 2);
      const Index r = 29 * i;
      if (i % 4 == 1 && r < k && line.slopes(r, 0) != 0) {
        line.t(i, 0) = -(line.offsets(r, 0) / line.slopes(r, 0));
      }
    }
    expect_sorted_sums(sum_on(device(), line), line, 29);
  }
}

TEST_P(LinesTest, NeuronsThatNearlyCancelLeaveTheirDifference) {
  // Pairs u (relu(a + t s) - relu(a' + t s)), a' = a (1 + 2^-40), and one neuron of size 1e-12: the
  // prefix sums are 1e16 times what is left of them far out. k = 10^5 + 1.
  const Index pairs = 50000;
  const Index k = 2 * pairs + 1;
  const HostMatrix a = distinct(pairs, 1);
  const HostMatrix s = distinct(pairs, 1, 0.125);
  const HostMatrix u = distinct(1, pairs, 0.25);
  OnLines line = on_one_line(HostMatrix(k, 1), HostMatrix(k, 1), HostMatrix(1, k), HostMatrix(1, 1),
                             HostMatrix(1, 1), HostMatrix(1200, 1));
  for (Index r = 0; r < pairs; ++r) {
    line.offsets(2 * r, 0) = a(r, 0);
    line.offsets(2 * r + 1, 0) = a(r, 0) * (1 + 0x1p-40);
    line.slopes(2 * r, 0) = line.slopes(2 * r + 1, 0) = s(r, 0);
    line.output(0, 2 * r) = 1e6 * u(0, r);
    line.output(0, 2 * r + 1) = -1e6 * u(0, r);
  }
  line.offsets(k - 1, 0) = 1;
  line.slopes(k - 1, 0) = 1;
  line.output(0, k - 1) = 1e-12;
  for (Index i = 0; i < 1200; ++i) {
    const double sign = i % 2 == 0 ? 1 : -1;
    line.t(i, 0) = sign * std::pow(10.0, static_cast<double>(i) / 30 - 20);  // up to 1e20
  }
  expect_sorted_sums(sum_on(device(), line), line, 101);
}

TEST_P(LinesTest, KinksAtTheEndsOfTheNumbersKeepTheirSides) {
  // Sorted by size (k = n = 120), with kinks beyond every double, subnormal, and at 0.
  const Index k = 120;
  OnLines line = planted(120, k, 2);
  const auto neuron = [&](Index r, double offset, double slope) {
    line.offsets(r, 0) = offset;
    line.slopes(r, 0) = slope;
    line.output(0, r) = line.output(1, r) = 1 + 0.125 * static_cast<double>(r);
  };
  for (const bool subnormal : {false, true}) {
    neuron(0, 1, 1e-310);   // active wherever a double is
    neuron(1, -1, 1e-310);  // nowhere
    neuron(2, 1, -1e-310);  // active
    neuron(3, 0, 1);        // at 0
    neuron(4, -0.0, -1);    // the same, other side
    neuron(5, 1, 0);        // constant
    neuron(6, -1, -0.0);    // nothing
    neuron(7, 0, 0);
    if (subnormal) {
      neuron(8, 0x1p-60, 0x1p1000);   // kink at -2^-1060
      neuron(9, -0x1p-60, 0x1p1020);  // kink below every double; inactive at 0
      for (Index r = 0; r < k; ++r) line.output(1, r) = r == 9 ? 1 : 0;
      line.constant(0, 1) = line.tilt(0, 1) = 0;
    }
    line.t(0, 0) = 0;
    line.t(1, 0) = -0.0;
    line.t(2, 0) = 0x1p-1074;
    line.t(3, 0) = -0x1p-1074;
    line.t(4, 0) = -0x1p-1060;
    line.t(5, 0) = subnormal ? 1 : 1e200;  // times 2^1020
    line.t(6, 0) = -line.t(5, 0);
    expect_sums(sum_on(device(), line), line);
  }
}

/// The rank-1 sum as the formula reads, in double.
double plain_sum(const OnLines& line, Index i, Index o) {
  const double t = line.t(i, 0);
  double sum = line.constant(0, o) + t * line.tilt(0, o);
  for (Index r = 0; r < line.offsets.rows(); ++r) {
    const double z = line.offsets(r, 0) + t * line.slopes(r, 0);
    sum += line.output(o, r) * (z < 0 ? 0 : z);
  }
  return sum;
}

TEST_P(LinesTest, WhatIsNotFiniteComesOutAsTheDirectSumMakesIt) {
  const Index n = 150;
  const Index k = 130;
  const auto check = [&](const auto& plant) {
    OnLines line = planted(n, k, 2);
    plant(line);
    const HostMatrix got = sum_on(device(), line);
    Index strange = 0;
    for (Index i = 0; i < n; ++i) {
      for (Index o = 0; o < 2; ++o) {
        const double expected = plain_sum(line, i, o);
        if (std::isfinite(expected)) {
          ASSERT_TRUE(std::isfinite(got(i, o))) << i << " " << o;
        } else {
          ++strange;
          ASSERT_TRUE(same_bits({{got(i, o)}}, {{expected}})) << i << " " << o;
        }
      }
    }
    EXPECT_GT(strange, 0);
  };
  for (const double lie : {kNan, kInfinity, -kInfinity}) {
    for (const Index r : {0, 77, 129}) {
      check([&](OnLines& line) { line.offsets(r, 0) = std::abs(lie); });
      check([&](OnLines& line) { line.slopes(r, 0) = lie; });
      check([&](OnLines& line) { line.output(1, r) = lie; });
    }
    check([&](OnLines& line) { line.constant(0, 1) = lie; });
    check([&](OnLines& line) { line.tilt(0, 0) = lie; });
    check([&](OnLines& line) { line.t(n - 1, 0) = lie; });
  }
  // Sums that overflow, and prefix sums that do where the answers do not.
  check([&](OnLines& line) { line.t(5, 0) = kLargest; });
  check([&](OnLines& line) {
    for (Index r = 0; r < 4; ++r) {
      line.offsets(r, 0) = 0.75 * kLargest;
      line.slopes(r, 0) = 0;
      line.output(0, r) = r % 2 == 0 ? 1 : -1;
      line.output(1, r) = 1;
    }
  });
}

TEST_P(LinesTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(sum_on(device(), on_one_line(HostMatrix(2, 1), HostMatrix(2, 1), HostMatrix(1, 2),
                                         HostMatrix(1, 1), HostMatrix(1, 1), HostMatrix(0, 1)))
                .size(),
            0);
  EXPECT_EQ(sum_on(device(), {HostMatrix(2, 0),
                              HostMatrix(2, 0),
                              HostMatrix(1, 2),
                              HostMatrix(0, 1),
                              HostMatrix(0, 1),
                              {0},
                              HostMatrix(0, 1)})
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
  const auto refused = [&](ConstDeviceView offsets, ConstDeviceView slopes, ConstDeviceView u,
                           ConstDeviceView constant, ConstDeviceView tilt, ConstDeviceView at) {
    const std::vector<Index> all = {0, 2};
    EXPECT_THROW(relu_lines_sum(device(), offsets, slopes, u, constant, tilt, all, at, y),
                 BadInput);
  };
  refused(row, bias, output, row, row, t);
  refused(bias, t, output, row, row, t);
  refused(bias, bias, weights, row, row, t);
  refused(bias, bias, output, t, row, t);
  refused(bias, bias, output, row, t, t);
  refused(bias, bias, output, row, row, bias);
  refused(weights, weights, output, row, row, t);

  // m = 2 as well.
  DeviceMatrix offsets(device(), 4, 2);
  DeviceMatrix constant(device(), 2, 3);
  const auto sum = [&](std::vector<Index> first) {
    relu_lines_sum(device(), offsets, offsets, output, constant, constant, first, t, y);
  };
  for (const std::vector<Index>& first :
       {std::vector<Index>{}, {0, 2}, {0, 1, 1, 2}, {1, 1, 2}, {0, 1, 1}, {0, 3, 2}, {0, -1, 2}}) {
    EXPECT_THROW(sum(first), BadInput);
  }
  const std::vector<Index> first = {0, 1, 2};
  EXPECT_THROW(relu_lines_sum(device(), offsets, bias, output, constant, constant, first, t, y),
               BadInput);
  EXPECT_THROW(relu_lines_sum(device(), offsets, offsets, output, row, constant, first, t, y),
               BadInput);
  EXPECT_THROW(relu_lines_sum(device(), offsets, offsets, output, constant, row, first, t, y),
               BadInput);
}

}  // namespace
}  // namespace crease
