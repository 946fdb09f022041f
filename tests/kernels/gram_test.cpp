// Weighted Gram matrices: values by hand, exact sums, empty, refused.
#include <array>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

HostMatrix weighted_gram_on(Device& device, const HostMatrix& z, const HostMatrix& weights,
                            double beta, const HostMatrix& g) {
  Padded a(device, z);
  Padded w(device, weights);
  Padded out(device, g);
  weighted_gram(device, a, w, beta, out);
  return out.read();
}

class GramTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(GramTest);

TEST_P(GramTest, WeightedGramMatchesValuesWorkedByHand) {
  const HostMatrix z = {{1, 2}, {3, 4}, {-1, 0}, {9, 9}};
  const HostMatrix weights = {{4}, {1}, {0.25}, {0}};
  // Lower triangle of z^T diag(weights) z: 4 + 9 + 1/4; 8 + 12, 16 + 16.
  EXPECT_TRUE(same_bits(weighted_gram_on(device(), z, weights, 0.5, {{2, 7}, {4, 6}}),
                        {{14.25, 7}, {22, 35}}));
  EXPECT_TRUE(same_bits(weighted_gram_on(device(), z, weights, 0, {{kNan, 7}, {kNan, kNan}}),
                        {{13.25, 7}, {20, 32}}));
}

TEST_P(GramTest, WeightedGramOfNoRowsScalesTheLowerTriangle) {
  const HostMatrix none(0, 2);
  const HostMatrix weights(0, 1);
  EXPECT_TRUE(same_bits(weighted_gram_on(device(), none, weights, 0.5, {{2, 7}, {4, 6}}),
                        {{1, 7}, {2, 3}}));
  EXPECT_TRUE(same_bits(weighted_gram_on(device(), none, weights, 0, {{kNan, 7}, {kNan, kNan}}),
                        {{0, 7}, {0, 0}}));
}

TEST_P(GramTest, WeightedGramAgreesWithExactSumsBelowAndLeavesWhatIsAbove) {
  // The last is more than one chunk on every backend.
  for (const auto [n, q] : {std::array<Index, 2>{1, 1},
                            {33, 31},
                            {257, 64},
                            {5, 257},
                            {1000, 3},
                            {(Index{1} << 23) / 3 + 2, 3}}) {
    const HostMatrix z = with_zeros_and_ties(distinct(n, q));
    HostMatrix weights = with_zeros_and_ties(distinct(n, 1, 0.5));
    HostMatrix weighted = z;
    for (Index i = 0; i < n; ++i) {
      weights(i, 0) = std::abs(weights(i, 0));
      for (Index j = 0; j < q; ++j) weighted(i, j) *= weights(i, 0);
    }
    const HostMatrix g = distinct(q, q, 0.5);
    Sums sums = product(transposed(z), weighted);
    for (Index i = 0; i < q; ++i) {
      for (Index j = 0; j < q; ++j) {
        if (j > i) {
          sums.value(i, j) = g(i, j);  // to be left alone, so no error is allowed
          sums.terms(i, j) = 0;
        } else {
          sums.value(i, j) += 0.3 * g(i, j);
          sums.terms(i, j) += std::abs(0.3 * g(i, j));
        }
      }
    }
    EXPECT_TRUE(
        near_sum(weighted_gram_on(device(), z, weights, 0.3, g), sums.value, sums.terms, n + 3))
        << n << " x " << q;
  }
}

TEST_P(GramTest, WeightsThatAreNotWeightsShow) {
  EXPECT_TRUE(same_bits(weighted_gram_on(device(), {{2}}, {{-1}}, 0, {{0}}), {{kNan}}));
  EXPECT_TRUE(same_bits(weighted_gram_on(device(), {{2}}, {{kNan}}, 0, {{0}}), {{kNan}}));
}

TEST_P(GramTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(
      weighted_gram_on(device(), HostMatrix(3, 0), HostMatrix(3, 1), 0, HostMatrix(0, 0)).size(),
      0);
}

TEST_P(GramTest, ArgumentsThatDoNotFitAreRefused) {
  DeviceMatrix z(device(), 3, 2);
  DeviceMatrix weights(device(), 3, 1);
  DeviceMatrix g(device(), 2, 2);
  EXPECT_THROW(weighted_gram(device(), z, z, 0, g), BadInput);
  EXPECT_THROW(weighted_gram(device(), z, g, 0, g), BadInput);
  EXPECT_THROW(weighted_gram(device(), z, weights, 0, z), BadInput);
  EXPECT_THROW(weighted_gram(device(), z, weights, kNan, g), BadInput);
}

}  // namespace
}  // namespace crease
