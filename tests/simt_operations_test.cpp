// What the operations of the emulator compute: shuffles, votes, atomics, tensor cores, copies.
#include "tests/support/simt_emulator.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace crease {
namespace {

using simt::Fault;
using simt::kEveryOrder;
using simt::kFullMask;
using simt::LaneOrder;

TEST(SimtOperationsTest, ShufflesMoveValuesAsTheGuideSays) {
  for (const LaneOrder order : kEveryOrder) {
    for (const int width : {32, 8}) {
      simt::launch(1, 64, 0, order, [&] {
        const int lane = static_cast<int>(threadIdx.x) % 32;
        const int begin = lane / width * width;  // of the lane's segment
        EXPECT_EQ(__shfl_sync(kFullMask, lane, 3, width), begin + 3);
        EXPECT_EQ(__shfl_sync(kFullMask, 1.5 * lane, 13, width), 1.5 * (begin + 13 % width));
        EXPECT_EQ(__shfl_up_sync(kFullMask, static_cast<long>(lane), 3, width),
                  lane - 3 < begin ? lane : lane - 3);
        EXPECT_EQ(__shfl_down_sync(kFullMask, static_cast<unsigned>(lane), 5, width),
                  static_cast<unsigned>(lane + 5 < begin + width ? lane + 5 : lane));
        EXPECT_EQ(__shfl_xor_sync(kFullMask, 0.25 * lane, 6, width), 0.25 * (lane ^ 6));
      });
    }
  }
}

TEST(SimtOperationsTest, PartsOfAWarpWorkApart) {
  for (const LaneOrder order : kEveryOrder) {
    simt::launch(1, 32, 0, order, [&] {
      const int lane = static_cast<int>(threadIdx.x);
      const unsigned mask = lane < 8 ? 0xffU : 0xffffff00U;
      int sum = lane;
      for (int round = 0; round < (lane < 8 ? 3 : 5); ++round) {
        sum += __shfl_sync(mask, sum, lane < 8 ? 1 : 9);
      }
      // Lane s doubles itself each round; the others add what it was.
      EXPECT_EQ(sum, lane < 8 ? lane + 7 : lane + 31 * 9) << lane;
    });
  }
}

TEST(SimtOperationsTest, VotesCountTheLanesThatHold) {
  for (const LaneOrder order : kEveryOrder) {
    simt::launch(1, 40, 0, order, [&] {
      const bool third = threadIdx.x % 3 == 0;
      const unsigned mask = threadIdx.x < 32 ? kFullMask : 0xffU;
      const unsigned expected = threadIdx.x < 32 ? 0x49249249U : 0x92U;  // 33, 36, 39
      EXPECT_EQ(__ballot_sync(mask, third), expected);
      EXPECT_EQ(__any_sync(mask, threadIdx.x == 32), threadIdx.x < 32 ? 0 : 1);
      EXPECT_EQ(__all_sync(mask, threadIdx.x < 32), threadIdx.x < 32 ? 1 : 0);
      EXPECT_EQ(__syncthreads_count(third), 14);
      EXPECT_EQ(__syncthreads_or(threadIdx.x == 39), 1);
      EXPECT_EQ(__syncthreads_or(0), 0);
      EXPECT_EQ(__syncthreads_and(threadIdx.x != 39), 0);
      EXPECT_EQ(__syncthreads_and(1), 1);
    });
  }
}

TEST(SimtOperationsTest, AtomicsAddUpInEveryOrder) {
  for (const LaneOrder order : kEveryOrder) {
    int count = 0;
    unsigned long long least = std::numeric_limits<unsigned long long>::max();
    int most = -1;
    unsigned product = 1;
    simt::launch(3, 70, 0, order, [&] {
      atomicAdd(&count, 2);
      atomicMin(&least, threadIdx.x + 5ULL);
      atomicMax(&most, static_cast<int>(threadIdx.x));
      unsigned seen = product;
      for (unsigned expected = 0; seen != expected;) {
        expected = seen;
        seen = atomicCAS(&product, expected, expected * 3);
      }
    });
    unsigned power = 1;
    for (int i = 0; i < 210; ++i) power *= 3;
    EXPECT_EQ(count, 420) << order.name();
    EXPECT_EQ(least, 5U) << order.name();
    EXPECT_EQ(most, 69) << order.name();
    EXPECT_EQ(product, power) << order.name();
  }
}

/// Adds one, in two steps that others may come between.
__global__ void torn_add_kernel(int* count) {
  const int seen = atomicAdd(count, 0);
  atomicExch(count, seen + 1);
}

TEST(SimtOperationsTest, AnAddTornIntoTwoAtomicsLosesCountsInRandomOrder) {
  int count = 0;
  simt::launch(1, 256, 0, kEveryOrder[2], [&] { torn_add_kernel(&count); });
  EXPECT_LT(count, 256);
}

TEST(SimtOperationsTest, BitsAreCountedAndFoundAsInCuda) {
  EXPECT_EQ(__popc(0xf0f0U), 8);
  EXPECT_EQ(__popcll(~0ULL), 64);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1LL << 40), 41);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(-1), 0);
  EXPECT_EQ(__clzll(1), 63);
  EXPECT_EQ(__longlong_as_double(__double_as_longlong(-0.1)), -0.1);
  EXPECT_EQ(__fma_rn(1 + 0x1p-30, 1 + 0x1p-30, -1.0), 0x1p-29 + 0x1p-60);  // one rounding: exact
  EXPECT_EQ(__dadd_rn(__dmul_rn(1 + 0x1p-30, 1 + 0x1p-30), -1.0), 0x1p-29);
}

