// Dense linear algebra: orthonormal rows, Cholesky, triangular solves and Householder QR.
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
const double kNan = std::numeric_limits<double>::quiet_NaN();

HostMatrix gaussian_rows(Index rows, Index cols) {
  const auto cpu = make_cpu_device({.threads = 1});
  DeviceMatrix x(*cpu, rows, cols);
  fill_gaussian(*cpu, Seed{17}, 0, 0, 1.0, x);
  return download(*cpu, x);
}

HostMatrix orthonormal_on(Device& device, const HostMatrix& a) {
  Padded rows(device, a);
  orthonormal_rows(device, rows);
  return rows.read();
}

struct Factor {
  bool positive;
  HostMatrix l;
};

Factor cholesky_on(Device& device, const HostMatrix& g) {
  Padded matrix(device, g);
  const bool positive = cholesky(device, matrix);
  return {positive, matrix.read()};
}

HostMatrix solve_on(Device& device, const HostMatrix& l, Transpose transpose, const HostMatrix& x) {
  Padded factor(device, l);
  Padded right(device, x);
  solve_triangular(device, factor, transpose, right);
  return right.read();
}

HostMatrix triangularize_on(Device& device, const HostMatrix& a) {
  Padded matrix(device, a);
  triangularize(device, matrix);
  return matrix.read();
}

/// A positive definite matrix; what stands above its diagonal is `above`.
HostMatrix positive_definite(Index q, double above) {
  const HostMatrix z = gaussian_rows(2 * q, q);
  HostMatrix g = product(transposed(z), z).value;
  for (Index i = 0; i < q; ++i) {
    for (Index j = i + 1; j < q; ++j) g(i, j) = above;
  }
  return g;
}

HostMatrix symmetric(const HostMatrix& lower) {
  HostMatrix full = lower;
  for (Index i = 0; i < full.rows(); ++i) {
    for (Index j = i + 1; j < full.cols(); ++j) full(i, j) = lower(j, i);
  }
  return full;
}

class DenseFactorsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(DenseFactorsTest);

TEST_P(DenseFactorsTest, OrthonormalRowsMatchValuesWorkedByHand) {
  // Gram-Schmidt of (3, 4) and (0, -5): the second keeps (4, -3) / 5 times -4 ... with a positive
  // pivot <q2, a2> = 3.
  const HostMatrix q = orthonormal_on(device(), {{3, 4}, {0, -5}});
  const HostMatrix expected = {{0.6, 0.8}, {0.8, -0.6}};
  EXPECT_TRUE(at_most(distance(q, expected), 10 * 2 * kEps));
  EXPECT_TRUE(at_most(distance(orthonormal_on(device(), {{-2}}), {{-1}}), 10 * kEps));
}

TEST_P(DenseFactorsTest, OrthonormalRowsAreOrthonormalAndKeepTheFlag) {
  for (const Index d : {1, 2, 31, 32, 33, 64, 257}) {
    const HostMatrix a = gaussian_rows(d, d);
    const HostMatrix q = orthonormal_on(device(), a);
    const double bound = 10 * static_cast<double>(d) * kEps;
    EXPECT_TRUE(at_most(distance(product(q, transposed(q)).value, identity(d)), bound)) << d;
    // a = L Q, and L = a Q^T is lower triangular with a positive diagonal.
    const HostMatrix l = product(a, transposed(q)).value;
    EXPECT_TRUE(at_most(distance(l, lower_triangle(l)), bound * norm(a))) << d;
    for (Index i = 0; i < d; ++i) EXPECT_GT(l(i, i), 0.0) << d;
  }
}

TEST_P(DenseFactorsTest, CholeskyMatchesValuesWorkedByHand) {
  // Roots and quotients of small integers: nothing rounds. What is above the diagonal stays.
  const Factor factor = cholesky_on(device(), {{4, 7, 8}, {2, 10, 9}, {-4, 4, 14}});
  EXPECT_TRUE(factor.positive);
  EXPECT_TRUE(same_bits(factor.l, {{2, 7, 8}, {1, 3, 9}, {-2, 2, std::sqrt(6.0)}}));
}

TEST_P(DenseFactorsTest, CholeskyTimesItsTransposeIsTheMatrix) {
  for (const Index q : {1, 2, 31, 32, 33, 64, 257}) {
    const HostMatrix g = positive_definite(q, -7.5);
    const Factor factor = cholesky_on(device(), g);
    ASSERT_TRUE(factor.positive) << q;
    for (Index i = 0; i < q; ++i) {
      for (Index j = i + 1; j < q; ++j) ASSERT_EQ(factor.l(i, j), -7.5) << q;
    }
    const HostMatrix l = lower_triangle(factor.l);
    const HostMatrix full = symmetric(g);
    EXPECT_TRUE(at_most(distance(product(l, transposed(l)).value, full),
                        10 * static_cast<double>(q) * kEps * norm(full)))
        << q;
  }
}

TEST_P(DenseFactorsTest, CholeskyTellsWhatIsNotPositive) {
  EXPECT_FALSE(cholesky_on(device(), {{0}}).positive);
  EXPECT_FALSE(cholesky_on(device(), {{-1}}).positive);
  EXPECT_FALSE(cholesky_on(device(), {{1, 0}, {2, 1}}).positive);
  EXPECT_FALSE(cholesky_on(device(), {{1, 0}, {1, 1}}).positive) << "singular";
  for (const Index q : {33, 257}) {
    HostMatrix g = positive_definite(q, 0.0);
    g(q - 1, q - 1) = -1.0;
    EXPECT_FALSE(cholesky_on(device(), g).positive) << q;
  }
}

