// Dense linear algebra: products, elementwise updates, norms.
#include <array>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

HostMatrix multiply_on(Device& device, const HostMatrix& a, Transpose transpose_a,
                       const HostMatrix& b, Transpose transpose_b, double alpha, double beta,
                       const HostMatrix& c) {
  Padded left(device, a);
  Padded right(device, b);
  Padded out(device, c);
  multiply(device, left, transpose_a, right, transpose_b, alpha, beta, out);
  return out.read();
}

HostMatrix norms_on(Device& device, const HostMatrix& z) {
  Padded columns(device, z);
  Padded out(device, 1, z.cols());
  column_norms(device, columns, out);
  return out.read();
}

HostMatrix gram_on(Device& device, const HostMatrix& z, double beta, const HostMatrix& g) {
  Padded features(device, z);
  Padded out(device, g);
  gram(device, features, beta, out);
  return out.read();
}

class DenseTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(DenseTest);

TEST_P(DenseTest, MultiplyMatchesValuesWorkedByHand) {
  const HostMatrix a = {{1, 2, 3}, {4, 5, 6}};
  const HostMatrix b = {{1, 0}, {0, 1}, {-1, 2}};
  const HostMatrix c = {{10, 20}, {30, 40}};
  const HostMatrix expected = {{-4 + 5, 16 + 10}, {-4 + 15, 34 + 20}};
  EXPECT_TRUE(same_bits(multiply_on(device(), a, Transpose::no, b, Transpose::no, 2, 0.5, c),
                        {{-4 + 5, 16 + 10}, {-4 + 15, 34 + 20}}));
  EXPECT_TRUE(same_bits(
      multiply_on(device(), transposed(a), Transpose::yes, b, Transpose::no, 2, 0.5, c), expected));
  EXPECT_TRUE(same_bits(
      multiply_on(device(), a, Transpose::no, transposed(b), Transpose::yes, 2, 0.5, c), expected));
  EXPECT_TRUE(same_bits(multiply_on(device(), transposed(a), Transpose::yes, transposed(b),
                                    Transpose::yes, 2, 0.5, c),
                        expected));
}

TEST_P(DenseTest, MultiplyAgreesWithExactSums) {
  for (const auto [m, inner, n] : {std::array<Index, 3>{1, 1, 1},
                                   {31, 33, 32},
                                   {257, 5, 1},
                                   {1, 257, 64},
                                   {64, 64, 33},
                                   {2, 3, 257}}) {
    const HostMatrix a = with_zeros_and_ties(distinct(m, inner));
    const HostMatrix b = with_zeros_and_ties(distinct(inner, n, 0.125));
    const HostMatrix c = distinct(m, n, -0.5);
    Sums sums = product(a, b);
    for (Index i = 0; i < c.size(); ++i) {
      sums.value.data()[i] = -0.75 * sums.value.data()[i] + 0.3 * c.data()[i];
      sums.terms.data()[i] = 0.75 * sums.terms.data()[i] + std::abs(0.3 * c.data()[i]);
    }
    for (const Transpose ta : {Transpose::no, Transpose::yes}) {
      for (const Transpose tb : {Transpose::no, Transpose::yes}) {
        const HostMatrix got =
            multiply_on(device(), ta == Transpose::no ? a : transposed(a), ta,
                        tb == Transpose::no ? b : transposed(b), tb, -0.75, 0.3, c);
        EXPECT_TRUE(near_sum(got, sums.value, sums.terms, inner + 1))
            << "m=" << m << " inner=" << inner << " n=" << n;
      }
    }
  }
}

TEST_P(DenseTest, BetaZeroIgnoresWhatWasThere) {
  const HostMatrix c(1, 1, kNan);
  EXPECT_TRUE(
      same_bits(multiply_on(device(), {{2}}, Transpose::no, {{3}}, Transpose::no, 1, 0, c), {{6}}));
}

