// Two networks at the same Gaussian points.
#include "src/sampled_pair.hpp"

#include <cmath>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class SampledPairTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SampledPairTest);

constexpr Index kInputs = 4;
constexpr Index kOutputs = 3;
constexpr std::uint64_t kStream = 77;

TEST_P(SampledPairTest, ErrorsAreThoseOfTheRowsOfItsStream) {
  const ReluNetwork f = planted_network(kInputs, 6, kOutputs, 1);
  const ReluNetwork g = planted_network(kInputs, 5, kOutputs, 2);
  DeviceMatrix x(device(), 9, kInputs);
  fill_gaussian(device(), Seed{5}, kStream, 100, 1.0, x);
  const HostMatrix points = download(device(), x);
  const HostMatrix y = exact_values(f, points);
  const HostMatrix z = exact_values(g, points);
  // At most four rows at a time, from any row on.
  SampledPair pair(device(), f, g, Seed{5}, kStream, 4);
  std::vector<double> errors = {-1};
  std::vector<double> sizes;
  pair.errors(100, 9, errors, &sizes);
  ASSERT_EQ(errors.size(), 10U);
  ASSERT_EQ(sizes.size(), 9U);
  EXPECT_EQ(errors[0], -1);  // appended
  // Sums of d + 1 terms, then of k: of terms below 100 in sum, in both networks and every output.
  const double bound = 2 * kOutputs * 2 * (kInputs + 8) * 0x1p-52 * 100;
  for (Index i = 0; i < 9; ++i) {
    double error = 0;
    double size = 0;
    for (Index o = 0; o < kOutputs; ++o) {
      error = std::hypot(error, y(i, o) - z(i, o));
      size = std::hypot(size, y(i, o));
    }
    EXPECT_TRUE(at_most(std::abs(errors[static_cast<std::size_t>(i) + 1] - error), bound));
    EXPECT_TRUE(at_most(std::abs(sizes[static_cast<std::size_t>(i)] - size), bound));
  }
  EXPECT_TRUE(same_bits(pair.point(103), download(device(), x.view().row_block(3, 1))));
  std::vector<double> alone;
  pair.errors(100, 9, alone);
  EXPECT_EQ(alone, std::vector<double>(errors.begin() + 1, errors.end()));
}

TEST_P(SampledPairTest, NetworksOfOtherSizesAreRefused) {
  const ReluNetwork f = planted_network(kInputs, 2, kOutputs, 1);
  EXPECT_THROW(SampledPair(device(), f, planted_network(kInputs + 1, 2, kOutputs, 1), {}, 0, 1),
               BadInput);
  EXPECT_THROW(SampledPair(device(), f, planted_network(kInputs, 2, kOutputs + 1, 1), {}, 0, 1),
               BadInput);
}

}  // namespace
}  // namespace crease
