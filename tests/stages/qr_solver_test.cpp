// TSQR: the triangular factor of any rows, and both ends of it.
#include "src/stages/qr_solver.hpp"

#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/planted_features.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

class QrSolverTest : public PlantedFeatures {};
CREASE_ON_EVERY_BACKEND(QrSolverTest);

TEST_P(QrSolverTest, TheTriangularFactorKeepsTheGramMatrixWhateverTheChunks) {
  plant(0.1);
  HostMatrix both(kPoints, kFeatures + 2);
  for (Index i = 0; i < kPoints; ++i) {
    for (Index j = 0; j < kFeatures; ++j) both(i, j) = z_(i, j);
    for (Index o = 0; o < 2; ++o) both(i, kFeatures + o) = y_(i, o);
  }
  const HostMatrix gram = product(transposed(both), both).value;
  const DeviceMatrix y = upload(device(), y_);
  for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
    FeatureRows z = rows(bytes);
    const HostMatrix r = download(device(), triangular_factor(device(), {z, 0, y}));
    for (Index i = 0; i < r.rows(); ++i) {
      for (Index j = 0; j < i; ++j) ASSERT_EQ(r(i, j), 0.0);
    }
    // As triangularize: 10 n eps, n rows in all.
    EXPECT_TRUE(
        at_most(distance(product(transposed(r), r).value, gram), 10 * kPoints * kEps * norm(gram)));
  }
}

TEST_P(QrSolverTest, ChunksOfARowSourceInMemoryStayAFewTimesTheFactor) {
  // 4 rows per column: with the factor above them, 5 (q + p)^2 numbers, and the factor itself.
  const Index n = 4000;
  DeviceMatrix z(device(), n, 5);
  fill_gaussian(device(), Seed{2}, 0, 0, 1.0, z);
  DeviceMatrix y(device(), n, 1);
  fill(device(), 1.0, y);
  MatrixRows rows(z);
  const Index before = device().stats().bytes_in_use;
  const DeviceMatrix r = triangular_factor(device(), {rows, 0, y});
  EXPECT_EQ(device().stats().bytes_in_use - before, 8 * 6 * 6);
  EXPECT_LE(device().stats().peak_bytes - before, 8 * (5 + 1) * 6 * 6);
}

TEST_P(QrSolverTest, BothEndsAgreeOnTheSolutionOfMinimumNorm) {
  // Z = [1 1; 1 1] and y = (2, 4): both coefficients 3 / 2.
  const DeviceMatrix z = upload(device(), HostMatrix({{1, 1}, {1, 1}}));
  const DeviceMatrix y = upload(device(), HostMatrix({{2}, {4}}));
  MatrixRows rows(z);
  for (const Index most_host_columns : {Index{0}, Index{2}}) {
    const QrResult result = solve_by_qr(device(), {rows, 0, y}, most_host_columns);
    EXPECT_EQ(result.rank, 1);
    EXPECT_NEAR(result.coefficients(0, 0), 1.5, 10 * 2 * kEps * 3);
    EXPECT_NEAR(result.coefficients(1, 0), 1.5, 10 * 2 * kEps * 3);
    EXPECT_NEAR(result.condition, 1, 10 * 2 * kEps * 3);
  }
}

TEST_P(QrSolverTest, AColumnOfZerosHasNoPart) {
  const DeviceMatrix z = upload(device(), HostMatrix({{0, 2}, {0, 0}, {0, 0}}));
  const DeviceMatrix y = upload(device(), HostMatrix({{6}, {1}, {1}}));
  MatrixRows rows(z);
  for (const Index most_host_columns : {Index{0}, Index{2}}) {
    const QrResult result = solve_by_qr(device(), {rows, 0, y}, most_host_columns);
    EXPECT_EQ(result.rank, 1);
    EXPECT_EQ(result.coefficients(0, 0), 0.0);
    EXPECT_NEAR(result.coefficients(1, 0), 3, 10 * 2 * kEps * 3);
  }
}

}  // namespace
}  // namespace crease
