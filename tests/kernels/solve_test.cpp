// What least-squares solvers do to vectors and Gram matrices; recordings.
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

constexpr double kEps = std::numeric_limits<double>::epsilon();
const double kNan = std::numeric_limits<double>::quiet_NaN();

class SolveKernelsTest : public EveryBackend {};
CREASE_ON_EVERY_BACKEND(SolveKernelsTest);

TEST_P(SolveKernelsTest, RowsAndSumsAreScaledElementByElement) {
  for (const auto& [n, q] : {std::pair<Index, Index>{1, 1}, {31, 33}, {64, 1}, {257, 3}}) {
    const HostMatrix values = with_zeros_and_ties(distinct(n, q));
    const HostMatrix rows = distinct(n, 1, 0.25);
    const HostMatrix columns = distinct(1, q, -0.5);
    const HostMatrix x = with_zeros_and_ties(distinct(n, q, 0.125));
    HostMatrix scaled = values;
    HostMatrix sum = values;
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < q; ++j) {
        scaled(i, j) *= rows(i, 0);
        sum(i, j) += -0.75 * columns(0, j) * x(i, j);
      }
    }
    Padded z(device(), values);
    Padded factors(device(), rows);
    scale_rows(device(), factors, z);
    EXPECT_TRUE(same_bits(z.read(), scaled));
    Padded y(device(), values);
    Padded column_factors(device(), columns);
    Padded other(device(), x);
    add_scaled(device(), -0.75, column_factors, other, y);
    EXPECT_TRUE(same_bits(y.read(), sum));
  }
}

TEST_P(SolveKernelsTest, ColumnsBecomeUnitVectorsAndZeroStaysZero) {
  Padded z(device(), HostMatrix({{3, 0, 1e-310, kNan}, {4, 0, 0, 1}}));
  Padded norms(device(), 1, 4);
  normalize_columns(device(), z, norms);
  EXPECT_TRUE(same_bits(norms.read(), {{5, 0, 0, kNan}}));
  EXPECT_TRUE(same_bits(z.read(), {{0.6, 0, 0, kNan}, {0.8, 0, 0, kNan}}));
  for (const auto& [n, q] : {std::pair<Index, Index>{33, 31}, {257, 64}}) {
    const HostMatrix values = distinct(n, q);
    Padded long_columns(device(), values);
    Padded lengths(device(), 1, q);
    normalize_columns(device(), long_columns, lengths);
    const HostMatrix unit = long_columns.read();
    const HostMatrix got = lengths.read();
    HostMatrix expected(n, q), terms(n, q), exact(1, q);
    for (Index j = 0; j < q; ++j) {
      long double square = 0;
      for (Index i = 0; i < n; ++i) square += static_cast<long double>(values(i, j)) * values(i, j);
      exact(0, j) = static_cast<double>(std::sqrt(square));
      for (Index i = 0; i < n; ++i) {
        expected(i, j) = static_cast<double>(values(i, j) / std::sqrt(square));
        terms(i, j) = std::abs(expected(i, j));
      }
    }
    EXPECT_TRUE(near_sum(got, exact, exact, n));
    EXPECT_TRUE(near_sum(unit, expected, terms, n + 1));
  }
}

