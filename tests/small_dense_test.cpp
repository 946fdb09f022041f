// Small dense problems on the host: by hand, and by the equations that define them.
#include "src/small_dense.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// LAPACK's backward error for the singular value decomposition and for Cholesky: a modest multiple
/// of the larger size times eps; 10 is the multiple kernels/ops.hpp promises for factorisations.
double residual(Index n, Index q) {
  return 10.0 * static_cast<double>(std::max(n, q)) * kEps;
}

HostMatrix diagonal_of(const std::vector<double>& values) {
  const auto n = static_cast<Index>(values.size());
  HostMatrix matrix(n, n);
  for (Index i = 0; i < n; ++i) matrix(i, i) = values[static_cast<std::size_t>(i)];
  return matrix;
}

TEST(SmallDenseTest, SingularValuesWorkedByHand) {
  // a^T a = diag(4, 9) after the rotation is undone; a wide one has the same as its transpose.
  const HostMatrix tall = {{0, 3}, {-2, 0}, {0, 0}};
  for (const HostMatrix& a : {tall, transposed(tall)}) {
    const std::vector<double> values = singular_values(a);
    ASSERT_EQ(values.size(), 2u);
    EXPECT_NEAR(values[0], 3, 3 * residual(3, 2));
    EXPECT_NEAR(values[1], 2, 3 * residual(3, 2));
  }
  EXPECT_TRUE(singular_values(HostMatrix(0, 4)).empty());
  EXPECT_TRUE(singular_values(HostMatrix(4, 0)).empty());
}

TEST(SmallDenseTest, LeadingEigenvectorsAreThoseOfTheLargestValues) {
  const SymmetricEigen eigen = symmetric_eigen({{2, 0, 0}, {0, 5, 0}, {0, 0, 3}});
  const HostMatrix two = leading(eigen, 2);
  ASSERT_EQ(two.rows(), 2);
  EXPECT_EQ(std::fabs(two(0, 1)), 1);
  EXPECT_EQ(std::fabs(two(1, 2)), 1);
  EXPECT_EQ(leading(eigen, 0).rows(), 0);
  EXPECT_THROW(leading(eigen, 4), BadInput);
}

TEST(SmallDenseTest, TheIdentityHasOnesOnItsDiagonalWhateverItsShape) {
  EXPECT_TRUE(same_bits(identity(2), {{1, 0}, {0, 1}}));
  EXPECT_TRUE(same_bits(identity(2, 3), {{1, 0, 0}, {0, 1, 0}}));
  EXPECT_TRUE(same_bits(identity(3, 2), {{1, 0}, {0, 1}, {0, 0}}));
}

TEST(SmallDenseTest, TheDecompositionMultipliesBackAndItsFactorsAreOrthonormal) {
  for (const auto& [n, q] : {std::pair<Index, Index>{1, 1}, {5, 3}, {3, 5}, {17, 17}, {40, 9}}) {
    const HostMatrix a = distinct(n, q);
    const Svd parts = svd(a);
    const Index rank = std::min(n, q);
    ASSERT_EQ(parts.left.rows(), n);
    ASSERT_EQ(parts.left.cols(), rank);
    ASSERT_EQ(parts.right.rows(), rank);
    ASSERT_EQ(parts.right.cols(), q);
    EXPECT_TRUE(std::is_sorted(parts.values.rbegin(), parts.values.rend()));
    const HostMatrix back =
        product(product(parts.left, diagonal_of(parts.values)).value, parts.right).value;
    EXPECT_TRUE(at_most(distance(back, a), residual(n, q) * norm(a)));
    const double loss = residual(n, q) * std::sqrt(static_cast<double>(rank));
    EXPECT_TRUE(
        at_most(distance(product(transposed(parts.left), parts.left).value, identity(rank)), loss));
    EXPECT_TRUE(at_most(
        distance(product(parts.right, transposed(parts.right)).value, identity(rank)), loss));
    const std::vector<double> values = singular_values(a);
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], parts.values[i], 2 * residual(n, q) * parts.values[0]);
    }
  }
}

TEST(SmallDenseTest, ThePseudoInverseMeetsPenrosesEquations) {
  for (const auto& [n, q] : {std::pair<Index, Index>{6, 4}, {4, 6}, {5, 5}}) {
    const HostMatrix a = distinct(n, q);
    const HostMatrix inverse = pseudo_inverse(a, 1e-14);
    ASSERT_EQ(inverse.rows(), q);
    ASSERT_EQ(inverse.cols(), n);
    const double condition = norm(a) * norm(inverse);
    const HostMatrix a_inverse = product(a, inverse).value;
    const HostMatrix inverse_a = product(inverse, a).value;
    const double bound = 4 * residual(n, q) * condition;
    EXPECT_TRUE(at_most(distance(product(a_inverse, a).value, a), bound * norm(a)));
    EXPECT_TRUE(
        at_most(distance(product(inverse_a, inverse).value, inverse), bound * norm(inverse)));
    EXPECT_TRUE(at_most(distance(a_inverse, transposed(a_inverse)), bound * condition));
    EXPECT_TRUE(at_most(distance(inverse_a, transposed(inverse_a)), bound * condition));
  }
}

