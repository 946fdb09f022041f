// ReLU features of given and of Gaussian points: values by hand, exact sums, empty, refused.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

HostMatrix features_on(Device& device, const HostMatrix& x, const HostMatrix& weights,
                       const HostMatrix& bias) {
  Padded points(device, x);
  Padded w(device, weights);
  Padded b(device, bias);
  Padded out(device, x.rows(), weights.rows());
  relu_features(device, points, w, b, out);
  return out.read();
}

HostMatrix gaussian_features_on(Device& device, std::uint64_t stream, Index first_row, Index n,
                                const HostMatrix& weights, const HostMatrix& bias) {
  Padded w(device, weights);
  Padded b(device, bias);
  Padded out(device, n, weights.rows());
  gaussian_features(device, Seed{7}, stream, first_row, w, b, out);
  return out.read();
}

HostMatrix gaussian_points(Device& device, std::uint64_t stream, Index first_row, Index n,
                           Index d) {
  Padded x(device, n, d);
  fill_gaussian(device, Seed{7}, stream, first_row, 1.0, x);
  return x.read();
}

/// relu(x weights^T + bias), summed exactly, and the magnitudes of its terms.
Sums exact_features(const HostMatrix& x, const HostMatrix& weights, const HostMatrix& bias) {
  Sums sums = product(x, transposed(weights));
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index r = 0; r < weights.rows(); ++r) {
      sums.value(i, r) = std::max(sums.value(i, r) + bias(r, 0), 0.0);
      sums.terms(i, r) += std::abs(bias(r, 0));
    }
  }
  return sums;
}

class FeaturesTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(FeaturesTest);

TEST_P(FeaturesTest, FeaturesMatchValuesWorkedByHand) {
  const HostMatrix got =
      features_on(device(), {{1, 2}, {-1, 0}}, {{1, 1}, {-2, 0}, {0, 0}}, {{-1}, {0.5}, {-3}});
  EXPECT_TRUE(same_bits(got, {{2, 0, 0}, {0, 2.5, 0}}));
}

TEST_P(FeaturesTest, FeaturesOfNoInputsAreTheirBias) {
  EXPECT_TRUE(same_bits(features_on(device(), HostMatrix(2, 0), HostMatrix(2, 0), {{3}, {-3}}),
                        {{3, 0}, {3, 0}}));
}

TEST_P(FeaturesTest, FeaturesAgreeWithExactSums) {
  for (const auto [n, d, k] : {std::array<Index, 3>{1, 1, 1},
                               {31, 33, 32},
                               {64, 257, 5},
                               {3, 2, 257},
                               {129, 16, 1025},
                               {515, 17, 130}}) {
    const HostMatrix x = with_zeros_and_ties(distinct(n, d));
    const HostMatrix weights = with_zeros_and_ties(distinct(k, d, 0.125));
    const HostMatrix bias = with_zeros_and_ties(distinct(k, 1, -0.25));
    const Sums sums = exact_features(x, weights, bias);
    EXPECT_TRUE(near_sum(features_on(device(), x, weights, bias), sums.value, sums.terms, d + 1))
        << "n=" << n << " d=" << d << " k=" << k;
  }
}

TEST_P(FeaturesTest, FeaturesDoNotHideNaN) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const HostMatrix got = features_on(device(), {{nan}, {1}}, {{1}}, {{0}});
  EXPECT_TRUE(same_bits(got, {{nan}, {1}}));
}

TEST_P(FeaturesTest, GaussianFeaturesAreTheFeaturesOfGaussianPoints) {
  for (const auto [n, d, k] : {std::array<Index, 3>{1, 1, 1},
                               {31, 33, 32},
                               {64, 257, 5},
                               {3, 2, 257},
                               {129, 16, 1025},
                               {515, 17, 130},
                               {33, 176, 129},
                               {33, 177, 129}}) {
    const HostMatrix weights = with_zeros_and_ties(distinct(k, d, 0.125));
    const HostMatrix bias = with_zeros_and_ties(distinct(k, 1, -0.25));
    const Index first_row = (Index{1} << 33) - 2;  // both halves of the counter
    const Sums sums = exact_features(gaussian_points(device(), 3, first_row, n, d), weights, bias);
    EXPECT_TRUE(near_sum(gaussian_features_on(device(), 3, first_row, n, weights, bias), sums.value,
                         sums.terms, d + 1))
        << "n=" << n << " d=" << d << " k=" << k;
  }
}

