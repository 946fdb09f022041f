// The emulator itself: what it computes, and that it catches what is planted.
#include "tests/support/simt_emulator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/cuda/dynamic_shared.cuh"
#include "tests/support/simt_fiber.hpp"

namespace crease {
namespace {

using simt::Fault;
using simt::kEveryOrder;
using simt::kFullMask;
using simt::LaneOrder;
using testing::AllOf;
using testing::HasSubstr;

std::vector<double> numbers(int count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

/// What launch() throws; empty if nothing.
std::string fault_of(simt::dim3 block, LaneOrder order, const std::function<void()>& kernel) {
  try {
    simt::launch(1, block, 0, order, kernel);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "";
}

/// The sum of 96 numbers, by a tree in shared memory. Without the barrier a lane adds what its
/// partner has not written yet.
template <bool kWithBarrier>
__global__ void tree_sum_kernel(const double* x, double* sum) {
  __shared__ double part[128];
  const unsigned me = threadIdx.x;
  part[me] = x[me];
  if (me + blockDim.x < 128) part[me + blockDim.x] = 0.0;
  for (unsigned half = 64; half > 0; half /= 2) {
    if (kWithBarrier) __syncthreads();
    if (me < half) part[me] += part[me + half];
  }
  if (me == 0) *sum = part[0];
}

double tree_sum(bool with_barrier, LaneOrder order) {
  const std::vector<double> x = numbers(96);
  double sum = -1.0;
  simt::launch(1, 96, 0, order, [&] {
    with_barrier ? tree_sum_kernel<true>(x.data(), &sum) : tree_sum_kernel<false>(x.data(), &sum);
  });
  return sum;
}

TEST(SimtEmulatorTest, BarriersLetABlockAddUpInEveryOrder) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_EQ(tree_sum(true, order), 96.0 * 97.0 / 2.0) << order.name();
  }
}

TEST(SimtEmulatorTest, AMissingBarrierShowsInSomeOrder) {
  int right = 0;
  for (const LaneOrder order : kEveryOrder) right += tree_sum(false, order) == 96.0 * 97.0 / 2.0;
  EXPECT_LT(right, 3);
}

/// Every thread passes a number on to its neighbour, twice through the same array. Without the
/// second barrier it is overwritten before the neighbour has read it.
template <bool kWithBarrier>
__global__ void pass_on_kernel(int* out) {
  __shared__ int box[64];
  const int me = static_cast<int>(threadIdx.x);
  int sum = 0;
  for (int round = 1; round <= 2; ++round) {
    box[me] = 100 * round + me;
    __syncthreads();
    sum += box[(me + 1) % 64];
    if (kWithBarrier) __syncthreads();
  }
  out[me] = sum;
}

int wrong_after_passing_on(bool with_barrier, LaneOrder order) {
  std::vector<int> out(64);
  simt::launch(1, 64, 0, order, [&] {
    with_barrier ? pass_on_kernel<true>(out.data()) : pass_on_kernel<false>(out.data());
  });
  int wrong = 0;
  for (int i = 0; i < 64; ++i) {
    wrong += out[static_cast<std::size_t>(i)] != 300 + 2 * ((i + 1) % 64) ? 1 : 0;
  }
  return wrong;
}

TEST(SimtEmulatorTest, AnArrayOverwrittenBeforeItsReadersAreDoneShowsInSomeOrder) {
  int wrong = 0;
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_EQ(wrong_after_passing_on(true, order), 0) << order.name();
    wrong += wrong_after_passing_on(false, order);
  }
  EXPECT_GT(wrong, 0);
}

template <bool kWithBarrier>
__global__ void warp_turn_kernel(double* out) {
  __shared__ double box[64];
  const unsigned me = threadIdx.x;
  box[me] = me;
  if (kWithBarrier) __syncwarp();
  out[me] = box[me ^ 1U];
}

TEST(SimtEmulatorTest, AMissingWarpBarrierShowsInEveryOrder) {
  for (const LaneOrder order : kEveryOrder) {
    std::vector<double> with(64);
    std::vector<double> without(64);
    simt::launch(1, 64, 0, order, [&] { warp_turn_kernel<true>(with.data()); });
    simt::launch(1, 64, 0, order, [&] { warp_turn_kernel<false>(without.data()); });
    int wrong = 0;
    for (unsigned i = 0; i < 64; ++i) {
      EXPECT_EQ(with[i], i ^ 1U) << order.name();
      wrong += without[i] == (i ^ 1U) ? 0 : 1;
    }
    EXPECT_GE(wrong, 32) << order.name();  // of two neighbours the first to run reads NaN
  }
}

/// Shared memory as a block finds it, and a mark left for the block after it.
__global__ void fresh_kernel(int* not_nan) {
  __shared__ double fixed[33];
  double* dynamic = dynamic_shared<double>();
  const unsigned me = threadIdx.x;
  atomicAdd(not_nan, isnan(fixed[me]) && isnan(dynamic[me]) ? 0 : 1);
  fixed[me] = 1.0;
  dynamic[me] = 1.0;
}

TEST(SimtEmulatorTest, SharedMemoryIsNanWhenABlockBegins) {
  for (const LaneOrder order : kEveryOrder) {
    int not_nan = 0;
    simt::launch(5, 33, 33 * sizeof(double), order, [&] { fresh_kernel(&not_nan); });
    EXPECT_EQ(not_nan, 0) << order.name();
  }
}

TEST(SimtEmulatorTest, EveryThreadOfEveryBlockRunsOnceInTheOrderOfItsLaunch) {
  const simt::dim3 grid(3, 2, 2);
  const simt::dim3 block(5, 3, 2);
  std::vector<std::vector<unsigned>> runs;
  for (const LaneOrder order : kEveryOrder) {
    std::vector<unsigned> seen;
    simt::launch(grid, block, 0, order, [&] {
      const unsigned b = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
      const unsigned t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
      seen.push_back(b * 30 + t);
    });
    runs.push_back(seen);
  }
  std::vector<unsigned> forward(360);
  std::iota(forward.begin(), forward.end(), 0U);
  EXPECT_EQ(runs[0], forward);
  EXPECT_EQ(runs[1], std::vector<unsigned>(forward.rbegin(), forward.rend()));
  EXPECT_NE(runs[2], runs[0]);
  EXPECT_NE(runs[2], runs[1]);
  EXPECT_THAT(runs[2], testing::UnorderedElementsAreArray(forward));
}

// --- barriers that are not met ------------------------------------------------------------------

__global__ void some_return_kernel(unsigned stay) {
  if (threadIdx.x >= stay) return;
  __syncthreads();
}

TEST(SimtEmulatorTest, ABarrierThatSomeThreadsNeverReachIsAFault) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_EQ(fault_of(48, order, [] { some_return_kernel(48); }), "");
    EXPECT_THAT(
        fault_of(48, order, [] { some_return_kernel(40); }),
        AllOf(HasSubstr("thread (0, 0, 0) waits at __syncthreads"), HasSubstr("some_return_kernel"),
              HasSubstr("simt_emulator_test.cpp:"), HasSubstr("thread (40, 0, 0) has returned")));
  }
}

