// The norm bound of equation (7): the bound holds, the KKT conditions hold, and held-out rows
// choose it well.
#include "src/stages/trust_region.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/preconditioner.hpp"
#include "src/stages/qr_solver.hpp"
#include "tests/support/planted_features.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

class TrustRegionTest : public PlantedFeatures {
 protected:
  LeastSquaresSolution bounded(SolveMethod method, std::optional<double> radius,
                               Index most_bytes = kWhole) {
    FeatureRows z = rows(most_bytes);
    const DeviceMatrix y = upload(device(), y_);
    SolveOptions options;
    options.method = method;
    options.radius = radius;
    options.choose_radius = !radius.has_value();
    return solve_least_squares(device(), {z, 0, y}, options);
  }

  /// The share `part` of z_ or y_: the rows before the first quarter ends, or those after.
  static HostMatrix quarter(const HostMatrix& a, bool first) {
    const Index held = kPoints / 4;
    HostMatrix part(first ? held : kPoints - held, a.cols());
    for (Index i = 0; i < part.rows(); ++i) {
      std::copy_n(a.row(first ? i : held + i), a.cols(), part.row(i));
    }
    return part;
  }
};
CREASE_ON_EVERY_BACKEND(TrustRegionTest);

TEST_P(TrustRegionTest, TheBoundHoldsAndSoDoTheKktConditions) {
  for (const double angle : {0.3, 1e-3}) {
    plant(angle);
    y_ = normals(kPoints, 2, 91);
    FeatureRows z = rows();
    const double free = norm(solve(z, upload(device(), y_), SolveMethod::qr).coefficients);
    for (const SolveMethod method :
         {SolveMethod::automatic, SolveMethod::stream, SolveMethod::qr}) {
      for (const double share : {0.9, 0.3, 1e-2}) {
        const double radius = share * free;
        const LeastSquaresSolution solution = bounded(method, radius);
        EXPECT_EQ(solution.radius, radius);
        EXPECT_GT(solution.ridge, 0) << "the bound binds";
        const double length = norm(solution.coefficients);
        EXPECT_LE(length, radius * (1 + 4e-16));
        EXPECT_GE(length, radius * (1 - 4e-12)) << "complementarity, to the root's 1e-12";
        EXPECT_TRUE(at_most(
            normal_equations(z_, solution.coefficients, y_, solution.ridge),
            // Backward error of the solve, and the 4e-12 by which the length may be corrected.
            (backward() + 4e-12) *
                (norm(z_) * (norm(z_) * length + norm(y_)) + solution.ridge * length)))
            << name_of(method) << " angle " << angle << " share " << share;
      }
    }
  }
}

TEST_P(TrustRegionTest, ABoundThatDoesNotBindChangesNothing) {
  plant(0.1);
  FeatureRows z = rows();
  for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
    const LeastSquaresSolution free = solve(z, upload(device(), y_), method);
    const LeastSquaresSolution solution = bounded(method, 1.5 * norm(free.coefficients));
    EXPECT_EQ(solution.ridge, 0);
    EXPECT_TRUE(at_most(residual(solution.coefficients), backward())) << name_of(method);
  }
}

TEST_P(TrustRegionTest, BothSolversFindTheSameRidgeInChunksAsInOnePiece) {
  plant(0.1);
  y_ = normals(kPoints, 2, 92);
  FeatureRows z = rows();
  const double radius = 0.5 * norm(solve(z, upload(device(), y_), SolveMethod::qr).coefficients);
  const LeastSquaresSolution reference = bounded(SolveMethod::qr, radius);
  for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
    for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
      const LeastSquaresSolution solution = bounded(method, radius, bytes);
      // The condition of ridge(radius) is that of Z^T Z + ridge I at worst, below 1e5 here.
      EXPECT_NEAR(solution.ridge, reference.ridge, 1e5 * (1e-12 + backward()) * reference.ridge);
    }
  }
}

TEST_P(TrustRegionTest, DuplicatesAndFewRowsAreBoundedByQr) {
  plant(0.0);
  y_ = normals(kPoints, 2, 93);
  const LeastSquaresSolution solution = bounded(SolveMethod::automatic, 0.5);
  EXPECT_EQ(solution.solver, "qr");
  EXPECT_LE(norm(solution.coefficients), 0.5 * (1 + 4e-16));
  EXPECT_TRUE(at_most(
      normal_equations(z_, solution.coefficients, y_, solution.ridge),
      (backward() + 4e-12) * (norm(z_) * (norm(z_) * 0.5 + norm(y_)) + solution.ridge * 0.5)));
}