TEST_P(SolveKernelsTest, AGramMatrixGetsAUnitDiagonal) {
  // Roots and products of powers of two: nothing rounds. The third column is left out.
  Padded g(device(),
           HostMatrix({{4, 7, 8, 9}, {-2, 16, 5, 6}, {3e-13, 2e-13, 1e-25, 3}, {1, 2, 5e-13, 1}}));
  Padded factors(device(), 4, 1);
  unit_diagonal(device(), 1e-24, 0.5, g, factors);
  EXPECT_TRUE(same_bits(factors.read(), {{0.5}, {0.25}, {0}, {1}}));
  EXPECT_TRUE(same_bits(g.read(),
                        {{1.5, 7, 8, 9}, {-0.25, 1.5, 5, 6}, {0, 0, 1.5, 3}, {0.5, 0.5, 0, 1.5}}));
  for (const Index q : {1, 31, 33, 257, 300}) {
    const HostMatrix z = distinct(q + 3, q);
    const HostMatrix matrix = product(transposed(z), z).value;
    Padded square(device(), matrix);
    Padded diagonal(device(), q, 1);
    unit_diagonal(device(), 0.0, 1e-10, square, diagonal);
    HostMatrix expected = matrix;
    HostMatrix inverse(q, 1);
    for (Index j = 0; j < q; ++j) inverse(j, 0) = 1.0 / std::sqrt(matrix(j, j));
    for (Index i = 0; i < q; ++i) {
      for (Index j = 0; j < i; ++j) expected(i, j) = inverse(i, 0) * matrix(i, j) * inverse(j, 0);
      expected(i, i) = 1.0 + 1e-10;
    }
    EXPECT_TRUE(same_bits(diagonal.read(), inverse)) << q;
    EXPECT_TRUE(same_bits(square.read(), expected)) << q;
  }
  Padded broken(device(), HostMatrix({{kNan, 0}, {1, 4}}));
  Padded two(device(), 2, 1);
  unit_diagonal(device(), 1e-24, 0.5, broken, two);
  EXPECT_FALSE(cholesky(device(), broken)) << "NaN does not become a number";
}

TEST_P(SolveKernelsTest, TheRotationsOfLsqrAreThoseOfItsRecurrence) {
  // alpha = 2, beta = 10; then alpha = 5, beta = 1.5: rho = 2.5, c = 0.8, s = 0.6. The second
  // column begins at 0, the third has alpha = 0 at once.
  HostMatrix first(kLsqrRows, 3, kNan);
  const auto at = [](HostMatrix& state, LsqrRow row, Index j) -> double& {
    return state(static_cast<Index>(row), j);
  };
  at(first, LsqrRow::alpha, 0) = 2;
  at(first, LsqrRow::beta, 0) = 10;
  at(first, LsqrRow::alpha, 1) = at(first, LsqrRow::beta, 1) = 0;
  at(first, LsqrRow::alpha, 2) = 1;
  at(first, LsqrRow::beta, 2) = 1;
  Padded state(device(), first);
  lsqr_begin(device(), 0.25, state);
  HostMatrix begun = state.read();
  EXPECT_TRUE(same_bits(begun, {{2, 0, 1},
                                {10, 0, 1},
                                {2, 0, 1},
                                {10, 0, 1},
                                {-2, -0.0, -1},
                                {0, 0, 0},
                                {0, 0, 0},
                                {20, 0, 1},
                                {5, 0, 0.25},
                                {1, 0, 1}}));
  at(begun, LsqrRow::alpha, 0) = 5;
  at(begun, LsqrRow::beta, 0) = 1.5;
  at(begun, LsqrRow::alpha, 2) = 0;
  at(begun, LsqrRow::beta, 2) = 0;
  Padded next(device(), begun);
  lsqr_rotate(device(), next);
  HostMatrix rotated = next.read();
  const double c = 2.0 / 2.5;
  const double s = 1.5 / 2.5;
  EXPECT_EQ(at(rotated, LsqrRow::rho_bar, 0), -c * 5);
  EXPECT_EQ(at(rotated, LsqrRow::phi_bar, 0), s * 10);
  EXPECT_EQ(at(rotated, LsqrRow::minus_alpha, 0), -5);
  EXPECT_EQ(at(rotated, LsqrRow::step, 0), c * 10 / 2.5);
  EXPECT_EQ(at(rotated, LsqrRow::minus_ratio, 0), -(s * 5) / 2.5);
  EXPECT_EQ(at(rotated, LsqrRow::left, 0), std::abs(s * 10 * 5 * c));
  EXPECT_EQ(at(rotated, LsqrRow::running, 0), 1);
  EXPECT_EQ(at(rotated, LsqrRow::running, 1), 0);
  EXPECT_EQ(at(rotated, LsqrRow::step, 1), 0);
  EXPECT_EQ(at(rotated, LsqrRow::running, 2), 0) << "nothing is left";
  EXPECT_EQ(at(rotated, LsqrRow::step, 2), 1) << "and this step is still taken";
  // A column that has stopped moves no more.
  Padded after(device(), rotated);
  lsqr_rotate(device(), after);
  const HostMatrix stopped = after.read();
  for (const Index j : {1, 2}) {
    EXPECT_EQ(stopped(static_cast<Index>(LsqrRow::step), j), 0);
    EXPECT_EQ(stopped(static_cast<Index>(LsqrRow::minus_ratio), j), 0);
  }
}