__global__ void two_barriers_kernel(unsigned split) {
  if (threadIdx.x < split) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(SimtEmulatorTest, TwoBarriersInTwoBranchesAreAFault) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_EQ(fault_of(32, order, [] { two_barriers_kernel(32); }), "");
    EXPECT_THAT(fault_of(32, order, [] { two_barriers_kernel(31); }),
                HasSubstr("but thread (31, 0, 0) waits at __syncthreads"));
  }
}

__global__ void mixed_barriers_kernel(unsigned split) {
  if (threadIdx.x < split) __syncthreads();
  __syncwarp();
  if (threadIdx.x >= split) __syncthreads();
}

TEST(SimtEmulatorTest, AWarpThatWaitsForALaneAtABlockBarrierIsAFault) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_EQ(fault_of(64, order, [] { mixed_barriers_kernel(64); }), "");
    EXPECT_EQ(fault_of(64, order, [] { mixed_barriers_kernel(0); }), "");
    EXPECT_THAT(fault_of(64, order, [] { mixed_barriers_kernel(7); }),
                AllOf(HasSubstr("waits at __syncwarp"), HasSubstr("mask 0xffffffff"),
                      HasSubstr("but thread (0, 0, 0) waits at __syncthreads")));
  }
}

__global__ void shuffle_kernel(unsigned mask, unsigned come, int source) {
  if ((come >> threadIdx.x & 1U) != 0) __shfl_sync(mask, 1.0, source);
}

