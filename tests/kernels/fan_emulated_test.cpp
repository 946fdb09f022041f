// The CUDA kernel of fans in the emulator, against the CPU twin.
#include "tests/support/simt_emulator.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cuda/fan.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

struct FanCase {
  HostMatrix offsets;   // [m, k]
  HostMatrix slopes_t;  // [k, q]
  HostMatrix output;    // [p, k]
  HostMatrix constant;  // [m, p]
  HostMatrix tilt;      // [q, p]
  HostMatrix steps;     // [m, q]
};

FanCase fan_case(Index m, Index q, Index k, Index p) {
  return {with_zeros_and_ties(distinct(m, k)),       with_zeros_and_ties(distinct(k, q, 0.125)),
          with_zeros_and_ties(distinct(p, k)),       distinct(m, p, 0.5),
          with_zeros_and_ties(distinct(q, p, -0.5)), with_zeros_and_ties(distinct(m, q, 0.25))};
}

/// The sum of |terms| of relu_fan_sum.
HostMatrix terms_of(const FanCase& fan) {
  const Index q = fan.steps.cols();
  HostMatrix terms(fan.steps.rows() * q, fan.output.rows());
  for (Index row = 0; row < terms.rows(); ++row) {
    const Index i = row / q;
    const Index j = row % q;
    const double s = std::abs(fan.steps(i, j));
    for (Index o = 0; o < terms.cols(); ++o) {
      double size = std::abs(fan.constant(i, o)) + s * std::abs(fan.tilt(j, o));
      for (Index r = 0; r < fan.offsets.cols(); ++r) {
        size += std::abs(fan.output(o, r)) *
                (std::abs(fan.offsets(i, r)) + s * std::abs(fan.slopes_t(r, j)));
      }
      terms(row, o) = size;
    }
  }
  return terms;
}

HostMatrix on_the_cpu(Device& cpu, const FanCase& fan) {
  DeviceMatrix out(cpu, fan.steps.rows() * fan.steps.cols(), fan.output.rows());
  relu_fan_sum(cpu, upload(cpu, fan.offsets), upload(cpu, fan.slopes_t), upload(cpu, fan.output),
               upload(cpu, fan.constant), upload(cpu, fan.tilt), upload(cpu, fan.steps), out);
  return download(cpu, out);
}

template <class Shape>
HostMatrix in_the_emulator(Device& cpu, const FanCase& fan, unsigned blocks, bool wide,
                           simt::LaneOrder order) {
  // Wide rows start at multiples of 16 bytes, so they are copied as they are; others are in memory
  // that is NaN around them.
  Padded a(cpu, fan.offsets);
  Padded s(cpu, fan.slopes_t);
  Padded u(cpu, fan.output);
  const DeviceMatrix wide_a = upload(cpu, fan.offsets);
  const DeviceMatrix wide_s = upload(cpu, fan.slopes_t);
  const DeviceMatrix wide_u = upload(cpu, fan.output);
  const ConstDeviceView offsets = wide ? wide_a.view() : ConstDeviceView(a);
  const ConstDeviceView slopes_t = wide ? wide_s.view() : ConstDeviceView(s);
  const ConstDeviceView output = wide ? wide_u.view() : ConstDeviceView(u);
  Padded constant(cpu, fan.constant);
  Padded tilt(cpu, fan.tilt);
  Padded steps(cpu, fan.steps);
  const ConstDeviceView c = constant;
  const ConstDeviceView v = tilt;
  const ConstDeviceView at = steps;
  Padded out(cpu, fan.steps.rows() * fan.steps.cols(), fan.output.rows());
  const DeviceView view = out;
  simt::launch(blocks, kFanThreads, 0, order, [&] {
    relu_fan_sum_kernel<Shape>(offsets, slopes_t, output, c, v, at, view, wide);
  });
  return out.read();
}