TEST_P(SolveKernelsTest, NaNNeverLooksLikeAnEnd) {
  Padded state(device(), HostMatrix(kLsqrRows, 1, kNan));
  lsqr_begin(device(), 1e-16, state);
  HostMatrix begun = state.read();
  EXPECT_EQ(begun(static_cast<Index>(LsqrRow::running), 0), 1);
  lsqr_rotate(device(), state);
  EXPECT_TRUE(std::isnan(state.read()(static_cast<Index>(LsqrRow::step), 0)));
}

TEST_P(SolveKernelsTest, SingularValuesAndVectorsGiveTheMatrixBack) {
  for (const Index q : {1, 2, 31, 33, 64, 257}) {
    HostMatrix a = distinct(q, q);
    if (q > 2) {
      for (Index i = 0; i < q; ++i) a(i, 2) = a(i, 0);  // and one of them is zero
    }
    Padded used(device(), a);
    Padded left_t(device(), q, q);
    Padded values(device(), 1, q);
    Padded right(device(), q, q);
    const double perturbation = svd(device(), used, left_t, values, right);
    EXPECT_GE(perturbation, 0);
    const HostMatrix u_t = left_t.read();
    const HostMatrix s = values.read();
    const HostMatrix v_t = right.read();
    HostMatrix scaled = v_t;
    for (Index i = 0; i < q; ++i) {
      for (Index j = 0; j < q; ++j) scaled(i, j) *= s(0, i);
      EXPECT_LE(s(0, i), s(0, std::max<Index>(0, i - 1)));
    }
    const double bound = 10 * static_cast<double>(q) * kEps;
    const double slack = static_cast<double>(q) * perturbation;
    EXPECT_TRUE(
        at_most(distance(product(transposed(u_t), scaled).value, a), bound * norm(a) + slack))
        << q;
    EXPECT_TRUE(at_most(distance(product(u_t, transposed(u_t)).value, identity(q)), bound)) << q;
    EXPECT_TRUE(at_most(distance(product(v_t, transposed(v_t)).value, identity(q)), bound)) << q;
    if (q > 2) {
      EXPECT_TRUE(at_most(s(0, q - 1), bound * s(0, 0) + perturbation)) << q;
    }
  }
}

TEST_P(SolveKernelsTest, ARecordingDoesItsWorkWhenItIsReplayedAndNotBefore) {
  DeviceMatrix x = upload(device(), HostMatrix({{1, 2}}));
  const DeviceMatrix factors = upload(device(), HostMatrix({{2, 3}}));
  DeviceMatrix norms(device(), 1, 2);
  DeviceMatrix square(device(), 2, 2);
  fill(device(), 0.0, norms);
  fill(device(), 0.0, square);
  const auto recording = record(device(), [&] {
    scale_columns(device(), factors, x);
    column_norms(device(), x, norms);  // has scratch of its own
    multiply(device(), x, Transpose::yes, x, Transpose::no, 1.0, 0.0, square);
  });
  EXPECT_TRUE(same_bits(download(device(), x), {{1, 2}}));
  for (int i = 0; i < 3; ++i) recording->replay();
  EXPECT_TRUE(same_bits(download(device(), x), {{8, 54}}));
  EXPECT_TRUE(same_bits(download(device(), norms), {{8, 54}}));
  EXPECT_TRUE(same_bits(download(device(), square), {{64, 432}, {432, 2916}}));
  fill(device(), 1.0, x);
  recording->replay();
  EXPECT_TRUE(same_bits(download(device(), x), {{2, 3}})) << "between other work, in order";
}