TEST_P(DenseFactorsTest, CholeskyTakesNaNForNotPositive) {
  EXPECT_FALSE(cholesky_on(device(), {{kNan}}).positive);
  EXPECT_FALSE(cholesky_on(device(), {{1, 0}, {kNan, 1}}).positive);
  for (const Index q : {33, 257}) {
    HostMatrix g = positive_definite(q, 0.0);
    g(q / 2, 0) = kNan;
    EXPECT_FALSE(cholesky_on(device(), g).positive) << q;
  }
}

TEST_P(DenseFactorsTest, TriangularSolvesMatchValuesWorkedByHand) {
  // What stands above the diagonal of l is not read.
  const HostMatrix l = {{2, kNan}, {1, 4}};
  EXPECT_TRUE(same_bits(solve_on(device(), l, Transpose::no, {{2, 4}, {5, 10}}), {{1, 2}, {1, 2}}));
  EXPECT_TRUE(
      same_bits(solve_on(device(), l, Transpose::yes, {{3, -2}, {4, 8}}), {{1, -2}, {1, 2}}));
}

TEST_P(DenseFactorsTest, TriangularSolvesHaveASmallBackwardError) {
  for (const Index q : {1, 31, 32, 33, 64, 257}) {
    for (const Index m : {1, 3, 33}) {
      // A well-conditioned lower triangle with NaN above.
      HostMatrix l = distinct(q, q);
      for (Index i = 0; i < q; ++i) {
        for (Index j = i + 1; j < q; ++j) l(i, j) = kNan;
        l(i, i) += l(i, i) < 0 ? -static_cast<double>(q) : static_cast<double>(q);
      }
      const HostMatrix right = with_zeros_and_ties(distinct(q, m, 0.25));
      const HostMatrix lower = lower_triangle(l);
      for (const Transpose transpose : {Transpose::no, Transpose::yes}) {
        const HostMatrix op = transpose == Transpose::no ? lower : transposed(lower);
        const HostMatrix x = solve_on(device(), l, transpose, right);
        // Higham, Accuracy and Stability, theorem 8.5: (L + E) x = b with |E| <= q u / (1 - q u)
        // |L| where substitution is done directly; libraries invert diagonal blocks, hence the 10.
        EXPECT_TRUE(at_most(distance(product(op, x).value, right),
                            10 * static_cast<double>(q) * kEps * norm(lower) * norm(x)))
            << "q=" << q << " m=" << m;
      }
    }
  }
}

TEST_P(DenseFactorsTest, TriangularizeMatchesValuesWorkedByHand) {
  const HostMatrix r = triangularize_on(device(), {{3, 6}, {0, 5}, {4, 8}});
  // Columns (3, 0, 4) and (6, 5, 8): the second is twice the first plus (0, 5, 0). R's rows may
  // change sign.
  EXPECT_TRUE(at_most(std::abs(std::abs(r(0, 0)) - 5), 100 * kEps));
  EXPECT_TRUE(at_most(std::abs(r(0, 1) - 2 * r(0, 0)), 100 * kEps));
  EXPECT_TRUE(at_most(std::abs(std::abs(r(1, 1)) - 5), 100 * kEps));
  EXPECT_EQ(r(1, 0), 0.0);
  EXPECT_EQ(r(2, 0), 0.0);
  EXPECT_EQ(r(2, 1), 0.0);
}

TEST_P(DenseFactorsTest, TriangularizeKeepsTheGramMatrix) {
  for (const auto& [n, q] :
       {std::pair<Index, Index>{1, 1}, {32, 31}, {33, 33}, {64, 1}, {257, 64}, {300, 257}}) {
    const HostMatrix a = with_zeros_and_ties(distinct(n, q));
    const HostMatrix r = triangularize_on(device(), a);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < q && j < i; ++j) ASSERT_EQ(r(i, j), 0.0) << n << " x " << q;
    }
    const HostMatrix expected = product(transposed(a), a).value;
    EXPECT_TRUE(at_most(distance(product(transposed(r), r).value, expected),
                        10 * static_cast<double>(n) * kEps * norm(expected)))
        << n << " x " << q;
  }
}

TEST_P(DenseFactorsTest, EmptyMatricesAreLeftAlone) {
  EXPECT_EQ(orthonormal_on(device(), HostMatrix(0, 0)).size(), 0);
  EXPECT_TRUE(cholesky_on(device(), HostMatrix(0, 0)).positive);
  EXPECT_EQ(solve_on(device(), HostMatrix(2, 2, 1.0), Transpose::no, HostMatrix(2, 0)).size(), 0);
  EXPECT_EQ(triangularize_on(device(), HostMatrix(3, 0)).size(), 0);
}

TEST_P(DenseFactorsTest, ShapesThatDoNotFitAreRefused) {
  DeviceMatrix wide(device(), 2, 3);
  DeviceMatrix square(device(), 2, 2);
  DeviceMatrix three(device(), 3, 1);
  EXPECT_THROW(orthonormal_rows(device(), wide), BadInput);
  EXPECT_THROW(cholesky(device(), wide), BadInput);
  EXPECT_THROW(solve_triangular(device(), wide, Transpose::no, square), BadInput);
  EXPECT_THROW(solve_triangular(device(), square, Transpose::no, three), BadInput);
  EXPECT_THROW(triangularize(device(), wide), BadInput);
}

}  // namespace
}  // namespace crease
