// Symmetric matrices as vectors, and the subspace of planted ones.
#include "src/stages/symmetric_span.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class SymmetricSpanTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SymmetricSpanTest);

/// u u^T of unit vectors as vectors, one a row: [m, n].
HostMatrix rank_ones(Index m, Index d, std::uint64_t seed) {
  const HostMatrix drawn = normals(m, d, seed);
  HostMatrix rows(0, d * (d + 1) / 2);
  for (Index k = 0; k < m; ++k) {
    const std::vector<double> u = unit_vector({drawn.row(k), drawn.row(k) + d});
    rows.append_row(symmetric_square(u.data(), d).data(), rows.cols());
  }
  return rows;
}

/// a b.
HostMatrix times(const HostMatrix& a, const HostMatrix& b) {
  HostMatrix c(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index k = 0; k < a.cols(); ++k) {
      for (Index j = 0; j < b.cols(); ++j) c(i, j) += a(i, k) * b(k, j);
    }
  }
  return c;
}

/// I - 2 v v^T / |v|^2.
HostMatrix reflection(Index n, std::uint64_t seed) {
  const HostMatrix drawn = normals(1, n, seed);
  const std::vector<double> v = unit_vector({drawn.data(), drawn.data() + n});
  HostMatrix matrix(n, n);
  for (Index i = 0; i < n; ++i) {
    matrix(i, i) = 1;
    for (Index j = 0; j < n; ++j) {
      matrix(i, j) -= 2 * v[static_cast<std::size_t>(i)] * v[static_cast<std::size_t>(j)];
    }
  }
  return matrix;
}

double worst_product(const HostMatrix& basis) {
  double worst = 0;
  for (Index i = 0; i < basis.rows(); ++i) {
    for (Index j = 0; j <= i; ++j) {
      worst = std::max(worst,
                       std::abs(dot(basis.row(i), basis.row(j), basis.cols()) - (i == j ? 1 : 0)));
    }
  }
  return worst;
}

/// Largest length of a row of `vectors` outside the span of the basis.
double worst_outside(const HostMatrix& basis, const HostMatrix& vectors) {
  double worst = 0;
  for (Index i = 0; i < vectors.rows(); ++i) {
    std::vector<double> left(vectors.row(i), vectors.row(i) + vectors.cols());
    for (Index k = 0; k < basis.rows(); ++k) {
      const double along = dot(basis.row(k), vectors.row(i), vectors.cols());
      for (std::size_t j = 0; j < left.size(); ++j) {
        left[j] -= along * basis(k, static_cast<Index>(j));
      }
    }
    worst = std::max(worst, std::sqrt(dot(left, left)));
  }
  return worst;
}

TEST_P(SymmetricSpanTest, MatricesOfVectorsKeepProducts) {
  const HostMatrix numbers = normals(2, 15, 1);
  const HostMatrix a = symmetric_matrix(numbers.row(0), 5), b = symmetric_matrix(numbers.row(1), 5);
  double product = 0;
  for (Index i = 0; i < a.size(); ++i) product += a.data()[i] * b.data()[i];
  EXPECT_NEAR(dot(numbers.row(0), numbers.row(1), 15), product, 1e-13);
  EXPECT_EQ(a(0, 1), numbers(0, 1) / std::sqrt(2.0));
  EXPECT_EQ(a(1, 0), a(0, 1));
  EXPECT_EQ(numbers(0, 5), a(1, 1));

  const std::vector<double> square = symmetric_square(a.row(0), 5);
  ASSERT_EQ(square.size(), 15U);
  const HostMatrix outer = symmetric_matrix(square.data(), 5);
  for (Index i = 0; i < 5; ++i) {
    for (Index j = 0; j < 5; ++j) EXPECT_NEAR(outer(i, j), a(0, i) * a(0, j), 1e-15);
  }
}

