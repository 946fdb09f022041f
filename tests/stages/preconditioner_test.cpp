// Preconditioners: how well each does what it is for, and what their condition estimates say.
#include "src/stages/preconditioner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/solve.hpp"
#include "tests/support/planted_features.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

class PreconditionerTest : public PlantedFeatures {
 protected:
  /// Features of `neurons` neurons in R^16 at n Gaussian points.
  FeatureRows features(Index neurons, Index n, bool with_inputs, Index most_bytes = kWhole,
                       double angle = 1.0) {
    ReluNetwork network = planted_network(16, neurons, 1, 5);
    // All of them often active: a neuron that few rows meet has no Gaussian column.
    for (Index j = 0; j < neurons; ++j) network.bias(j, 0) *= 0.3;
    const HostMatrix away = normals(1, 16, 6);
    if (angle < 1) {
      for (Index i = 0; i < 16; ++i) {
        network.weights(0, i) = network.weights(1, i) + angle * away(0, i);
      }
      network.bias(0, 0) = network.bias(1, 0);
    }
    weights_ = upload(device(), network.weights);
    bias_ = upload(device(), network.bias);
    return FeatureRows(device(), {Seed{3}, Stream::looks, 0, n}, weights_, bias_, with_inputs,
                       most_bytes);
  }

  /// Largest over smallest singular value of Z D L^-T.
  double condition_left(RowSource& z, const GramFactor& factor) {
    DeviceMatrix scaled(device(), z.rows(), z.cols());
    copy(device(), z.chunk(0, z.rows()), scaled);
    // (Z D L^-T)^T = L^-1 D Z^T
    HostMatrix transposed_z = transposed(download(device(), scaled));
    DeviceMatrix a = upload(device(), transposed_z);
    scale_rows(device(), factor.factors, a);
    solve_triangular(device(), factor.l, Transpose::no, a);
    const std::vector<double> values = singular_values(transposed(download(device(), a)));
    return values.front() / values.back();
  }
};
CREASE_ON_EVERY_BACKEND(PreconditionerTest);

TEST_P(PreconditionerTest, TheExactGramMatrixLeavesTheConditionOfARandomMatrix) {
  for (const bool with_inputs : {true, false}) {
    const Index neurons = 100;
    const Index q = neurons + (with_inputs ? 16 : 0) + 1;
    for (const Index rows_per_column : {4, 16}) {
      // A near-duplicate: the condition of Z itself does not matter.
      FeatureRows z = features(neurons, rows_per_column * q, with_inputs, kWhole, 1e-4);
      const auto factor = factor_gram(device(), population_gram(device(), *z.gaussian()));
      ASSERT_TRUE(factor.has_value());
      EXPECT_GT(factor->condition, 1e4);
      const double condition = condition_left(z, *factor);
      // Davidson and Szarek 2001: the singular values of an n x q Gaussian matrix over sqrt(n) lie
      // in 1 -+ (sqrt(q / n) + t / sqrt(n)) but for a probability of 2 exp(-t^2 / 2); t = 4: 7e-4.
      const double edge = std::sqrt(1.0 / static_cast<double>(rows_per_column)) +
                          4 / std::sqrt(static_cast<double>(z.rows()));
      EXPECT_TRUE(at_most(condition, (1 + edge) / (1 - edge)));

      DeviceMatrix c = upload(device(), normals(q, 1, 8));
      DeviceMatrix y(device(), z.rows(), 1);
      multiply(device(), z.chunk(0, z.rows()), Transpose::no, c, Transpose::no, 1.0, 0.0, y);
      SolveOptions options;
      options.method = SolveMethod::analytic;
      options.tolerance = 1e-15;
      const LeastSquaresSolution solution = solve_least_squares(device(), {z, 0, y}, options);
      EXPECT_EQ(solution.solver, "analytic");
      // What a Krylov method is promised: |A^T r| falls by 2 cond ((cond - 1) / (cond + 1))^i; and
      // what rounding left undone is done again.
      const auto promised = [&](double tolerance) {
        return std::ceil(std::log(2 * condition / tolerance) /
                         std::log((condition + 1) / (condition - 1)));
      };
      EXPECT_LE(static_cast<double>(solution.iterations), promised(1e-15) + promised(1e-3));
      const HostMatrix on_host = download(device(), z.chunk(0, z.rows()));
      EXPECT_TRUE(at_most(
          distance(product(on_host, solution.coefficients).value, download(device(), y)),
          10 * static_cast<double>(q) * kEps * norm(on_host) * norm(solution.coefficients)));
    }
  }
}