TEST_P(DenseTest, AnInnerSizeOfZeroIsAZeroProduct) {
  const HostMatrix a(2, 0);
  const HostMatrix b(0, 2);
  const HostMatrix c = {{1, 2}, {3, 4}};
  EXPECT_TRUE(same_bits(multiply_on(device(), a, Transpose::no, b, Transpose::no, 1, 0.5, c),
                        {{0.5, 1}, {1.5, 2}}));
  EXPECT_TRUE(same_bits(multiply_on(device(), a, Transpose::no, b, Transpose::no, 1, 1, c), c));
  EXPECT_TRUE(same_bits(
      multiply_on(device(), b, Transpose::yes, a, Transpose::yes, 1, 0, HostMatrix(2, 2, kNan)),
      HostMatrix(2, 2)));
}

TEST_P(DenseTest, ElementwiseUpdatesRoundAsTheirFormula) {
  for (const auto [n, p] : {std::array<Index, 2>{1, 1}, {31, 33}, {257, 2}, {3, 257}, {64, 32}}) {
    const HostMatrix y = with_zeros_and_ties(distinct(n, p));
    const HostMatrix a = with_zeros_and_ties(distinct(n, p, 0.25));
    const HostMatrix row = distinct(1, p, -0.25);
    HostMatrix sum = y;
    HostMatrix difference = y;
    HostMatrix scaled = y;
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < p; ++j) {
        sum(i, j) += row(0, j);
        difference(i, j) -= a(i, j);
        scaled(i, j) *= row(0, j);
      }
    }
    Padded on_device(device(), y);
    Padded row_on_device(device(), row);
    add_row(device(), row_on_device, on_device);
    EXPECT_TRUE(same_bits(on_device.read(), sum)) << n << " x " << p;

    Padded other(device(), y);
    Padded a_on_device(device(), a);
    subtract(device(), a_on_device, other);
    EXPECT_TRUE(same_bits(other.read(), difference)) << n << " x " << p;

    Padded third(device(), y);
    scale_columns(device(), row_on_device, third);
    EXPECT_TRUE(same_bits(third.read(), scaled)) << n << " x " << p;

    Padded copied(device(), n, p);
    copy(device(), a_on_device, copied);
    EXPECT_TRUE(same_bits(copied.read(), a)) << n << " x " << p;

    fill(device(), -0.0, copied);
    EXPECT_TRUE(same_bits(copied.read(), HostMatrix(n, p, -0.0))) << n << " x " << p;
  }
}

TEST_P(DenseTest, FirstNonFiniteRowIsFound) {
  for (const auto [n, p] : {std::array<Index, 2>{1, 1}, {31, 33}, {257, 3}, {1000, 1}}) {
    HostMatrix y = distinct(n, p);
    // The margins of a padded matrix are NaN, and no business of it.
    EXPECT_EQ(first_non_finite_row(device(), Padded(device(), y)), -1) << n << " x " << p;
    y(n - 1, p - 1) = kNan;
    EXPECT_EQ(first_non_finite_row(device(), Padded(device(), y)), n - 1) << n << " x " << p;
    y(n / 2, 0) = -kInfinity;
    EXPECT_EQ(first_non_finite_row(device(), Padded(device(), y)), n / 2) << n << " x " << p;
    y(0, p / 2) = kInfinity;
    EXPECT_EQ(first_non_finite_row(device(), Padded(device(), y)), 0) << n << " x " << p;
  }
}

TEST_P(DenseTest, ColumnNormsMatchValuesWorkedByHand) {
  EXPECT_TRUE(
      same_bits(norms_on(device(), {{3, 0, 1}, {4, 0, -1}, {12, 0, 1}, {0, 0, 1}}), {{13, 0, 2}}));
}

TEST_P(DenseTest, ColumnNormsOfNoRowsAreZero) {
  EXPECT_TRUE(same_bits(norms_on(device(), HostMatrix(0, 3)), HostMatrix(1, 3)));
}

TEST_P(DenseTest, ColumnNormsAgreeWithExactSums) {
  for (const auto [n, q] :
       {std::array<Index, 2>{1, 1}, {31, 33}, {257, 64}, {5000, 3}, {64, 257}}) {
    const HostMatrix z = with_zeros_and_ties(distinct(n, q));
    HostMatrix expected(1, q);
    for (Index j = 0; j < q; ++j) {
      long double sum = 0;
      for (Index i = 0; i < n; ++i) sum += static_cast<long double>(z(i, j)) * z(i, j);
      expected(0, j) = static_cast<double>(std::sqrt(sum));
    }
    EXPECT_TRUE(near_sum(norms_on(device(), z), expected, expected, n)) << n << " x " << q;
  }
}

