// The CUDA kernel of distances, emulated, against its CPU twin.
#include "tests/support/emulated.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/cuda/pairs.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

/// One block for all tiles, and a grid that leaves blocks over.
std::vector<simt::Way> shapes() {
  return simt::ways({kPairTile, kPairTile}, {dim3(1, 1), dim3(3, 2)});
}

class PairsEmulatedTest : public testing::Test {
 protected:
  HostMatrix on_cpu(const HostMatrix& a, const HostMatrix& b) {
    Padded from(*cpu_, a);
    Padded to(*cpu_, b);
    Padded out(*cpu_, a.rows(), b.rows());
    pair_distances(*cpu_, from, to, out);
    return out.read();
  }

  template <class Matrix = Padded>
  HostMatrix emulated(const simt::Way& way, const HostMatrix& a, const HostMatrix& b) {
    Matrix from(*cpu_, a);
    Matrix to(*cpu_, b);
    Matrix out(*cpu_, a.rows(), b.rows());
    simt::launch(way, [&] { pair_distances_kernel(from, to, out); });
    return out.read();
  }

 private:
  std::unique_ptr<Device> cpu_ = make_cpu_device({.threads = 1, .poison = true});
};

TEST_F(PairsEmulatedTest, DistancesAgreeWithTheCpuTwin) {
  for (const auto [m, n, d] : {std::array<Index, 3>{1, 1, 1},
                               {31, 33, 32},
                               {64, 17, 33},
                               {2, 3, 257},
                               {16, 16, 16},
                               {257, 2, 31}}) {
    const HostMatrix a = with_zeros_and_ties(distinct(m, d));
    const HostMatrix b = with_zeros_and_ties(distinct(n, d, 1e-3));
    const HostMatrix expected = on_cpu(a, b);
    for (const simt::Way& way : shapes()) {
      EXPECT_TRUE(near_sum(emulated(way, a, b), expected, expected, d))
          << "m=" << m << " n=" << n << " d=" << d << ", " << way.name();
      EXPECT_TRUE(near_sum(emulated<Fenced>(way, a, b), expected, expected, d))
          << "m=" << m << " n=" << n << " d=" << d << ", " << way.name();
    }
  }
}

TEST_F(PairsEmulatedTest, NanInARowIsNanInItsDistancesAndNowhereElse) {
  HostMatrix a = distinct(33, 31);
  HostMatrix b = distinct(17, 31, 0.5);
  a(32, 30) = std::numeric_limits<double>::quiet_NaN();
  b(3, 0) = std::numeric_limits<double>::quiet_NaN();
  for (const simt::Way& way : shapes()) {
    const HostMatrix got = emulated(way, a, b);
    for (Index i = 0; i < 33; ++i) {
      for (Index j = 0; j < 17; ++j) {
        EXPECT_EQ(std::isnan(got(i, j)), i == 32 || j == 3) << i << ", " << j << ", " << way.name();
      }
    }
  }
}

TEST_F(PairsEmulatedTest, DistancesInNoDimensionsAreZero) {
  for (const simt::Way& way : shapes()) {
    EXPECT_TRUE(same_bits(emulated(way, HostMatrix(33, 0), HostMatrix(2, 0)), HostMatrix(33, 2)));
  }
}

TEST_F(PairsEmulatedTest, EmptyOutputsAreLeftAlone) {
  for (const simt::Way& way : shapes()) {
    EXPECT_EQ(emulated(way, HostMatrix(0, 2), HostMatrix(3, 2)).size(), 0);
    EXPECT_EQ(emulated(way, HostMatrix(3, 2), HostMatrix(0, 2)).size(), 0);
  }
}

}  // namespace
}  // namespace crease