// Fewer matrices than numbers, as many, and more: the last two take the other way.
TEST_P(SymmetricSpanTest, HoldsPlantedRankOneMatrices) {
  constexpr Index d = 8, m = 12;
  const HostMatrix planted = rank_ones(m, d, 3);
  for (const Index count : {m, m + 5, Index{36}, Index{100}}) {
    const HostMatrix rows = times(normals(count, m, 5), planted);
    Padded there(device(), rows);
    const SymmetricSpan span = symmetric_span(device(), there, m);
    SCOPED_TRACE(count);

    ASSERT_EQ(span.values.size(), static_cast<std::size_t>(std::min<Index>(count, 36)));
    EXPECT_TRUE(std::is_sorted(span.values.rbegin(), span.values.rend()));
    for (std::size_t k = m; k < span.values.size(); ++k) {
      EXPECT_LT(span.values[k], 1e-13 * span.values[0]);
    }
    ASSERT_EQ(span.basis.rows(), m);
    EXPECT_LT(worst_product(span.basis), 1e-13);
    // eps times the condition of twelve planted ones and of their factors, below 1e3
    EXPECT_LT(worst_outside(span.basis, planted), 1e-12);
  }
}

// Known singular values and vectors, small ones among them: nothing may square them.
TEST_P(SymmetricSpanTest, SmallSingularValuesAndTheirVectorsAreSeen) {
  constexpr Index n = 21;  // of 6 dimensions
  const std::vector<double> values{3, 1e-3, 1e-6, 1e-10, 1e-13};
  for (const Index count : {Index{8}, Index{30}}) {
    HostMatrix middle(count, n);
    for (Index k = 0; k < 5; ++k) middle(k, k) = values[static_cast<std::size_t>(k)];
    const HostMatrix right = reflection(n, 7);
    const HostMatrix rows = times(times(reflection(count, 6), middle), right);
    const SymmetricSpan span = symmetric_span(device(), upload(device(), rows), 5);
    SCOPED_TRACE(count);

    for (std::size_t k = 0; k < 5; ++k) EXPECT_NEAR(span.values[k], values[k], 1e-14);
    EXPECT_LT(worst_product(span.basis), 1e-13);
    for (Index k = 0; k < 4; ++k) {  // rounding of the rows over the value
      const double along = dot(span.basis.row(k), right.row(k), n);
      EXPECT_NEAR(std::abs(along), 1, 1e-14 / values[static_cast<std::size_t>(k)]);
    }
  }
}

TEST_P(SymmetricSpanTest, ABasisOfMoreThanTheRankIsOrthonormalAllTheSame) {
  const HostMatrix planted = rank_ones(3, 5, 3);
  const HostMatrix rows = times(normals(7, 3, 5), planted);
  const SymmetricSpan span = symmetric_span(device(), upload(device(), rows), 7);
  ASSERT_EQ(span.basis.rows(), 7);
  EXPECT_LT(worst_product(span.basis), 1e-13);
  EXPECT_LT(worst_outside(HostMatrix(span.basis.view().row_block(0, 3)), planted), 1e-12);

  const SymmetricSpan nothing = symmetric_span(device(), upload(device(), HostMatrix(4, 15)), 4);
  EXPECT_EQ(nothing.values, std::vector<double>(4, 0.0));
  EXPECT_LT(worst_product(nothing.basis), 1e-13);
}

TEST_P(SymmetricSpanTest, OneNumberAndNoBasis) {
  const SymmetricSpan one = symmetric_span(device(), upload(device(), HostMatrix{{3}, {-4}}), 1);
  EXPECT_NEAR(one.values[0], 5, 1e-14);
  EXPECT_NEAR(std::abs(one.basis(0, 0)), 1, 1e-15);
  const SymmetricSpan none = symmetric_span(device(), upload(device(), normals(2, 6, 1)), 0);
  EXPECT_EQ(none.values.size(), 2U);
  EXPECT_EQ(none.basis.rows(), 0);
  EXPECT_EQ(none.basis.cols(), 6);
}

TEST_P(SymmetricSpanTest, OtherShapesAreRefused) {
  const auto span = [&](Index rows, Index cols, Index m) {
    symmetric_span(device(), upload(device(), HostMatrix(rows, cols, 1.0)), m);
  };
  EXPECT_THROW(span(3, 5, 1), BadInput);
  EXPECT_THROW(span(3, 0, 0), BadInput);
  EXPECT_THROW(span(0, 6, 0), BadInput);
  EXPECT_THROW(span(3, 6, 4), BadInput);
  EXPECT_THROW(span(9, 6, 7), BadInput);
  EXPECT_THROW(span(3, 6, -1), BadInput);
  EXPECT_THROW(symmetric_dimensions(2), BadInput);
  EXPECT_EQ(symmetric_dimensions(55), 10);
}

}  // namespace
}  // namespace crease
