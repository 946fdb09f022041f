// The least-squares solvers against their accuracy table, and how one of them is chosen.
#include "src/stages/solve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "tests/support/planted_features.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kUnit = 0x1p-53;

class SolveTest : public PlantedFeatures {};
CREASE_ON_EVERY_BACKEND(SolveTest);

TEST_P(SolveTest, StreamIsBackwardStableToConditionTenMillion) {
  double largest = 0;
  for (const double angle : {0.3, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6}) {
    plant(angle);
    const double condition = true_condition();
    if (condition > 1e7) continue;
    largest = std::max(largest, condition);
    const DeviceMatrix y = upload(device(), y_);
    for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
      FeatureRows z = rows(bytes);
      const LeastSquaresSolution solution = solve(z, y, SolveMethod::stream);
      EXPECT_EQ(solution.solver, "stream");
      EXPECT_EQ(solution.rank, z.cols());
      EXPECT_EQ(solution.reason, "asked for");
      EXPECT_GE(solution.iterations, 1);
      EXPECT_TRUE(at_most(residual(solution.coefficients), backward())) << condition;
      EXPECT_TRUE(at_most(distance(solution.coefficients, truth_),
                          backward() * condition * std::sqrt(27.0) * norm(truth_)))
          << condition;
      // Estimated from below; above by what the shift and rounding leave.
      EXPECT_LE(solution.condition, 1.01 * condition);
      if (condition < 1e5) {
        EXPECT_GE(solution.condition, condition / 2);
      }
    }
  }
  EXPECT_GT(largest, 1e6) << "the hard cases were tried";
}

TEST_P(SolveTest, StreamLosesOnlyTheDirectionsBelowItsShift) {
  // Along a singular direction s of the unit columns, LSQR sees s / sqrt(s^2 + shift), shift = 10 u
  // q, and stops where that times the residual is 4 u |y|; the residual never exceeds s |c| there.
  // The worst s lies where both meet: residual <= sqrt(4 u sqrt(shift) |y| |c|) per direction.
  double largest = 0;
  for (const double angle : {1e-6, 1e-7, 1e-8, 1e-10, 1e-12, 0.0}) {
    plant(angle, 1);
    largest = std::max(largest, true_condition());
    const DeviceMatrix y = upload(device(), y_);
    FeatureRows z = rows();
    const LeastSquaresSolution solution = solve(z, y, SolveMethod::stream);
    HostMatrix in_unit_columns = truth_;
    for (Index j = 0; j < z_.cols(); ++j) {
      double square = 0;
      for (Index i = 0; i < z_.rows(); ++i) square += z_(i, j) * z_(i, j);
      in_unit_columns(j, 0) *= std::sqrt(square);
    }
    const auto q = static_cast<double>(z_.cols());
    const double bound =
        std::sqrt(q * 4 * kUnit * std::sqrt(10 * kUnit * q) * norm(y_) * norm(in_unit_columns));
    EXPECT_TRUE(at_most(distance(product(z_, solution.coefficients).value, y_),
                        bound + backward() * norm(z_) * norm(solution.coefficients)))
        << angle;
    EXPECT_LE(solution.iterations, 60) << angle;
  }
  EXPECT_EQ(largest, std::numeric_limits<double>::infinity()) << "the hard cases were tried";
}