TEST_P(DenseTest, GramMatchesValuesWorkedByHand) {
  const HostMatrix z = {{1, 2}, {3, 4}, {-1, 0}};
  EXPECT_TRUE(same_bits(gram_on(device(), z, 0.5, {{2, 7}, {4, 6}}), {{12, 7}, {16, 23}}));
  EXPECT_TRUE(same_bits(gram_on(device(), z, 0, {{kNan, 7}, {kNan, kNan}}), {{11, 7}, {14, 20}}));
}

TEST_P(DenseTest, GramOfNoRowsScalesTheLowerTriangle) {
  const HostMatrix none(0, 2);
  EXPECT_TRUE(same_bits(gram_on(device(), none, 0.5, {{2, 7}, {4, 6}}), {{1, 7}, {2, 3}}));
  EXPECT_TRUE(same_bits(gram_on(device(), none, 0, {{kNan, 7}, {kNan, kNan}}), {{0, 7}, {0, 0}}));
}

TEST_P(DenseTest, GramAgreesWithExactSumsBelowAndLeavesWhatIsAbove) {
  for (const auto [n, q] : {std::array<Index, 2>{1, 1}, {33, 31}, {257, 64}, {5, 257}, {1000, 3}}) {
    const HostMatrix z = with_zeros_and_ties(distinct(n, q));
    const HostMatrix g = distinct(q, q, 0.5);
    Sums sums = product(transposed(z), z);
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
    EXPECT_TRUE(near_sum(gram_on(device(), z, 0.3, g), sums.value, sums.terms, n + 1))
        << n << " x " << q;
  }
}

TEST_P(DenseTest, EmptyOutputsAreLeftAlone) {
  const HostMatrix none(0, 3);
  EXPECT_EQ(multiply_on(device(), none, Transpose::no, HostMatrix(3, 2), Transpose::no, 1, 0,
                        HostMatrix(0, 2))
                .size(),
            0);
  Padded y(device(), none);
  Padded same(device(), none);
  Padded row(device(), HostMatrix(1, 3));
  add_row(device(), row, y);
  subtract(device(), same, y);
  copy(device(), same, y);
  fill(device(), 1.0, y);
  scale_columns(device(), row, y);
  EXPECT_EQ(y.read().size(), 0);
  EXPECT_EQ(first_non_finite_row(device(), y), -1);
  EXPECT_EQ(norms_on(device(), HostMatrix(3, 0)).size(), 0);
  EXPECT_EQ(gram_on(device(), HostMatrix(3, 0), 0, HostMatrix(0, 0)).size(), 0);
}

TEST_P(DenseTest, BadArgumentsAreRefused) {
  constexpr Transpose no = Transpose::no;
  constexpr Transpose yes = Transpose::yes;
  DeviceMatrix a(device(), 2, 3);
  DeviceMatrix b(device(), 3, 4);
  DeviceMatrix c(device(), 2, 4);
  DeviceMatrix row(device(), 1, 3);
  EXPECT_THROW(multiply(device(), a, yes, b, no, 1, 0, c), BadInput);
  EXPECT_THROW(multiply(device(), a, no, b, yes, 1, 0, c), BadInput);
  EXPECT_THROW(multiply(device(), a, no, b, no, 1, 0, b), BadInput);
  EXPECT_THROW(multiply(device(), a, no, b, no, kInfinity, 0, c), BadInput);
  EXPECT_THROW(multiply(device(), a, no, b, no, 1, kNan, c), BadInput);
  EXPECT_THROW(add_row(device(), a, a), BadInput);
  EXPECT_THROW(add_row(device(), row, c), BadInput);
  EXPECT_THROW(subtract(device(), b, a), BadInput);
  EXPECT_THROW(copy(device(), b, a), BadInput);
  EXPECT_THROW(column_norms(device(), c, row), BadInput);
  EXPECT_THROW(column_norms(device(), a, a), BadInput);
  EXPECT_THROW(scale_columns(device(), row, c), BadInput);
  EXPECT_THROW(gram(device(), a, 0, c), BadInput);
  EXPECT_THROW(gram(device(), a, kInfinity, DeviceMatrix(device(), 3, 3)), BadInput);
}

}  // namespace
}  // namespace crease
