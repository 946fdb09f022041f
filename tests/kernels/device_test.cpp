// Devices: memory, copies, order of work, what is counted, and the choice of a GPU.
#include <crease/device.hpp>

#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/cli/cuda_choice.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

class DeviceTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(DeviceTest);

TEST_P(DeviceTest, NameSaysWhatItIs) {
  const std::string name = device().name();
  if (GetParam() == Backend::cpu) {
    EXPECT_EQ(name, "cpu (2 threads)");
  } else {
    EXPECT_EQ(name.rfind("cuda (", 0), 0U) << name;
  }
}

TEST_P(DeviceTest, WhatGoesUpComesDown) {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {31, 33}, {1, 257}, {257, 1}}) {
    const HostMatrix values = with_zeros_and_ties(distinct(rows, cols));
    EXPECT_TRUE(same_bits(download(device(), upload(device(), values)), values));
    EXPECT_TRUE(same_bits(Padded(device(), values).read(), values));
  }
}

TEST_P(DeviceTest, HostViewsMayHaveAStride) {
  HostMatrix wide = distinct(5, 9);
  const ConstHostView inside = ConstHostView(wide).row_block(1, 3).col_block(2, 4);
  HostMatrix expected(3, 4);
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 4; ++j) expected(i, j) = wide(i + 1, j + 2);
  }
  const DeviceMatrix there = upload(device(), inside);
  EXPECT_TRUE(same_bits(download(device(), there), expected));

  HostMatrix target(5, 9, 7.0);
  HostMatrix all_but_inside = target;
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 4; ++j) all_but_inside(i + 1, j + 2) = wide(i + 1, j + 2);
  }
  device().copy_out(there, target.view().row_block(1, 3).col_block(2, 4));
  EXPECT_TRUE(same_bits(target, all_but_inside));
}

TEST_P(DeviceTest, LargeCopiesArriveWhole) {
  // More than any staging buffer holds: in many rows, and in one.
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1500, 1001}, {1, 1300000}}) {
    const HostMatrix values = distinct(rows, cols);
    EXPECT_TRUE(same_bits(Padded(device(), values).read(), values)) << rows << " x " << cols;
  }
}

TEST_P(DeviceTest, HostMemoryIsFreeOnceUploadReturns) {
  HostMatrix values = distinct(64, 64);
  const HostMatrix before = values;
  const DeviceMatrix there = upload(device(), values);
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = -7.0;
  EXPECT_TRUE(same_bits(download(device(), there), before));
}

TEST_P(DeviceTest, WorkIsDoneInTheOrderItWasAskedFor) {
  DeviceMatrix y(device(), 257, 33);
  DeviceMatrix one(device(), 1, 33);
  fill(device(), 1.0, one);
  fill(device(), 0.0, y);
  for (int i = 0; i < 50; ++i) {
    add_row(device(), one, y);
    // Freed at once: its memory may be handed out again before the GPU has come this far.
    DeviceMatrix copied(device(), 257, 33);
    copy(device(), y, copied);
    copy(device(), copied, y);
  }
  EXPECT_TRUE(same_bits(download(device(), y), HostMatrix(257, 33, 50.0)));
}

TEST_P(DeviceTest, FreshMemoryIsPoisoned) {
  for (int i = 0; i < 3; ++i) {
    DeviceMatrix fresh(device(), 7, 5);
    const HostMatrix seen = download(device(), fresh);
    for (Index e = 0; e < seen.size(); ++e) EXPECT_TRUE(std::isnan(seen.data()[e]));
    fill(device(), 3.0, fresh);
  }
}

TEST_P(DeviceTest, StatsCountBytes) {
  EXPECT_EQ(device().stats().bytes_in_use, 0);
  {
    const DeviceMatrix a = upload(device(), HostMatrix(3, 5));
    DeviceMatrix b(device(), 10, 2);
    EXPECT_EQ(device().stats().bytes_in_use, 8 * 35);
    EXPECT_EQ(download(device(), a).size(), 15);
  }
  EXPECT_EQ(device().stats().bytes_in_use, 0);
  EXPECT_EQ(device().stats().peak_bytes, 8 * 35);
  EXPECT_EQ(device().stats().uploaded_bytes, 8 * 15);
  EXPECT_EQ(device().stats().downloaded_bytes, 8 * 15);
}

TEST_P(DeviceTest, MatricesMove) {
  const HostMatrix values = distinct(3, 4);
  DeviceMatrix a = upload(device(), values);
  DeviceMatrix b = std::move(a);
  EXPECT_TRUE(same_bits(download(device(), b), values));
  DeviceMatrix c(device(), 1, 1);
  c = std::move(b);
  EXPECT_TRUE(same_bits(download(device(), c), values));
}

TEST_P(DeviceTest, EmptyMatricesAreMatrices) {
  const DeviceMatrix none = upload(device(), HostMatrix(0, 5));
  EXPECT_EQ(none.cols(), 5);
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(same_bits(download(device(), none), HostMatrix(0, 5)));
  EXPECT_EQ(device().stats().uploaded_bytes, 0);
}

TEST_P(DeviceTest, MemoryThatIsNotThereIsADeviceError) {
  EXPECT_THROW(DeviceMatrix(device(), Index{1} << 40, Index{1} << 20), DeviceError);
  EXPECT_EQ(device().stats().bytes_in_use, 0);
  // The device goes on.
  const HostMatrix values = distinct(2, 2);
  EXPECT_TRUE(same_bits(download(device(), upload(device(), values)), values));
}

TEST_P(DeviceTest, BadSizesAreRefused) {
  EXPECT_THROW(DeviceMatrix(device(), -1, 2), BadInput);
  EXPECT_THROW(DeviceMatrix(device(), 2, -1), BadInput);
  EXPECT_THROW(DeviceMatrix(device(), Index{1} << 40, Index{1} << 40), BadInput);
  DeviceMatrix a(device(), 2, 3);
  HostMatrix other(3, 2);
  EXPECT_THROW(device().copy_in(other, a), BadInput);
  EXPECT_THROW(device().copy_out(a, other), BadInput);
  EXPECT_THROW(a.view().row_block(1, 2), BadInput);
  EXPECT_THROW(a.view().row_block(-1, 1), BadInput);
  EXPECT_THROW(a.view().col_block(0, 4), BadInput);
  EXPECT_THROW(a.view().col_block(1, -1), BadInput);
}

TEST(HostMatrixTest, BadSizesAreRefused) {
  EXPECT_THROW(HostMatrix(-1, 2), BadInput);
  EXPECT_THROW(HostMatrix(2, -1), BadInput);
  EXPECT_THROW(HostMatrix(Index{1} << 40, Index{1} << 40), BadInput);
  EXPECT_THROW((HostMatrix{{1, 2}, {3}}), BadInput);
}

TEST(CpuDeviceTest, ANegativeThreadCountIsRefused) {
  EXPECT_THROW(make_cpu_device({.threads = -1}), BadInput);
  EXPECT_EQ(make_cpu_device({.threads = 1})->name(), "cpu (1 thread)");
}

TEST(CudaChoiceTest, WithoutAGpuOpeningOneSaysSo) {
  if (gpus_at_hand() > 0) GTEST_SKIP() << "there is a GPU";
  try {
    open_gpu();
    FAIL() << "a GPU was opened where there is none";
  } catch (const DeviceError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("no CUDA device", 0), 0U) << error.what();
  }
}

}  // namespace
}  // namespace crease