TEST_P(SolveTest, QrIsExactAtEveryConditionDuplicatesIncluded) {
  double largest = 0;
  for (const double angle : {0.3, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 0.0}) {
    plant(angle);
    const double condition = true_condition();
    if (std::isfinite(condition)) largest = std::max(largest, condition);
    const DeviceMatrix y = upload(device(), y_);
    for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
      // The rank from column pivoting on the host, and from singular values on the device.
      for (const Index most_host_columns : {kFeatures, Index{0}}) {
        FeatureRows z = rows(bytes);
        SolveOptions options;
        options.method = SolveMethod::qr;
        options.most_host_columns = most_host_columns;
        const LeastSquaresSolution solution = solve_least_squares(device(), {z, 0, y}, options);
        EXPECT_EQ(solution.solver, "qr");
        EXPECT_TRUE(at_most(residual(solution.coefficients), backward())) << "angle " << angle;
        EXPECT_EQ(solution.rank, angle == 0 ? z.cols() - 5 : z.cols()) << "angle " << angle;
        if (angle == 0) continue;
        EXPECT_TRUE(at_most(distance(solution.coefficients, truth_),
                            backward() * condition * std::sqrt(27.0) * norm(truth_)))
            << "angle " << angle;
        EXPECT_GE(solution.condition, condition / (kFeatures * kFeatures));
        EXPECT_LE(solution.condition, condition * kFeatures);
      }
    }
  }
  EXPECT_GT(largest, 1e10) << "the hard cases were tried";
}

TEST_P(SolveTest, DuplicatesShareTheirCoefficientAndNeverExplode) {
  // Minimum norm over unit columns: both halves of an exact duplicate get the same coefficient.
  plant(0.0);
  for (const Index most_host_columns : {kFeatures, Index{0}}) {
    SolveOptions options;
    options.most_host_columns = most_host_columns;
    FeatureRows z = rows();
    const DeviceMatrix y = upload(device(), y_);
    const LeastSquaresSolution solution = solve_least_squares(device(), {z, 0, y}, options);
    EXPECT_EQ(solution.solver, "qr") << "a factor of the Gram matrix cannot see a duplicate";
    EXPECT_EQ(solution.rank, z.cols() - 5);
    for (Index o = 0; o < 2; ++o) {
      for (Index j = 0; j < 5; ++j) {
        const double sum = truth_(j, o) + truth_(j + 5, o);
        // The well-conditioned rest: condition below 100.
        EXPECT_NEAR(solution.coefficients(j, o), sum / 2, 100 * backward() * norm(truth_));
        EXPECT_NEAR(solution.coefficients(j + 5, o), sum / 2, 100 * backward() * norm(truth_));
      }
    }
  }
}

TEST_P(SolveTest, TheSolverIsChosenByTheConditionAndSaysSo) {
  const std::string stream = "condition below 1e6: Gram matrix of the rows as preconditioner";
  const std::string qr = "the condition of the Gram matrix's factor is beyond 1e6";
  for (const auto& [angle, reason] : {std::pair<double, std::string>{0.3, stream},
                                      {1e-3, stream},
                                      {1e-9, qr},
                                      {1e-12, qr},
                                      {0.0, qr}}) {
    plant(angle);
    FeatureRows z = rows();
    const LeastSquaresSolution solution = solve(z, upload(device(), y_));
    EXPECT_EQ(solution.solver, reason == stream ? "stream" : "qr") << true_condition();
    EXPECT_EQ(solution.reason, reason);
    EXPECT_TRUE(at_most(residual(solution.coefficients), backward())) << angle;
  }
}

TEST_P(SolveTest, AnswersOutsideTheSpanLeaveAResidualThatIsOrthogonalToIt) {
  plant(0.1);
  y_ = normals(kPoints, 2, 77);
  const DeviceMatrix y = upload(device(), y_);
  for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
    for (const Index bytes : {kWhole, kOneRow}) {
      FeatureRows z = rows(bytes);
      const HostMatrix c = solve(z, y, method).coefficients;
      EXPECT_GT(distance(product(z_, c).value, y_), 1);
      // Normal equations: |Z^T r| <= backward error * (|Z|^2 |c| + |Z| |y|).
      EXPECT_TRUE(at_most(normal_equations(z_, c, y_, 0),
                          backward() * norm(z_) * (norm(z_) * norm(c) + norm(y_))))
          << name_of(method);
    }
  }
}