TEST_P(FeaturesTest, GaussianFeaturesOfUnitWeightsAreThePointsThemselves) {
  // One neuron per coordinate and sign: x = relu(x) - relu(-x), exactly.
  const Index d = 5;
  HostMatrix weights(2 * d, d);
  for (Index j = 0; j < d; ++j) {
    weights(j, j) = 1.0;
    weights(d + j, j) = -1.0;
  }
  const HostMatrix got = gaussian_features_on(device(), 11, 40, 33, weights, HostMatrix(2 * d, 1));
  HostMatrix x(33, d);
  for (Index i = 0; i < 33; ++i) {
    for (Index j = 0; j < d; ++j) x(i, j) = got(i, j) - got(i, d + j);
  }
  EXPECT_TRUE(same_bits(x, gaussian_points(device(), 11, 40, 33, d)));
}

TEST_P(FeaturesTest, GaussianFeaturesOfNoInputsAreTheirBias) {
  EXPECT_TRUE(same_bits(gaussian_features_on(device(), 0, 0, 2, HostMatrix(2, 0), {{3}, {-3}}),
                        {{3, 0}, {3, 0}}));
}

TEST_P(FeaturesTest, GaussianFeaturesDoNotHideNaN) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(
      same_bits(gaussian_features_on(device(), 0, 0, 1, {{nan}, {0}}, {{0}, {2}}), {{nan, 2}}));
  EXPECT_TRUE(same_bits(gaussian_features_on(device(), 0, 0, 1, {{0}}, {{nan}}), {{nan}}));
}

TEST_P(FeaturesTest, EmptyOutputsAreLeftAlone) {
  EXPECT_EQ(features_on(device(), HostMatrix(0, 2), HostMatrix(3, 2), HostMatrix(3, 1)).size(), 0);
  EXPECT_EQ(features_on(device(), HostMatrix(2, 2), HostMatrix(0, 2), HostMatrix(0, 1)).size(), 0);
  EXPECT_EQ(gaussian_features_on(device(), 0, 0, 0, HostMatrix(3, 2), HostMatrix(3, 1)).size(), 0);
  EXPECT_EQ(gaussian_features_on(device(), 0, 0, 2, HostMatrix(0, 2), HostMatrix(0, 1)).size(), 0);
}

TEST_P(FeaturesTest, ArgumentsThatDoNotFitAreRefused) {
  // n = 2, d = 3, k = 4.
  DeviceMatrix x(device(), 2, 3);
  DeviceMatrix weights(device(), 4, 3);
  DeviceMatrix bias(device(), 4, 1);
  DeviceMatrix out(device(), 2, 4);
  EXPECT_THROW(relu_features(device(), x, out, bias, out), BadInput);
  EXPECT_THROW(relu_features(device(), x, weights, x, out), BadInput);
  EXPECT_THROW(relu_features(device(), x, weights, bias, weights), BadInput);
  EXPECT_THROW(gaussian_features(device(), Seed{}, 0, -1, weights, bias, out), BadInput);
  EXPECT_THROW(gaussian_features(device(), Seed{}, std::uint64_t{1} << 32, 0, weights, bias, out),
               BadInput);
  EXPECT_THROW(gaussian_features(device(), Seed{}, 0, 0, weights, x, out), BadInput);
  EXPECT_THROW(gaussian_features(device(), Seed{}, 0, 0, weights, bias, x), BadInput);
}

}  // namespace
}  // namespace crease