TEST_P(SolveKernelsTest, WhatARecordedWorkThrowsComesThrough) {
  // On CUDA while it is recorded, on the CPU when it is replayed.
  EXPECT_THROW(
      {
        const auto recording = record(device(), [&] { require(false, "not this"); });
        recording->replay();
      },
      BadInput);
  const DeviceMatrix still_alive = upload(device(), HostMatrix({{1}}));
  EXPECT_TRUE(same_bits(download(device(), still_alive), {{1}}));
  EXPECT_THROW(record(device(), {}), BadInput);
}

TEST_P(SolveKernelsTest, WorkThatCannotBeCapturedIsDoneAllTheSame) {
  DeviceMatrix x = upload(device(), HostMatrix({{1}}));
  Index seen = 0;
  const auto recording = record(device(), [&] {
    add_row(device(), x, x.view());
    seen = first_non_finite_row(device(), x);  // waits: no graph can hold it
  });
  EXPECT_TRUE(same_bits(download(device(), x), {{1}}));
  recording->replay();
  EXPECT_EQ(seen, -1);
  EXPECT_TRUE(same_bits(download(device(), x), {{2}}));
}

TEST_P(SolveKernelsTest, ColumnsAreDividedAndThoseOfNormZeroCleared) {
  Padded z(device(), HostMatrix({{3, 5, -1}, {-4, kNan, 0.5}}));
  Padded norms(device(), HostMatrix({{2, 0, 0.25}}));
  divide_columns(device(), norms, z);
  EXPECT_TRUE(same_bits(z.read(), {{1.5, 0, -4}, {-2, 0, 2}}));
}

TEST_P(SolveKernelsTest, ThereAndBackAreTwoProductsWithOneMatrix) {
  Padded z(device(), HostMatrix({{1, 2}, {0, -1}, {3, 0}}));
  Padded x(device(), HostMatrix({{1, 0}, {2, -1}}));
  Padded y(device(), HostMatrix({{1, 0}, {0, 4}, {-3, 1}}));
  Padded back(device(), HostMatrix({{kNan, 1}, {7, kNan}}));
  multiply_and_back(device(), z, x, y, 0.0, back);
  EXPECT_TRUE(same_bits(y.read(), {{6, -2}, {-2, 5}, {0, 1}}));
  EXPECT_TRUE(same_bits(back.read(), {{6, 1}, {14, -9}}));
  multiply_and_back(device(), z, DeviceMatrix(upload(device(), HostMatrix(2, 2))), y, -2.0, back);
  EXPECT_TRUE(same_bits(back.read(), {{-6, -1}, {-14, 9}}));
}

