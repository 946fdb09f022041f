// The CUDA kernel of Gaussian numbers, emulated, against its CPU twin.
#include "tests/support/emulated.hpp"

#include <memory>
#include <utility>

#include "kernels/cuda/random.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"

namespace crease {
namespace {

TEST(RandomEmulatedTest, EveryElementHasTheBitsOfTheCpuTwin) {
  const std::unique_ptr<Device> cpu = make_cpu_device({.threads = 1, .poison = true});
  const Seed seed{0x0123456789abcdefULL};
  for (const auto& [rows, cols] : {std::pair<Index, Index>{1, 1}, {31, 32}, {33, 257}, {64, 3}}) {
    for (const Index first_row : {Index{0}, Index{1} << 40}) {
      Padded expected(*cpu, rows, cols);
      fill_gaussian(*cpu, seed, 7, first_row, -1.5, expected);
      for (const simt::Way& way : simt::ways_per_element()) {
        Padded out(*cpu, rows, cols);
        simt::launch(way, [&] { fill_gaussian_kernel(seed.value, 7, first_row, -1.5, out); });
        EXPECT_TRUE(same_bits(out.read(), expected.read()))
            << rows << " x " << cols << " from row " << first_row << ", " << way.name();
        Fenced tight(*cpu, rows, cols);
        simt::launch(way, [&] { fill_gaussian_kernel(seed.value, 7, first_row, -1.5, tight); });
        EXPECT_TRUE(same_bits(tight.read(), expected.read())) << way.name();
      }
    }
  }
}

TEST(RandomEmulatedTest, EmptyOutputsAreLeftAlone) {
  const std::unique_ptr<Device> cpu = make_cpu_device({.threads = 1, .poison = true});
  for (const auto& [rows, cols] : {std::pair<Index, Index>{0, 5}, {5, 0}}) {
    for (const simt::Way& way : simt::ways_per_element()) {
      Padded out(*cpu, rows, cols);
      simt::launch(way, [&] { fill_gaussian_kernel(1, 0, 0, 1.0, out); });
      EXPECT_EQ(out.read().size(), 0);
    }
  }
}

}  // namespace
}  // namespace crease
