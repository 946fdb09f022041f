// The CUDA kernel of weighted Gram matrices in the emulator, against values of the formula.
#include "tests/support/simt_emulator.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/gram.cuh"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

TEST(GramEmulatedTest, RowsAreScaledByTheRootsOfTheirWeights) {
  const auto cpu = make_cpu_device({1, true});
  const HostMatrix z = with_zeros_and_ties(distinct(33, 65));
  HostMatrix weights = with_zeros_and_ties(distinct(33, 1, 0.5));
  HostMatrix expected = z;
  for (Index i = 0; i < 33; ++i) {
    weights(i, 0) = std::abs(weights(i, 0));
    for (Index j = 0; j < 65; ++j) expected(i, j) = std::sqrt(weights(i, 0)) * z(i, j);
  }
  for (const simt::LaneOrder order : simt::kEveryOrder) {
    Padded from(*cpu, z);
    Padded by(*cpu, weights);
    Padded out(*cpu, 33, 65);
    const ConstDeviceView a = from;
    const ConstDeviceView w = by;
    const DeviceView rows = out;
    simt::launch({2, 2}, {32, 8}, 0, order, [&] { scale_by_roots_kernel(a, w, rows); });
    EXPECT_TRUE(same_bits(out.read(), expected)) << order.name();
  }
}

}  // namespace
}  // namespace crease
