// Exact Gram matrices of ReLU features under N(0, I), against quadrature in extended precision.
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/gaussian_reference.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Moments {
  HostMatrix value;  // lower triangle
  HostMatrix scale;  // what the contract's (2 d + 200) eps stand before
};

Moments moments_of(const HostMatrix& weights, const HostMatrix& bias, bool with_inputs) {
  const Index k = weights.rows();
  const Index d = weights.cols();
  const Index q = k + (with_inputs ? d : 0) + 1;
  Moments moments{HostMatrix(q, q), HostMatrix(q, q)};
  std::vector<double> root_square(static_cast<std::size_t>(q), 1.0);
  std::vector<double> root_active(static_cast<std::size_t>(q), 1.0);
  std::vector<ReferenceHinge> hinges;
  for (Index i = 0; i < k; ++i) {
    hinges.push_back(reference_hinge(weights, bias, i));
    const ReferenceHinge& hinge = hinges.back();
    root_square[static_cast<std::size_t>(i)] =
        static_cast<double>(std::sqrt(reference_product(hinge, hinge)));
    root_active[static_cast<std::size_t>(i)] =
        static_cast<double>(hinge.length * std::sqrt(hinge.active));
  }
  for (Index i = 0; i < q; ++i) {
    for (Index j = 0; j <= i; ++j) {
      long double value = i == j ? 1.0L : 0.0L;
      if (i < k) {
        value = reference_product(hinges[static_cast<std::size_t>(i)],
                                  hinges[static_cast<std::size_t>(j)]);
      } else if (j < k) {
        const ReferenceHinge& hinge = hinges[static_cast<std::size_t>(j)];
        value = i == q - 1 ? hinge.mean : hinge.active * weights(j, i - k);
      }
      moments.value(i, j) = static_cast<double>(value);
      const auto a = static_cast<std::size_t>(i);
      const auto b = static_cast<std::size_t>(j);
      moments.scale(i, j) = root_square[a] * root_square[b] + root_active[a] * root_active[b];
    }
  }
  return moments;
}

HostMatrix gram_on(Device& device, const HostMatrix& weights, const HostMatrix& bias,
                   bool with_inputs) {
  const Index q = weights.rows() + (with_inputs ? weights.cols() : 0) + 1;
  Padded w(device, weights);
  Padded b(device, bias);
  Padded g(device, q, q);
  gaussian_gram(device, w, b, with_inputs, g);
  const HostMatrix got = g.read();
  for (Index i = 0; i < q; ++i) {
    for (Index j = i + 1; j < q; ++j) EXPECT_TRUE(std::isnan(got(i, j))) << i << ", " << j;
  }
  return lower_triangle(got);
}

testing::AssertionResult keeps_its_contract(Device& device, const HostMatrix& weights,
                                            const HostMatrix& bias, bool with_inputs) {
  const HostMatrix got = gram_on(device, weights, bias, with_inputs);
  const Moments moments = moments_of(weights, bias, with_inputs);
  const auto d = static_cast<double>(weights.cols());
  for (Index i = 0; i < got.rows(); ++i) {
    for (Index j = 0; j <= i; ++j) {
      const double error = std::abs(got(i, j) - moments.value(i, j));
      if (!(error <= (2 * d + 200) * kEps * moments.scale(i, j))) {
        return testing::AssertionFailure()
               << "element (" << i << ", " << j << ") is " << got(i, j) << ", not "
               << moments.value(i, j) << ": " << error / (kEps * moments.scale(i, j))
               << " eps of its scale";
      }
    }
  }
  return testing::AssertionSuccess();
}

class GaussianGramTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(GaussianGramTest);

TEST_P(GaussianGramTest, MatchesValuesWorkedByHand) {
  // relu(x), relu(y), relu(-2x), relu(3), relu(-3) and x, y, 1.
  const HostMatrix got = gram_on(device(), {{1, 0}, {0, 1}, {-2, 0}, {0, 0}, {0, 0}},
                                 {{0}, {0}, {0}, {3}, {-3}}, true);
  const double mean = 1 / std::sqrt(2 * std::numbers::pi);
  const HostMatrix expected = {{0.5, 0, 0, 0, 0, 0, 0, 0},
                               {mean * mean, 0.5, 0, 0, 0, 0, 0, 0},
                               {0, 2 * mean * mean, 2, 0, 0, 0, 0, 0},
                               {3 * mean, 3 * mean, 6 * mean, 9, 0, 0, 0, 0},
                               {0, 0, 0, 0, 0, 0, 0, 0},
                               {0.5, 0, -1, 0, 0, 1, 0, 0},
                               {0, 0.5, 0, 0, 0, 0, 1, 0},
                               {mean, mean, 2 * mean, 3, 0, 0, 0, 1}};
  // At most 9, and of each a few roundings; 0 = m m' - a a' + K is a difference of such terms.
  EXPECT_LE(distance(got, expected), 8 * 9 * kEps);
  for (Index i = 4; i < 8; ++i) EXPECT_EQ(got(i, 4), 0.0) << "a silent neuron";
}