TEST_P(SolveTest, OnlyTheRowsAskedForTakePart) {
  plant(0.5);
  // The answers of rows 0 .. 59 are not there: the solution of the rest must not need them.
  const Index first = 60;
  const DeviceMatrix y =
      upload(device(), static_cast<const HostMatrix&>(y_).view().row_block(first, kPoints - first));
  for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
    for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
      FeatureRows z = rows(bytes);
      EXPECT_TRUE(at_most(residual(solve(z, y, method, first).coefficients), backward()))
          << name_of(method);
    }
  }
}

TEST_P(SolveTest, AFeatureThatIsNeverActiveGetsNoCoefficient) {
  plant(0.5);
  HostMatrix bias = download(device(), bias_);
  bias(3, 0) = -1e6;
  bias_ = upload(device(), bias);
  FeatureRows z = rows();
  z_ = download(device(), z.chunk(0, kPoints));
  truth_(3, 0) = truth_(3, 1) = 0;
  y_ = product(z_, truth_).value;
  const DeviceMatrix y = upload(device(), y_);
  for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
    const LeastSquaresSolution solution = solve(z, y, method);
    EXPECT_EQ(solution.rank, z.cols() - 1) << solution.solver;
    for (Index o = 0; o < 2; ++o) EXPECT_EQ(solution.coefficients(3, o), 0.0) << solution.solver;
    EXPECT_TRUE(at_most(residual(solution.coefficients), backward())) << solution.solver;
  }
}

TEST_P(SolveTest, AnswersThatAreZeroHaveZeroCoefficients) {
  plant(0.5);
  DeviceMatrix y(device(), kPoints, 2);
  fill(device(), 0.0, y);
  FeatureRows z = rows();
  const LeastSquaresSolution stream = solve(z, y, SolveMethod::stream);
  EXPECT_TRUE(same_bits(stream.coefficients, HostMatrix(z.cols(), 2)));
  EXPECT_EQ(norm(solve(z, y, SolveMethod::qr).coefficients), 0.0);
}

TEST_P(SolveTest, FewerPointsThanFeaturesAreSolvedByQr) {
  plant(0.5);
  FeatureRows z = rows();
  const Index few = 12;
  const HostMatrix& all = y_;
  const DeviceMatrix y = upload(device(), all.view().row_block(0, few));
  const LeastSquaresSolution solution = solve(z, y);
  EXPECT_EQ(solution.solver, "qr");
  EXPECT_EQ(solution.reason, "fewer rows than columns");
  EXPECT_EQ(solution.rank, few);
  const HostMatrix image = product(z_, solution.coefficients).value;
  for (Index i = 0; i < 2 * few; ++i) {
    EXPECT_NEAR(image.data()[i], y_.data()[i], backward() * norm(z_) * norm(solution.coefficients));
  }
}

TEST_P(SolveTest, AMatrixInMemoryIsSolvedByTheSameSolvers) {
  plant(0.1);
  const DeviceMatrix z = upload(device(), z_);
  const DeviceMatrix y = upload(device(), y_);
  for (const SolveMethod method : {SolveMethod::automatic, SolveMethod::stream, SolveMethod::qr}) {
    SolveOptions options;
    options.method = method;
    const LeastSquaresSolution solution = solve_least_squares(device(), z, y, options);
    EXPECT_TRUE(at_most(residual(solution.coefficients), backward())) << name_of(method);
  }
}

