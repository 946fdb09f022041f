// A function on the host as a black box.
#include <crease/oracle.hpp>

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

class HostOracleTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(HostOracleTest);

/// (x0 + 2 x1, -x1)
void some_function(ConstHostView x, HostView y) {
  for (Index i = 0; i < x.rows; ++i) {
    y(i, 0) = x(i, 0) + 2 * x(i, 1);
    y(i, 1) = -x(i, 1);
  }
}

TEST_P(HostOracleTest, ItAnswersRowByRowThroughViewsWithAStride) {
  const std::unique_ptr<Oracle> oracle = make_host_oracle(2, 2, some_function);
  EXPECT_EQ(oracle->input_dim(), 2);
  EXPECT_EQ(oracle->output_dim(), 2);
  Padded x(device(), HostMatrix{{1, 2}, {3, -4}, {0, 0.5}});
  Padded y(device(), 3, 2);
  oracle->answer(device(), x, y);
  EXPECT_TRUE(same_bits(y.read(), {{5, -2}, {-5, 4}, {1, -0.5}}));
}

TEST_P(HostOracleTest, LinesAndFansAreLeftToItsPoints) {
  const std::unique_ptr<Oracle> oracle = make_host_oracle(2, 2, some_function);
  const DeviceMatrix row = upload(device(), HostMatrix{{1, 2}});
  const DeviceMatrix t = upload(device(), HostMatrix{{1}, {2}});
  const DeviceMatrix steps = upload(device(), HostMatrix{{1}});
  const HostMatrix before = {{7, 7}, {7, 7}};
  DeviceMatrix y = upload(device(), before);
  EXPECT_FALSE(oracle->answer_line(device(), {row, row}, t, y));
  EXPECT_FALSE(oracle->answer_fan(device(), {row, row, steps}, y.view().row_block(0, 1)));
  EXPECT_TRUE(same_bits(download(device(), y), before));
}

TEST_P(HostOracleTest, WhatTheFunctionThrowsPassesThrough) {
  const std::unique_ptr<Oracle> oracle = make_host_oracle(
      1, 1, [](ConstHostView, HostView) { throw std::runtime_error("out of order"); });
  const DeviceMatrix x = upload(device(), HostMatrix{{1}});
  DeviceMatrix y(device(), 1, 1);
  EXPECT_THROW(oracle->answer(device(), x, y), std::runtime_error);
}

TEST(HostOracleDataTest, AFunctionThatIsNoneIsRefused) {
  EXPECT_THROW(make_host_oracle(0, 1, some_function), BadInput);
  EXPECT_THROW(make_host_oracle(1, 0, some_function), BadInput);
  EXPECT_THROW(make_host_oracle(1, 1, HostFunction()), BadInput);
}

}  // namespace
}  // namespace crease