TEST_P(GaussianGramTest, IsExactAtManySizes) {
  for (const auto [k, d] : {std::array<Index, 2>{1, 1}, {31, 3}, {33, 32}, {5, 257}, {64, 7}}) {
    for (const bool with_inputs : {true, false}) {
      EXPECT_TRUE(keeps_its_contract(device(), with_zeros_and_ties(distinct(k, d)),
                                     with_zeros_and_ties(distinct(k, 1)), with_inputs))
          << "k=" << k << " d=" << d;
    }
  }
}

TEST_P(GaussianGramTest, IsExactWhereNeuronsAreNearlyParallel) {
  // Rows close to one direction and to its opposite, thresholds from equal to far apart.
  for (const double apart : {0.0, 1e-12, 1e-8, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 0.5}) {
    HostMatrix weights(14, 3);
    HostMatrix bias(14, 1);
    for (Index i = 0; i < 14; ++i) {
      const double side = i % 2 == 0 ? 1.5 : -0.7;
      const auto turn = static_cast<double>(i + 1);
      weights(i, 0) = side * (0.6 + apart * std::sin(turn));
      weights(i, 1) = side * (0.8 + apart * std::cos(2 * turn));
      weights(i, 2) = side * apart * std::cos(turn);
      const double threshold[] = {0.5, 0.5, 0.50001, 0.51, 0.6, -0.3, 2.5};
      bias(i, 0) = -side * threshold[i / 2];
    }
    EXPECT_TRUE(keeps_its_contract(device(), weights, bias, true)) << apart;
  }
}

TEST_P(GaussianGramTest, IsExactFarFromTheOrigin) {
  HostMatrix weights = distinct(26, 4);
  HostMatrix bias(26, 1);
  for (Index i = 0; i < 26; ++i) {
    double length = 0.0;
    for (Index c = 0; c < 4; ++c) length = std::hypot(length, weights(i, c));
    bias(i, 0) = length * static_cast<double>(i - 13);
    if (i % 3 == 0) {  // and parallel to its neighbour
      for (Index c = 0; c < 4; ++c) weights(i, c) = weights(i + 1, c);
    }
  }
  EXPECT_TRUE(keeps_its_contract(device(), weights, bias, true));
}

TEST_P(GaussianGramTest, KeepsItsRangeWhereNumbersAreHugeOrTiny) {
  // Lengths whose squares overflow or vanish; a bias that no input overcomes.
  const HostMatrix got =
      gram_on(device(), {{3e-170, 4e-170}, {3e100, 4e100}, {3e-200, 0}}, {{0}, {0}, {1e150}}, true);
  const double mean = 1 / std::sqrt(2 * std::numbers::pi);
  EXPECT_NEAR(got(1, 0), 12.5e-70, 200 * kEps * 12.5e-70);  // parallel: 1/2 |w| |w'|
  EXPECT_NEAR(got(2, 1), 1e150 * 5e100 * mean, 8 * kEps * 1e150 * 5e100);
  EXPECT_EQ(got(5, 2), 1e150);
}

TEST_P(GaussianGramTest, NoNeuronsLeaveTheInputsAndNoInputsTheConstants) {
  EXPECT_TRUE(same_bits(gram_on(device(), HostMatrix(0, 2), HostMatrix(0, 1), true), identity(3)));
  EXPECT_TRUE(same_bits(gram_on(device(), HostMatrix(0, 2), HostMatrix(0, 1), false), {{1}}));
  EXPECT_TRUE(same_bits(gram_on(device(), HostMatrix(2, 0), {{3}, {-1}}, true),
                        {{9, 0, 0}, {0, 0, 0}, {3, 0, 1}}));
}

TEST_P(GaussianGramTest, ANaNComesOutWhereItGoesIn) {
  const HostMatrix got =
      gram_on(device(), {{1, 2}, {kNaN, 1}, {2, 1}, {0, 0}}, {{1}, {1}, {kNaN}, {kNaN}}, false);

  EXPECT_FALSE(std::isnan(got(0, 0)));
  EXPECT_FALSE(std::isnan(got(4, 0)));
  for (Index bad = 1; bad < 4; ++bad) {
    for (Index j = 0; j <= bad; ++j) EXPECT_TRUE(std::isnan(got(bad, j))) << bad << ", " << j;
    EXPECT_TRUE(std::isnan(got(4, bad))) << bad;
  }
}

TEST_P(GaussianGramTest, ShapesThatDoNotFitAreRefused) {
  DeviceMatrix weights(device(), 3, 2);
  DeviceMatrix bias(device(), 3, 1);
  DeviceMatrix with_inputs(device(), 6, 6);
  DeviceMatrix without(device(), 4, 4);
  EXPECT_THROW(gaussian_gram(device(), weights, bias, true, without), BadInput);
  EXPECT_THROW(gaussian_gram(device(), weights, bias, false, with_inputs), BadInput);
  EXPECT_THROW(gaussian_gram(device(), bias, weights, false, without), BadInput);
}

// ------------------------------------------------------------------------------------------------
// coupling sums