TEST(SimtEmulatorTest, AShuffleThatLacksALaneIsAFault) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_EQ(fault_of(32, order, [] { shuffle_kernel(kFullMask, kFullMask, 0); }), "");
    EXPECT_EQ(fault_of(32, order, [] { shuffle_kernel(0xf0, 0xf0, 4); }), "");
    EXPECT_THAT(fault_of(32, order, [] { shuffle_kernel(kFullMask, 0x7fffffff, 0); }),
                AllOf(HasSubstr("waits at __shfl_sync"), HasSubstr("shuffle_kernel"),
                      HasSubstr("thread (31, 0, 0) has returned")));
  }
}

TEST(SimtEmulatorTest, AShuffleOutsideItsMaskIsAFault) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_THAT(fault_of(32, order, [] { shuffle_kernel(0xf0, 0xf0, 3); }),
                HasSubstr("reads lane 3 in __shfl_sync"));
    EXPECT_THAT(fault_of(32, order, [] { shuffle_kernel(0xf0, 0x1f0, 4); }),
                HasSubstr("thread (8, 0, 0) of block (0, 0, 0) calls __shfl_sync with a mask"));
    EXPECT_THAT(fault_of(31, order, [] { shuffle_kernel(kFullMask, kFullMask, 0); }),
                HasSubstr("lanes that the block does not have"));
  }
}

// --- out of bounds ------------------------------------------------------------------------------

__global__ void read_static_kernel(int index, double* out) {
  __shared__ double tile[37];
  for (int i = 0; i < 37; ++i) tile[i] = i;
  const double* first = tile;
  *out = first[index];
}

__global__ void read_dynamic_kernel(int index, double* out) {
  double* tile = dynamic_shared<double>();
  for (int i = 0; i < 37; ++i) tile[i] = i;
  *out = tile[index];
}

__global__ void read_global_kernel(const double* x, int index, double* out) {
  *out = x[index];
}

__global__ void write_static_kernel(int index) {
  __shared__ double tile[37];
  double* first = tile;
  first[index] = 1.0;
}

__global__ void write_dynamic_kernel(int index) {
  dynamic_shared<double>()[index] = 1.0;
}

double run_alone(std::size_t dynamic_bytes, const std::function<void(double*)>& kernel) {
  double out = -1.0;
  simt::launch(1, 1, dynamic_bytes, LaneOrder{}, [&] { kernel(&out); });
  return out;
}

class SimtEmulatorDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

/// A read out of bounds ends the program under AddressSanitizer; elsewhere it gives NaN.
#define EXPECT_CAUGHT_READ(read)                                    \
  do {                                                              \
    if constexpr (simt::kAddressSanitizer) {                        \
      EXPECT_DEATH((void)(read), "AddressSanitizer|runtime error"); \
    } else {                                                        \
      EXPECT_TRUE(std::isnan(read));                                \
    }                                                               \
  } while (false)

/// A write out of bounds ends the program under AddressSanitizer; elsewhere it is a Fault.
#define EXPECT_CAUGHT_WRITE(write)             \
  do {                                         \
    if constexpr (simt::kAddressSanitizer) {   \
      EXPECT_DEATH(write, "AddressSanitizer"); \
    } else {                                   \
      EXPECT_THROW(write, Fault);              \
    }                                          \
  } while (false)

TEST_F(SimtEmulatorDeathTest, ReadsBesideStaticSharedMemoryAreCaught) {
  const auto read = [](int index) {
    return run_alone(0, [&](double* out) { read_static_kernel(index, out); });
  };
  EXPECT_EQ(read(36), 36.0);
  EXPECT_CAUGHT_READ(read(37));
  EXPECT_CAUGHT_READ(read(-1));
}

