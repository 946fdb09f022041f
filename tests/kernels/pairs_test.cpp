// Distances between all pairs of rows.
#include <array>
#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

HostMatrix distances_on(Device& device, const HostMatrix& a, const HostMatrix& b) {
  Padded from(device, a);
  Padded to(device, b);
  Padded out(device, a.rows(), b.rows());
  pair_distances(device, from, to, out);
  return out.read();
}

class PairsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(PairsTest);

TEST_P(PairsTest, DistancesMatchValuesWorkedByHand) {
  EXPECT_TRUE(same_bits(distances_on(device(), {{0, 0}, {3, 4}, {1, 1}}, {{3, 4}, {0, 1}}),
                        {{5, 1}, {0, std::sqrt(18.0)}, {std::sqrt(13.0), 1}}));
}

TEST_P(PairsTest, DistancesInNoDimensionsAreZero) {
  EXPECT_TRUE(same_bits(distances_on(device(), HostMatrix(2, 0), HostMatrix(1, 0)), {{0}, {0}}));
}

TEST_P(PairsTest, DistancesAgreeWithExactSums) {
  for (const auto [m, n, d] :
       {std::array<Index, 3>{1, 1, 1}, {31, 33, 32}, {64, 17, 257}, {16, 16, 16}, {257, 2, 3}}) {
    const HostMatrix a = with_zeros_and_ties(distinct(m, d));
    const HostMatrix b = with_zeros_and_ties(distinct(n, d, 1e-3));
    HostMatrix expected(m, n);
    for (Index i = 0; i < m; ++i) {
      for (Index j = 0; j < n; ++j) {
        long double sum = 0;
        for (Index c = 0; c < d; ++c) {
          const long double difference = static_cast<long double>(a(i, c)) - b(j, c);
          sum += difference * difference;
        }
        expected(i, j) = static_cast<double>(std::sqrt(sum));
      }
    }
    // Each square is off by 3 roundings, their sum by d - 1 more; the root halves that and adds
    // one: (d + 4) / 2 roundings, within the 4 d of sum(d).
    EXPECT_TRUE(near_sum(distances_on(device(), a, b), expected, expected, d))
        << "m=" << m << " n=" << n << " d=" << d;
  }
}

TEST_P(PairsTest, CloseRowsKeepTheirDigits) {
  // The expansion |a|^2 - 2 <a, b> + |b|^2 would lose this distance altogether.
  EXPECT_TRUE(same_bits(distances_on(device(), {{1, 1e8}}, {{1 + 0x1p-40, 1e8}}), {{0x1p-40}}));
}

TEST_P(PairsTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(distances_on(device(), HostMatrix(0, 2), HostMatrix(3, 2)).size(), 0);
  EXPECT_EQ(distances_on(device(), HostMatrix(3, 2), HostMatrix(0, 2)).size(), 0);
}

TEST_P(PairsTest, ShapesThatDoNotFitAreRefused) {
  DeviceMatrix a(device(), 2, 3);
  DeviceMatrix b(device(), 4, 3);
  DeviceMatrix out(device(), 2, 4);
  EXPECT_THROW(pair_distances(device(), a, out, out), BadInput);
  EXPECT_THROW(pair_distances(device(), a, b, b), BadInput);
}

}  // namespace
}  // namespace crease