TEST_P(SolveKernelsTest, ThereAndBackAgreeWithExactSums) {
  for (const auto& [n, q, p] : {std::array<Index, 3>{1, 1, 1},
                                {33, 31, 1},
                                {257, 64, 3},
                                {4099, 33, 2},
                                {31, 40001, 1},
                                {0, 5, 2}}) {
    const HostMatrix z = with_zeros_and_ties(distinct(n, q));
    const HostMatrix x = distinct(q, p, -0.5);
    const HostMatrix y = distinct(n, p, 0.25);
    const HostMatrix before = distinct(q, p, 2.0);
    Padded z_there(device(), z);
    Padded x_there(device(), x);
    Padded y_there(device(), y);
    Padded back(device(), before);
    multiply_and_back(device(), z_there, x_there, y_there, 0.5, back);
    const HostMatrix got = y_there.read();
    HostMatrix sum(n, p), terms(n, p), sum_back(q, p), terms_back(q, p);
    for (Index o = 0; o < p; ++o) {
      for (Index i = 0; i < n; ++i) {
        long double exact = y(i, o);
        long double size = std::abs(y(i, o));
        for (Index j = 0; j < q; ++j) {
          exact += static_cast<long double>(z(i, j)) * x(j, o);
          size += std::abs(static_cast<long double>(z(i, j)) * x(j, o));
        }
        sum(i, o) = static_cast<double>(exact);
        terms(i, o) = static_cast<double>(size);
      }
      for (Index j = 0; j < q; ++j) {
        long double exact = 0.5L * before(j, o);
        long double size = std::abs(exact);
        for (Index i = 0; i < n; ++i) {
          exact += static_cast<long double>(z(i, j)) * got(i, o);
          size += std::abs(static_cast<long double>(z(i, j)) * got(i, o));
        }
        sum_back(j, o) = static_cast<double>(exact);
        terms_back(j, o) = static_cast<double>(size);
      }
    }
    EXPECT_TRUE(near_sum(got, sum, terms, q + 1)) << n << " " << q << " " << p;
    EXPECT_TRUE(near_sum(back.read(), sum_back, terms_back, n + 1)) << n << " " << q << " " << p;
  }
}

TEST_P(SolveKernelsTest, EmptyMatricesAreLeftAloneAndShapesThatDoNotFitRefused) {
  DeviceMatrix none(device(), 0, 0);
  DeviceMatrix wide(device(), 2, 3);
  DeviceMatrix square(device(), 2, 2);
  DeviceMatrix column(device(), 2, 1);
  DeviceMatrix row(device(), 1, 3);
  DeviceMatrix state(device(), kLsqrRows, 0);
  scale_rows(device(), DeviceMatrix(device(), 0, 1), DeviceMatrix(device(), 0, 3));
  add_scaled(device(), 1.0, row, DeviceMatrix(device(), 0, 3), DeviceMatrix(device(), 0, 3));
  normalize_columns(device(), DeviceMatrix(device(), 3, 0), DeviceMatrix(device(), 1, 0));
  unit_diagonal(device(), 0, 0, none, DeviceMatrix(device(), 0, 1));
  lsqr_begin(device(), 0, state);
  lsqr_rotate(device(), state);
  EXPECT_EQ(svd(device(), none, none, DeviceMatrix(device(), 1, 0), none), 0);

  EXPECT_THROW(scale_rows(device(), row, wide), BadInput);
  EXPECT_THROW(add_scaled(device(), 1.0, column, wide, wide), BadInput);
  EXPECT_THROW(add_scaled(device(), kNan, row, wide, wide), BadInput);
  EXPECT_THROW(add_scaled(device(), 1.0, row, square, wide), BadInput);
  EXPECT_THROW(normalize_columns(device(), wide, column), BadInput);
  EXPECT_THROW(divide_columns(device(), column, wide), BadInput);
  EXPECT_THROW(multiply_and_back(device(), wide, column, column, 0, column), BadInput);
  EXPECT_THROW(multiply_and_back(device(), square, column, column, kNan, column), BadInput);
  EXPECT_THROW(multiply_and_back(device(), square, column, row, 0, column), BadInput);
  EXPECT_THROW(unit_diagonal(device(), 0, 0, wide, column), BadInput);
  EXPECT_THROW(unit_diagonal(device(), 0, 0, square, row), BadInput);
  EXPECT_THROW(unit_diagonal(device(), -1, 0, square, column), BadInput);
  EXPECT_THROW(unit_diagonal(device(), 0, kNan, square, column), BadInput);
  EXPECT_THROW(lsqr_begin(device(), 0, wide), BadInput);
  EXPECT_THROW(lsqr_begin(device(), -1, state), BadInput);
  EXPECT_THROW(lsqr_rotate(device(), wide), BadInput);
  EXPECT_THROW(svd(device(), wide, square, row, square), BadInput);
  EXPECT_THROW(svd(device(), square, square, row, square), BadInput);
}

}  // namespace
}  // namespace crease
