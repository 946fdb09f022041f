// LSQR: one column or many, whole or in chunks, damped or not, and nothing large leaves the device.
#include "src/stages/lsqr.hpp"

#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/preconditioner.hpp"
#include "tests/support/planted_features.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kRounding4 = 4 * 0x1p-53;

class LsqrTest : public PlantedFeatures {
 protected:
  /// Without a preconditioner.
  LsqrResult plain(RowSource& z, ConstDeviceView y, double ridge, Index most_iterations) {
    const Index q = z.cols();
    DeviceMatrix ones(device(), q, 1);
    fill(device(), 1.0, ones);
    const DeviceMatrix l = upload(device(), identity(q));
    return lsqr(device(), {z, 0, y}, {ones, l}, ridge, kRounding4, most_iterations);
  }
};
CREASE_ON_EVERY_BACKEND(LsqrTest);

TEST_P(LsqrTest, AMatrixWithTwoSingularValuesTakesTwoIterations) {
  // Z = diag(2, 1, 1): the Krylov space of Z^T Z ends after as many steps as there are values.
  const DeviceMatrix z = upload(device(), HostMatrix({{2, 0, 0}, {0, 1, 0}, {0, 0, 1}}));
  const DeviceMatrix y = upload(device(), HostMatrix({{2}, {3}, {-1}}));
  MatrixRows rows(z);
  const LsqrResult result = plain(rows, y, 0, 50);
  EXPECT_TRUE(result.converged);
  EXPECT_EQ(result.iterations, 2);
  EXPECT_TRUE(
      at_most(distance(download(device(), result.coefficients), HostMatrix({{1}, {3}, {-1}})),
              20 * kRounding4));
}

TEST_P(LsqrTest, ARidgeIsRowsOfItsRootUnderneath) {
  plant(0.5);
  y_ = normals(kPoints, 2, 60);
  const double ridge = 7;
  const DeviceMatrix y = upload(device(), y_);
  for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
    FeatureRows z = rows(bytes);
    const LsqrResult result = plain(z, y, ridge, 2000);
    ASSERT_TRUE(result.converged);
    const HostMatrix v = download(device(), result.coefficients);
    EXPECT_TRUE(
        at_most(normal_equations(z_, v, y_, ridge),
                backward() * (norm(z_) * (norm(z_) * norm(v) + norm(y_)) + ridge * norm(v))));
  }
}

TEST_P(LsqrTest, EveryRightHandSideIsSolvedAsIfItWereAlone) {
  plant(0.5, 3);
  const HostMatrix noise = normals(kPoints, 1, 61);
  for (Index i = 0; i < kPoints; ++i) {
    y_(i, 1) = noise(i, 0);
    y_(i, 2) = 0;  // stops before it begins, and the others do not mind
  }
  FeatureRows z = rows();
  const DeviceMatrix y = upload(device(), y_);
  const auto factor = factor_gram(device(), gram_of(device(), {z, 0, y}));
  ASSERT_TRUE(factor.has_value());
  const HostMatrix together = download(
      device(),
      lsqr(device(), {z, 0, y}, factor->preconditioner(), 0, kRounding4, 100).coefficients);
  for (Index o = 0; o < 3; ++o) {
    const ConstDeviceView column = y.view().col_block(o, 1);
    const HostMatrix alone = download(
        device(),
        lsqr(device(), {z, 0, column}, factor->preconditioner(), 0, kRounding4, 100).coefficients);
    HostMatrix part(z.cols(), 1);
    HostMatrix right(kPoints, 1);
    for (Index j = 0; j < z.cols(); ++j) part(j, 0) = together(j, o);
    for (Index i = 0; i < kPoints; ++i) right(i, 0) = y_(i, o);
    for (const HostMatrix& v : {alone, part}) {
      EXPECT_TRUE(at_most(normal_equations(z_, v, right, 0),
                          backward() * norm(z_) * (norm(z_) * norm(v) + norm(right))))
          << o;
    }
  }
  for (Index j = 0; j < z.cols(); ++j) EXPECT_EQ(together(j, 2), 0.0);
}

TEST_P(LsqrTest, OnlyAFewNumbersAnIterationLeaveTheDevice) {
  plant(1e-3);
  FeatureRows z = rows();
  const DeviceMatrix y = upload(device(), y_);
  device().synchronize();
  const DeviceStats before = device().stats();
  const LeastSquaresSolution solution = solve(z, y, SolveMethod::stream);
  const DeviceStats after = device().stats();
  const Index p = y.cols();
  const Index q = z.cols();
  // A flag per column and iteration, the end, the factors and the coefficients, and the condition
  // estimate's few norms; the check of the recurrence reads its state.
  const Index numbers = (solution.iterations + 2) * p + q + q * p + 16 + kLsqrRows * p;
  EXPECT_LE(after.downloaded_bytes - before.downloaded_bytes, 8 * numbers);
  EXPECT_LT(8 * numbers, 8 * q * q) << "a factor would not have fitted";
  EXPECT_EQ(after.uploaded_bytes, before.uploaded_bytes);
}

TEST_P(LsqrTest, TooFewIterationsAreNoConvergence) {
  plant(1e-2, 1);
  FeatureRows z = rows();
  const LsqrResult result = plain(z, upload(device(), y_), 0, 3);
  EXPECT_FALSE(result.converged);
  EXPECT_EQ(result.iterations, 3);
}

TEST_P(LsqrTest, NoRowsAndNoRightHandSidesAreSolvedByZero) {
  plant(0.5);
  FeatureRows z = rows();
  for (const auto& [n, p] : {std::pair<Index, Index>{0, 2}, {kPoints, 0}}) {
    const LsqrResult result = plain(z, DeviceMatrix(device(), n, p), 0, 10);
    EXPECT_TRUE(result.converged);
    EXPECT_TRUE(same_bits(download(device(), result.coefficients), HostMatrix(z.cols(), p)));
  }
}

TEST_P(LsqrTest, WhatDoesNotFitIsRefused) {
  plant(0.5);
  FeatureRows z = rows();
  const DeviceMatrix y(device(), kPoints, 1);
  const DeviceMatrix ones(device(), z.cols(), 1);
  const DeviceMatrix l(device(), z.cols(), z.cols());
  const DeviceMatrix small(device(), z.cols() - 1, z.cols() - 1);
  EXPECT_THROW(lsqr(device(), {z, 1, y}, {ones, l}, 0, 0, 1), BadInput);
  EXPECT_THROW(lsqr(device(), {z, 0, y}, {ones, small}, 0, 0, 1), BadInput);
  EXPECT_THROW(lsqr(device(), {z, 0, y}, {ones, l}, -1, 0, 1), BadInput);
}

}  // namespace
}  // namespace crease