TEST(SmallDenseTest, ThePseudoInverseDropsWhatTheCutoffSays) {
  const HostMatrix a = {{2, 0}, {0, 1e-6}};
  const HostMatrix all = pseudo_inverse(a, 1e-7);
  EXPECT_NEAR(all(1, 1), 1e6, 1e6 * residual(2, 2) * 2e6);
  const HostMatrix cut = pseudo_inverse(a, 1e-6);
  EXPECT_NEAR(cut(0, 0), 0.5, residual(2, 2));
  EXPECT_EQ(cut(1, 1), 0.0);
  EXPECT_TRUE(same_bits(pseudo_inverse(HostMatrix(3, 2), 1e-14), HostMatrix(2, 3)))
      << "the inverse of nothing is nothing, not NaN";
}

TEST(SmallDenseTest, PositiveSystemsAreSolvedAndOthersRefused) {
  std::vector<double> right = {1, 2};
  ASSERT_TRUE(solve_positive({{4, 2}, {2, 3}}, right));
  // inverse = 1/8 [[3, -2], [-2, 4]]
  EXPECT_NEAR(right[0], -1.0 / 8, 8 * residual(2, 2));
  EXPECT_NEAR(right[1], 6.0 / 8, 8 * residual(2, 2));

  const HostMatrix a = distinct(30, 12);
  const HostMatrix gram = product(transposed(a), a).value;
  const HostMatrix truth = distinct(12, 1, 0.3);
  const HostMatrix image = product(gram, truth).value;
  std::vector<double> solution(image.data(), image.data() + 12);
  ASSERT_TRUE(solve_positive(gram, solution));
  HostMatrix got(12, 1);
  std::copy(solution.begin(), solution.end(), got.data());
  EXPECT_TRUE(at_most(distance(product(gram, got).value, image),
                      residual(12, 12) * (norm(gram) * norm(got) + norm(image))));

  for (const HostMatrix& bad : {HostMatrix{{1, 2}, {2, 1}}, HostMatrix(2, 2)}) {
    std::vector<double> any = {1, 1};
    EXPECT_FALSE(solve_positive(bad, any));
  }
  std::vector<double> none;
  EXPECT_TRUE(solve_positive(HostMatrix(), none));
}

TEST(SmallDenseTest, SeveralRightSidesAreSolvedAtOnce) {
  HostMatrix right = {{1, 8}, {2, 0}};
  ASSERT_TRUE(solve_positive({{4, 2}, {2, 3}}, right));
  const double bound = 8 * residual(2, 2);
  EXPECT_NEAR(right(0, 0), -1.0 / 8, bound);
  EXPECT_NEAR(right(1, 0), 6.0 / 8, bound);
  EXPECT_NEAR(right(0, 1), 3, 8 * bound);
  EXPECT_NEAR(right(1, 1), -2, 8 * bound);
  EXPECT_FALSE(solve_positive({{1, 2}, {2, 1}}, right));
}

TEST(SmallDenseTest, SymmetricEigenvectorsMultiplyBackAndOnlyTheLowerTriangleIsRead) {
  HostMatrix a = product(distinct(9, 4), transposed(distinct(9, 4))).value;
  for (Index i = 0; i < 9; ++i) a(i, i) -= 2;  // of both signs
  HostMatrix lower = a;
  for (Index i = 0; i < 9; ++i) {
    for (Index j = i + 1; j < 9; ++j) lower(i, j) = std::numeric_limits<double>::quiet_NaN();
  }
  const SymmetricEigen eigen = symmetric_eigen(lower);
  EXPECT_TRUE(std::is_sorted(eigen.values.begin(), eigen.values.end()));
  const HostMatrix back =
      product(product(transposed(eigen.vectors), diagonal_of(eigen.values)).value, eigen.vectors)
          .value;
  EXPECT_TRUE(at_most(distance(back, a), residual(9, 9) * norm(a)));
  EXPECT_TRUE(
      at_most(distance(product(eigen.vectors, transposed(eigen.vectors)).value, identity(9)),
              3 * residual(9, 9)));
}

TEST(SmallDenseTest, EigenvectorsOfAnyMatrixSpanWhatItKeepsInvariant) {
  // Rows of length 1: of a triangular matrix by hand, of a rotation the plane itself.
  HostMatrix vectors;
  ASSERT_TRUE(real_eigenvectors({{2, 1}, {0, 3}}, vectors));
  const double root = std::sqrt(0.5);
  EXPECT_NEAR(std::abs(vectors(0, 0)), 1, residual(2, 2));
  EXPECT_NEAR(std::abs(vectors(1, 0)), root, residual(2, 2));
  EXPECT_NEAR(vectors(1, 0), vectors(1, 1), residual(2, 2));
  ASSERT_TRUE(real_eigenvectors({{0, -1, 0}, {1, 0, 0}, {0, 0, 5}}, vectors));
  HostMatrix both(2, 2);
  int planar = 0;
  for (Index i = 0; i < 3; ++i) {
    if (std::abs(vectors(i, 2)) > 0.5) continue;
    EXPECT_NEAR(vectors(i, 2), 0, residual(3, 3));
    both(planar, 0) = vectors(i, 0);
    both(planar++, 1) = vectors(i, 1);
  }
  ASSERT_EQ(planar, 2);
  EXPECT_GT(std::abs(both(0, 0) * both(1, 1) - both(0, 1) * both(1, 0)), 0.5);
}

}  // namespace
}  // namespace crease