TEST_F(SimtEmulatorDeathTest, ReadsBesideDynamicSharedMemoryAreCaught) {
  const auto read = [](int index) {
    return run_alone(37 * sizeof(double), [&](double* out) { read_dynamic_kernel(index, out); });
  };
  EXPECT_EQ(read(36), 36.0);
  EXPECT_CAUGHT_READ(read(37));
  EXPECT_CAUGHT_READ(read(-1));
}

TEST_F(SimtEmulatorDeathTest, ReadsBesideGlobalMemoryAreCaught) {
  // As the tests of kernels have it: a row inside of a padded matrix, whose neighbours are NaN.
  // Where AddressSanitizer looks, the bare row serves.
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> padded{kNan, 1.0, 2.0, 3.0, kNan};
  const std::vector<double> bare{1.0, 2.0, 3.0};
  const double* x = simt::kAddressSanitizer ? bare.data() : padded.data() + 1;
  const auto read = [&](int index) {
    return run_alone(0, [&](double* out) { read_global_kernel(x, index, out); });
  };
  EXPECT_EQ(read(2), 3.0);
  EXPECT_CAUGHT_READ(read(3));
  EXPECT_CAUGHT_READ(read(-1));
}

TEST_F(SimtEmulatorDeathTest, WritesBesideSharedMemoryAreCaught) {
  const auto write_static = [](int index) {
    simt::launch(1, 1, 0, LaneOrder{}, [&] { write_static_kernel(index); });
  };
  const auto write_dynamic = [](int index) {
    simt::launch(1, 1, 37 * sizeof(double), LaneOrder{}, [&] { write_dynamic_kernel(index); });
  };
  EXPECT_NO_THROW(write_static(36));
  EXPECT_CAUGHT_WRITE(write_static(-1));
  EXPECT_NO_THROW(write_dynamic(36));
  EXPECT_CAUGHT_WRITE(write_dynamic(37));
  EXPECT_CAUGHT_WRITE(write_dynamic(-1));
}

// --- launches -----------------------------------------------------------------------------------

TEST(SimtEmulatorTest, LaunchesThatNoGpuWouldTakeAreRefused) {
  const auto nothing = [] {};
  EXPECT_NO_THROW(simt::launch(1, {32, 32}, 227 * 1024, LaneOrder{}, nothing));
  EXPECT_THROW(simt::launch(0, 32, 0, LaneOrder{}, nothing), Fault);
  EXPECT_THROW(simt::launch(1, 0, 0, LaneOrder{}, nothing), Fault);
  EXPECT_THROW(simt::launch(1, {32, 33}, 0, LaneOrder{}, nothing), Fault);
  EXPECT_THROW(simt::launch({1, 65536}, 1, 0, LaneOrder{}, nothing), Fault);
  EXPECT_THROW(simt::launch(1, 1, 227 * 1024 + 1, LaneOrder{}, nothing), Fault);
}

TEST(SimtEmulatorTest, AnExceptionLeavesAKernelAndTheNextLaunchIsAsGoodAsNew) {
  for (const LaneOrder order : kEveryOrder) {
    EXPECT_THROW(simt::launch(2, 64, 0, order,
                              [] {
                                if (threadIdx.x == 7) throw std::out_of_range("planted");
                                __syncthreads();
                              }),
                 std::out_of_range);
    EXPECT_EQ(tree_sum(true, order), 96.0 * 97.0 / 2.0) << order.name();
  }
}

TEST(SimtEmulatorTest, DeviceCodeOutsideOfALaunchAndALaunchInsideOfOneAreRefused) {
  EXPECT_THROW(__syncthreads(), Fault);
  EXPECT_THROW(__ballot_sync(kFullMask, 1), Fault);
  EXPECT_THAT(fault_of(1, LaneOrder{}, [] { simt::launch(1, 1, 0, LaneOrder{}, [] {}); }),
              HasSubstr("launch() inside of a kernel"));
}

}  // namespace
}  // namespace crease