TEST_P(TrustRegionTest, TheRadiusChosenIsAtLeastAsGoodOnHeldOutRowsAsNone) {
  // 27 coefficients from 150 rows: where there is little but noise, following it costs 18 % of the
  // held-out square, and less than that where there is little noise.
  for (const double level : {0.01, 300.0}) {
    plant(1e-3);
    const HostMatrix noise = normals(kPoints, 2, 94);
    for (Index i = 0; i < y_.size(); ++i) y_.data()[i] += level * noise.data()[i];
    const HostMatrix held_z = quarter(z_, true);
    const HostMatrix held_y = quarter(y_, true);
    FeatureRows z = rows();
    const HostMatrix& all = y_;
    const DeviceMatrix fitted =
        upload(device(), all.view().row_block(kPoints / 4, kPoints - kPoints / 4));
    for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
      const HostMatrix free = solve(z, fitted, SolveMethod::qr, kPoints / 4).coefficients;
      const LeastSquaresSolution chosen = bounded(method, std::nullopt);
      EXPECT_TRUE(at_most(distance(product(held_z, chosen.coefficients).value, held_y),
                          distance(product(held_z, free).value, held_y) * (1 + 1e-6)))
          << name_of(method);
      EXPECT_LE(norm(chosen.coefficients), norm(free) * (1 + 1e-6));
      EXPECT_EQ(chosen.ridge > 0, level > 1) << name_of(method);
      // Two sums of the same squares.
      EXPECT_NEAR(chosen.radius, norm(chosen.coefficients), backward() * chosen.radius);
    }
  }
}

TEST_P(TrustRegionTest, WeightedRowsAreBoundedAsWell) {
  plant(0.1);
  y_ = normals(kPoints, 2, 95);
  HostMatrix weights(kPoints, 1);
  HostMatrix scaled_z = z_;
  HostMatrix scaled_y = y_;
  for (Index i = 0; i < kPoints; ++i) {
    weights(i, 0) = static_cast<double>(i % 3);
    for (Index j = 0; j < z_.cols(); ++j) scaled_z(i, j) *= std::sqrt(weights(i, 0));
    for (Index o = 0; o < 2; ++o) scaled_y(i, o) *= std::sqrt(weights(i, 0));
  }
  const DeviceMatrix on_device = upload(device(), weights);
  const DeviceMatrix y = upload(device(), y_);
  for (const SolveMethod method : {SolveMethod::stream, SolveMethod::qr}) {
    FeatureRows z = rows();
    SolveOptions options;
    options.method = method;
    options.weights = on_device;
    options.radius = 0.1;
    const LeastSquaresSolution solution = solve_least_squares(device(), {z, 0, y}, options);
    EXPECT_LE(norm(solution.coefficients), 0.1 * (1 + 4e-16));
    EXPECT_TRUE(at_most(
        normal_equations(scaled_z, solution.coefficients, scaled_y, solution.ridge),
        (backward() + 4e-12) *
            (norm(scaled_z) * (norm(scaled_z) * 0.1 + norm(scaled_y)) + solution.ridge * 0.1)))
        << name_of(method);
  }
}

TEST_P(TrustRegionTest, BothPathsAgreeWithTheFormula) {
  // Z = diag(3, 1), y = (3, 1): z(ridge) = (9 / (9 + ridge), 1 / (1 + ridge)).
  const DeviceMatrix g = upload(device(), HostMatrix({{9, 0}, {0, 1}}));
  const DeviceMatrix right = upload(device(), HostMatrix({{9}, {1}}));
  DeviceMatrix r = upload(device(), HostMatrix({{3, 0}, {0, 1}}));
  const DeviceMatrix y = upload(device(), HostMatrix({{3}, {1}}));
  CholeskyRidge by_gram(device(), g, right);
  SvdRidge by_values(device(), r, y);
  EXPECT_EQ(by_values.rank(), 2);
  // Two columns: 10 q eps, for the factor and again for its use.
  for (RidgePath* path : {static_cast<RidgePath*>(&by_gram), static_cast<RidgePath*>(&by_values)}) {
    for (const double ridge : {1e-3, 1.0, 7.0}) {
      const double a = 9 / (9 + ridge);
      const double b = 1 / (1 + ridge);
      const auto point = path->at(ridge);
      ASSERT_TRUE(point.has_value());
      EXPECT_NEAR(point->norm, std::hypot(a, b), 40 * 0x1p-52);
      EXPECT_NEAR(point->slope, a * a / (9 + ridge) + b * b / (1 + ridge), 40 * 0x1p-52);
      const HostMatrix z = download(device(), *path->solution(ridge));
      EXPECT_NEAR(z(0, 0), a, 40 * 0x1p-52);
      EXPECT_NEAR(z(1, 0), b, 40 * 0x1p-52);
      EXPECT_NEAR(ridge_of(*path, std::hypot(a, b)), ridge, 1e-10 * (1 + ridge));
    }
    EXPECT_THROW(ridge_of(*path, 0.0), BadInput);
  }
}

}  // namespace
}  // namespace crease