TEST(SimtOperationsTest, TensorCoreProductsAreProducts) {
  double a[16][8];
  double b[8][8];
  double expected[16][8];
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 8; ++k) a[i][k] = 10 * i + k - 40;
  }
  for (int k = 0; k < 8; ++k) {
    for (int j = 0; j < 8; ++j) b[k][j] = 7 * k - 3 * j + (k * j) % 5;
  }
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      expected[i][j] = 1000 * i + j;
      for (int k = 0; k < 8; ++k) expected[i][j] += a[i][k] * b[k][j];  // whole numbers: exact
    }
  }
  for (const LaneOrder order : kEveryOrder) {
    simt::launch(1, 64, 0, order, [&] {
      const int lane = static_cast<int>(threadIdx.x) % 32;
      const int group = lane / 4;
      const int place = lane % 4;
      const double left[4] = {a[group][place], a[group + 8][place], a[group][place + 4],
                              a[group + 8][place + 4]};
      const double right[2] = {b[place][group], b[place + 4][group]};
      double c[4];
      for (int i = 0; i < 4; ++i) c[i] = 1000 * (group + i / 2 * 8) + 2 * place + i % 2;
      mma_f64_16x8x8(c, left, right);
      for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(c[i], expected[group + i / 2 * 8][2 * place + i % 2]) << order.name();
      }
    });
  }
}

TEST(SimtOperationsTest, ATensorCoreProductWithoutAllLanesIsAFault) {
  const auto kernel = [] {
    double c[4] = {};
    if (threadIdx.x != 5) mma_f64_16x8x8(c, {1, 2, 3, 4}, {5, 6});
  };
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_THROW(simt::launch(1, 32, 0, order, kernel), Fault);
  }
}

/// Three stages of copies, read two groups behind; kPending says how many may still be on their
/// way.
template <int kPending>
__global__ void pipeline_kernel(const double* x, double* out) {
  __shared__ __align__(16) double stage[3][64];
  const unsigned me = threadIdx.x;
  for (int s = 0; s < 3; ++s) {
    if (me < 16) copy_async_16(&stage[s][2 * me], x + 64 * s + 2 * me);
    if (me >= 32) copy_async_8(&stage[s][me], x + 64 * s + me);
    copy_async_commit();
  }
  copy_async_wait<kPending>();
  __syncthreads();
  for (int s = 0; s < 3; ++s) out[64 * s + me] = stage[s][63 - me];
}

TEST(SimtOperationsTest, CopiesArriveWhenTheyAreWaitedForAndNotBefore) {
  alignas(16) double x[192];
  for (int i = 0; i < 192; ++i) x[i] = i;
  for (const LaneOrder order : kEveryOrder) {
    double all[192];
    double two[192];
    simt::launch(1, 64, 0, order, [&] { pipeline_kernel<0>(x, all); });
    simt::launch(1, 64, 0, order, [&] { pipeline_kernel<1>(x, two); });
    for (int i = 0; i < 192; ++i) {
      const double expected = i / 64 * 64 + 63 - i % 64;
      EXPECT_EQ(all[i], expected) << order.name();
      if (i < 128) {
        EXPECT_EQ(two[i], expected) << order.name();
      } else {
        EXPECT_TRUE(std::isnan(two[i])) << order.name();
      }
    }
  }
}

TEST(SimtOperationsTest, ACopyOfAddressesThatAreNotAlignedIsAFault) {
  alignas(16) const double x[4] = {1, 2, 3, 4};
  const auto kernel = [&](int from) {
    __shared__ __align__(16) double to[2];
    copy_async_16(to, x + from);
  };
  EXPECT_NO_THROW(simt::launch(1, 1, 0, LaneOrder{}, [&] { kernel(2); }));
  EXPECT_THROW(simt::launch(1, 1, 0, LaneOrder{}, [&] { kernel(1); }), Fault);
}

}  // namespace
}  // namespace crease