HostMatrix sums_on(Device& device, const HostMatrix& normals, const HostMatrix& thresholds,
                   const HostMatrix& jumps, const HostMatrix& groups, Index first) {
  Padded n(device, normals);
  Padded b(device, thresholds);
  Padded j(device, jumps);
  Padded g(device, groups);
  Padded sums(device, normals.rows(), 1);
  gaussian_coupling_sums(device, n, b, j, g, first, sums);
  return sums.read();
}

struct Hinges {
  HostMatrix normals, thresholds, jumps, groups;
};

Hinges planted_hinges(Index k, Index d, Index p) {
  Hinges hinges{distinct(k, d), with_zeros_and_ties(distinct(k, 1)), distinct(k, p),
                HostMatrix(k, 1)};
  for (Index i = 0; i < k; ++i) {
    double length = 0.0;
    for (Index c = 0; c < d; ++c) length = std::hypot(length, hinges.normals(i, c));
    for (Index c = 0; c < d; ++c) hinges.normals(i, c) /= length;
    hinges.groups(i, 0) = static_cast<double>(i / 3);
  }
  return hinges;
}

class GaussianCouplingTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(GaussianCouplingTest);

TEST_P(GaussianCouplingTest, SumsMatchValuesWorkedByHand) {
  // Thresholds 0: K(rho) = (sqrt(1 - rho^2) + rho asin(rho) - 1) / (2 pi).
  const double rho = 0.6;
  const double k = (0.8 + rho * std::asin(rho) - 1) / (2 * std::numbers::pi);
  const double k_right = (std::numbers::pi / 2 - 1) / (2 * std::numbers::pi);  // rho = -1
  const HostMatrix got = sums_on(device(), {{1, 0}, {rho, 0.8}, {-1, 0}}, {{0}, {0}, {0}},
                                 {{2, 1}, {3, -1}, {1, 0}}, {{1}, {2}, {3}}, 0);

  EXPECT_EQ(got(0, 0), 0.0);
  EXPECT_NEAR(got(1, 0), 5 * k, 8 * kEps);
  EXPECT_NEAR(got(2, 0), 2 * k_right + 3 * k, 8 * kEps);
}

TEST_P(GaussianCouplingTest, SumsAreThoseOfTheDefinition) {
  for (const auto [k, d, p, first] :
       {std::array<Index, 4>{1, 1, 1, 0}, {33, 3, 2, 0}, {40, 2, 1, 7}, {31, 64, 5, 31}}) {
    const Hinges h = planted_hinges(k, d, p);
    const HostMatrix got = sums_on(device(), h.normals, h.thresholds, h.jumps, h.groups, first);
    HostMatrix bias(k, 1);
    for (Index i = 0; i < k; ++i) bias(i, 0) = -h.thresholds(i, 0);
    for (Index i = 0; i < k; ++i) {
      long double expected = 0;
      double norms = 0;
      double own = 0;
      for (Index o = 0; o < p; ++o) own = std::hypot(own, h.jumps(i, o));
      for (Index j = 0; j < i && i >= first; ++j) {
        const ReferenceHinge a = reference_hinge(h.normals, bias, i);
        const ReferenceHinge b = reference_hinge(h.normals, bias, j);
        long double rho = 0;
        for (Index c = 0; c < d; ++c) {
          rho += static_cast<long double>(h.normals(i, c)) * h.normals(j, c);
        }
        long double product = 0;
        double other = 0;
        for (Index o = 0; o < p; ++o) {
          product += static_cast<long double>(h.jumps(i, o)) * h.jumps(j, o);
          other = std::hypot(other, h.jumps(j, o));
        }
        norms += own * other;
        if (h.groups(i, 0) == h.groups(j, 0)) continue;
        expected +=
            product * (reference_product(a, b) - a.mean * b.mean - rho * (a.active * b.active));
      }
      const auto roundings = static_cast<double>(2 * d + 2 * p + k + 200);
      EXPECT_NEAR(got(i, 0), static_cast<double>(expected), roundings * kEps * norms)
          << "k=" << k << " row " << i;
    }
  }
}

TEST_P(GaussianCouplingTest, ShapesThatDoNotFitAreRefused) {
  DeviceMatrix normals(device(), 3, 2);
  DeviceMatrix column(device(), 3, 1);
  DeviceMatrix high(device(), 4, 1);
  const auto sums = [&](ConstDeviceView b, ConstDeviceView j, ConstDeviceView g, Index first,
                        DeviceView out) {
    gaussian_coupling_sums(device(), normals, b, j, g, first, out);
  };
  EXPECT_THROW(sums(high, column, column, 0, column), BadInput);
  EXPECT_THROW(sums(column, high, column, 0, column), BadInput);
  EXPECT_THROW(sums(column, column, high, 0, column), BadInput);
  EXPECT_THROW(sums(column, column, column, 0, high), BadInput);
  EXPECT_THROW(sums(column, column, column, 4, column), BadInput);
  EXPECT_THROW(sums(column, column, column, -1, column), BadInput);
}

}  // namespace
}  // namespace crease