TEST_P(SolveTest, WeightsCountLikeRepeatedRows) {
  plant(0.2);
  y_ = normals(kPoints, 2, 78);
  const DeviceMatrix y = upload(device(), y_);
  HostMatrix weights(kPoints, 1);
  HostMatrix scaled_z = z_;
  HostMatrix scaled_y = y_;
  for (Index i = 0; i < kPoints; ++i) {
    weights(i, 0) = i % 7 == 0 ? 0.0 : 0.25 * static_cast<double>(i % 5 + 1);
    const double root = std::sqrt(weights(i, 0));
    for (Index j = 0; j < z_.cols(); ++j) scaled_z(i, j) *= root;
    for (Index o = 0; o < 2; ++o) scaled_y(i, o) *= root;
  }
  const DeviceMatrix on_device = upload(device(), weights);
  for (const SolveMethod method : {SolveMethod::automatic, SolveMethod::stream, SolveMethod::qr}) {
    for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
      FeatureRows z = rows(kWhole);
      SolveOptions options;
      options.method = method;
      options.weights = on_device;
      options.most_bytes = bytes;
      const HostMatrix c = solve_least_squares(device(), {z, 0, y}, options).coefficients;
      EXPECT_TRUE(
          at_most(normal_equations(scaled_z, c, scaled_y, 0),
                  backward() * norm(scaled_z) * (norm(scaled_z) * norm(c) + norm(scaled_y))))
          << name_of(method) << " " << bytes;
    }
  }
}

TEST_P(SolveTest, WhatCannotBeSolvedIsRefused) {
  plant(0.5);
  FeatureRows z = rows();
  const DeviceMatrix y = upload(device(), y_);
  const auto solved = [&](const SolveOptions& options) {
    return solve_least_squares(device(), {z, 0, y}, options);
  };
  SolveOptions options;
  options.radius = 0.0;
  EXPECT_THROW(solved(options), BadInput);
  options.radius = 1.0;
  options.choose_radius = true;
  EXPECT_THROW(solved(options), BadInput) << "given and chosen";
  options = {};
  options.tolerance = -1;
  EXPECT_THROW(solved(options), BadInput);
  options = {};
  const DeviceMatrix few = upload(device(), HostMatrix(kPoints - 1, 1, 1.0));
  options.weights = few;
  EXPECT_THROW(solved(options), BadInput);
  for (const double bad :
       {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    HostMatrix weights(kPoints, 1, 1.0);
    weights(17, 0) = bad;
    const DeviceMatrix on_device = upload(device(), weights);
    options.weights = on_device;
    EXPECT_THROW(solved(options), BadInput) << bad;
  }
  EXPECT_THROW(solve(z, y, SolveMethod::stream, 1), BadInput) << "a row too many";
  const DeviceMatrix in_memory = upload(device(), z_);
  MatrixRows plain(in_memory);
  EXPECT_THROW(solve(plain, y, SolveMethod::analytic), BadInput) << "rows of unknown origin";
  EXPECT_THROW(method_named("best"), BadInput);
  for (const SolveMethod method :
       {SolveMethod::automatic, SolveMethod::stream, SolveMethod::analytic, SolveMethod::qr}) {
    EXPECT_EQ(method_named(name_of(method)), method);
  }
}

TEST_P(SolveTest, FeaturesThatAreNotFiniteAreNotSilentlySolved) {
  plant(0.5);
  z_(5, 2) = std::numeric_limits<double>::quiet_NaN();
  const DeviceMatrix z = upload(device(), z_);
  SolveOptions options;
  options.method = SolveMethod::stream;
  EXPECT_THROW(solve_least_squares(device(), z, upload(device(), y_), options), Error);
}

TEST_P(SolveTest, TheToleranceEndsTheIterationEarly) {
  plant(0.01, 1);
  FeatureRows z = rows();
  const DeviceMatrix y = upload(device(), y_);
  SolveOptions rough;
  rough.method = SolveMethod::stream;
  rough.tolerance = 1e-3;
  const LeastSquaresSolution early = solve_least_squares(device(), {z, 0, y}, rough);
  const LeastSquaresSolution full = solve(z, y, SolveMethod::stream);
  EXPECT_LE(early.iterations, full.iterations);
  rough.tolerance = 0;
  rough.most_iterations = 0;
  const LeastSquaresSolution none = solve_least_squares(device(), {z, 0, y}, rough);
  EXPECT_EQ(none.reason, "asked for; LSQR did not converge in 0 iterations");
}

}  // namespace
}  // namespace crease