template <class Shape>
void expect_fan_as_on_the_cpu(Index m, Index q, Index k, Index p, bool wide) {
  const auto cpu = make_cpu_device({1, true});
  const FanCase fan = fan_case(m, q, k, p);
  const HostMatrix expected = on_the_cpu(*cpu, fan);
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    for (const unsigned blocks : {1U, 3U}) {
      EXPECT_TRUE(near_sum(in_the_emulator<Shape>(*cpu, fan, blocks, wide, order), expected,
                           terms_of(fan), k + 2))
          << "m=" << m << " q=" << q << " k=" << k << " p=" << p << " " << order.name();
    }
  }
}

TEST(FanEmulatedTest, OneOutputAgreesWithTheCpuTwin) {
  expect_fan_as_on_the_cpu<FanShape<8, 4, 1>>(33, 130, 34, 1, true);
  expect_fan_as_on_the_cpu<FanShape<8, 4, 1>>(1, 129, 17, 1, false);
  expect_fan_as_on_the_cpu<FanShape<8, 2, 1>>(3, 65, 15, 1, false);
  expect_fan_as_on_the_cpu<FanShape<8, 1, 1>>(65, 31, 16, 1, false);
  expect_fan_as_on_the_cpu<FanShape<8, 1, 1>>(1, 1, 1, 1, false);
  expect_fan_as_on_the_cpu<FanShape<8, 1, 1>>(31, 1, 0, 1, false);
}

TEST(FanEmulatedTest, SeveralOutputsAgreeWithTheCpuTwin) {
  expect_fan_as_on_the_cpu<FanShape<4, 4, 2>>(17, 130, 18, 2, true);
  expect_fan_as_on_the_cpu<FanShape<4, 2, 2>>(2, 3, 33, 2, false);
  expect_fan_as_on_the_cpu<FanShape<4, 1, 2>>(5, 33, 7, 2, false);
  expect_fan_as_on_the_cpu<FanShape<4, 2, 4>>(18, 66, 36, 9, true);
  expect_fan_as_on_the_cpu<FanShape<4, 2, 4>>(3, 5, 33, 4, false);
  expect_fan_as_on_the_cpu<FanShape<4, 1, 4>>(3, 40, 31, 3, false);
}

TEST(FanEmulatedTest, WhatIsNotANumberShowsAlsoWhereANeuronIsOff) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto cpu = make_cpu_device({1, true});
  // Two centres and two directions; the neurons are off at the first centre.
  FanCase fan{{{-5, -5}, {5, 5}}, {{1, 1}, {1, 1}}, {{1, 1}},
              {{0}, {0}},         {{0}, {0}},       {{1, 1}, {1, 1}}};
  const auto expect_both = [&](const HostMatrix& expected) {
    EXPECT_TRUE(same_bits(on_the_cpu(*cpu, fan), expected));
    for (const simt::LaneOrder order : simt::kEveryOrder) {
      EXPECT_TRUE(
          same_bits(in_the_emulator<FanShape<8, 1, 1>>(*cpu, fan, 1, false, order), expected));
    }
  };
  expect_both({{0}, {0}, {12}, {12}});
  fan.slopes_t(1, 0) = nan;
  expect_both({{nan}, {0}, {nan}, {12}});
  fan.slopes_t(1, 0) = -nan;
  expect_both({{nan}, {0}, {nan}, {12}});
  fan.slopes_t(1, 0) = -infinity;
  expect_both({{0}, {0}, {6}, {12}});
  fan.slopes_t(1, 0) = 1;
  // An infinite weight: what is not finite may be NaN or infinite, twin by twin.
  fan.output(0, 1) = infinity;
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    const HostMatrix got = in_the_emulator<FanShape<8, 1, 1>>(*cpu, fan, 1, false, order);
    const HostMatrix truth = on_the_cpu(*cpu, fan);
    for (Index row = 0; row < 4; ++row) {
      EXPECT_FALSE(std::isfinite(got(row, 0)));
      EXPECT_FALSE(std::isfinite(truth(row, 0)));
    }
  }
}

}  // namespace
}  // namespace crease