TEST_P(PreconditionerTest, AnalyticIsChosenForManyGaussianColumnsAndGivesWayWhereItMust) {
  SolveOptions options;
  options.analytic_columns = 50;
  const Index q = 40 + 16 + 1;
  const auto reason = [&](FeatureRows& z, ConstDeviceView weights = {}) {
    const DeviceMatrix y = upload(device(), normals(z.rows(), 1, 9));
    SolveOptions own = options;
    own.weights = weights;
    const LeastSquaresSolution solution = solve_least_squares(device(), {z, 0, y}, own);
    return solution.solver + ": " + solution.reason;
  };
  const std::string stream =
      "stream: condition below 1e6: Gram matrix of the rows as preconditioner";
  FeatureRows many = features(40, 4 * q, true);
  EXPECT_EQ(reason(many), "analytic: Gaussian rows, n >= 4 q: exact Gram matrix as preconditioner");
  FeatureRows few = features(40, 4 * q - 1, true);
  EXPECT_EQ(reason(few), stream);
  const DeviceMatrix weights = upload(device(), HostMatrix(4 * q, 1, 2.0));
  FeatureRows weighted = features(40, 4 * q, true);
  EXPECT_EQ(reason(weighted, weights), stream) << "weights change the measure";
  options.analytic_columns = q + 1;
  FeatureRows small = features(40, 4 * q, true);
  EXPECT_EQ(reason(small), stream);
  options.analytic_columns = q;
  FeatureRows close = features(40, 4 * q, true, kWhole, 1e-9);
  const std::string beyond = "the condition of the Gram matrix's factor is beyond 1e6";
  EXPECT_EQ(reason(close), "qr: " + beyond + " (analytic); " + beyond);
  options.most_iterations = 1;
  FeatureRows impatient = features(40, 4 * q, true);
  const std::string slow = "LSQR did not converge in 1 iterations";
  EXPECT_EQ(reason(impatient), "qr: " + slow + " (analytic); " + slow);
}

TEST_P(PreconditionerTest, AnalyticWorksInChunksThatAreMadeAgain) {
  const Index q = 40 + 16 + 1;
  FeatureRows whole = features(40, 5 * q, true);
  const DeviceMatrix y = upload(device(), normals(5 * q, 2, 9));
  const HostMatrix expected = solve(whole, y, SolveMethod::analytic).coefficients;
  const HostMatrix z = download(device(), whole.chunk(0, whole.rows()));
  FeatureRows chunks = features(40, 5 * q, true, 13 * q * 8);
  const HostMatrix got = solve(chunks, y, SolveMethod::analytic).coefficients;
  const HostMatrix right = download(device(), y);
  for (const HostMatrix& c : {expected, got}) {
    EXPECT_TRUE(
        at_most(normal_equations(z, c, right, 0),
                10 * static_cast<double>(q) * kEps * norm(z) * (norm(z) * norm(c) + norm(right))));
  }
}

TEST_P(PreconditionerTest, TheConditionOfATriangleIsEstimatedFromBelowWithinTwo) {
  for (const Index q : {1, 2, 33, 100}) {
    for (const double falls : {1.0, 1e-3, 1e-6}) {
      // A well-conditioned lower triangle with rows that shrink from 1 to `falls`.
      HostMatrix l(q, q);
      const HostMatrix values = normals(q, q, 12);
      for (Index i = 0; i < q; ++i) {
        const double size = std::pow(
            falls, static_cast<double>(i) / static_cast<double>(std::max<Index>(1, q - 1)));
        for (Index j = 0; j < i; ++j) l(i, j) = 0.1 * size * values(i, j);
        l(i, i) = size;
      }
      const std::vector<double> exact = singular_values(l);
      const double condition = exact.front() / exact.back();
      const double estimate = triangular_condition(device(), upload(device(), l));
      EXPECT_TRUE(at_most(estimate, condition * (1 + 1e-9))) << q << " " << falls;
      EXPECT_TRUE(at_most(condition / 2, estimate)) << q << " " << falls;
    }
  }
  EXPECT_EQ(triangular_condition(device(), upload(device(), HostMatrix({{1, 0}, {1, 0}}))),
            std::numeric_limits<double>::infinity());
}

TEST_P(PreconditionerTest, TheGramMatrixOfRowsIsThatOfTheirChunks) {
  plant(0.3);
  const Sums exact = product(transposed(z_), z_);
  for (const Index bytes : {kWhole, kOneRow, kSevenRows}) {
    FeatureRows z = rows(bytes);
    DeviceMatrix y(device(), kPoints, 0);
    const HostMatrix g = download(device(), gram_of(device(), {z, 0, y}));
    EXPECT_TRUE(near_sum(g, lower_triangle(exact.value), lower_triangle(exact.terms), kPoints + 1))
        << bytes;
  }
}

TEST_P(PreconditionerTest, WhatIsNotFiniteHasNoFactor) {
  EXPECT_FALSE(factor_gram(
      device(), upload(device(), HostMatrix({{std::numeric_limits<double>::quiet_NaN()}}))));
}

}  // namespace
}  // namespace crease
