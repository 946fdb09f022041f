// The two least-squares solvers against their accuracy table, in chunks and in one piece.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/fit.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr Index kInputs = 6;
constexpr Index kNeurons = 20;
constexpr Index kPoints = 200;
constexpr Index kFeatures = kNeurons + kInputs + 1;
constexpr Index kWhole = Index{1} << 30;
constexpr Index kTiny = 1;  // one row at a time

/// Features of neurons of which a quarter are copies of others at relative distance `angle`: the
/// condition of the unit columns grows like 1 / angle. The answers lie in the span.
class SolveTest : public EveryBackend {
 protected:
  void plant(double angle, Index outputs = 2, std::uint64_t seed = 1) {
    ReluNetwork network = planted_network(kInputs, kNeurons, outputs, seed);
    for (Index j = 0; j < kNeurons; ++j) network.bias(j, 0) *= 0.3;  // all of them often active
    const HostMatrix away = normals(kNeurons, kInputs + 1, seed + 1);
    for (Index j = 0; j < 5; ++j) {
      for (Index i = 0; i < kInputs; ++i) {
        network.weights(j, i) = network.weights(j + 5, i) + angle * away(j, i);
      }
      network.bias(j, 0) = network.bias(j + 5, 0) + angle * away(j, kInputs);
    }
    weights_ = upload(device(), network.weights);
    bias_ = upload(device(), network.bias);
    FeatureRows z = rows(kWhole);
    z_ = download(device(), z.chunk(0, kPoints));
    truth_ = normals(z.cols(), outputs, seed + 2);
    y_ = product(z_, truth_).value;
  }

  FeatureRows rows(Index most_bytes) {
    return FeatureRows(device(), {Seed{9}, Stream::looks, 4, kPoints}, weights_, bias_, true,
                       most_bytes);
  }

  /// Of z_ with unit columns; infinite where a singular value is lost in rounding.
  double true_condition() const {
    HostMatrix unit = z_;
    for (Index j = 0; j < unit.cols(); ++j) {
      double square = 0;
      for (Index i = 0; i < unit.rows(); ++i) square += unit(i, j) * unit(i, j);
      for (Index i = 0; i < unit.rows(); ++i) unit(i, j) /= std::sqrt(square);
    }
    const std::vector<double> values = singular_values(unit);
    return values.back() > 100 * kEps * values[0] ? values[0] / values.back()
                                                  : std::numeric_limits<double>::infinity();
  }

  /// |Z c - y|_F over |Z|_F |c|_F: what a backward stable solver leaves where y lies in the span.
  double residual(const LeastSquaresSolution& solution) const {
    const HostMatrix image = product(z_, solution.coefficients).value;
    return distance(image, y_) / (norm(z_) * norm(solution.coefficients));
  }

  // The contract of the house for what is factorised: 10 sizes times eps.
  double backward() const { return 10.0 * static_cast<double>(z_.cols()) * kEps; }

  DeviceMatrix weights_, bias_;
  HostMatrix z_, truth_, y_;
};
CREASE_ON_EVERY_BACKEND(SolveTest);

TEST_P(SolveTest, StreamIsExactAsFarAsItGoes) {
  // The factor's condition is estimated in the 1-norm, within a factor q of the true one; up to 1e6
  // it is solved, and nothing from 1e8 on, where the factor would be all shift.
  double largest = 0;
  for (const double angle : {0.3, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 0.0}) {
    plant(angle);
    const double condition = true_condition();
    const DeviceMatrix y = upload(device(), y_);
    if (condition > 1e6 / kFeatures) {
      FeatureRows z = rows(kWhole);
      const auto solution = solve_by_stream(device(), z, 0, kPoints, y);
      EXPECT_TRUE(condition < 1e8 || !solution.has_value()) << "condition " << condition;
      if (!solution) continue;
    }
    largest = std::max(largest, condition);
    for (const Index bytes : {kWhole, kTiny, Index{7 * kFeatures * 8}}) {
      FeatureRows z = rows(bytes);
      const auto solution = solve_by_stream(device(), z, 0, kPoints, y);
      ASSERT_TRUE(solution.has_value()) << "condition " << condition;
      EXPECT_EQ(solution->solver, "stream");
      EXPECT_EQ(solution->rank, z.cols());
      EXPECT_TRUE(at_most(residual(*solution), backward())) << "condition " << condition;
      EXPECT_TRUE(at_most(distance(solution->coefficients, truth_),
                          backward() * condition * std::sqrt(27.0) * norm(truth_)))
          << "condition " << condition;
      // Estimated in the 1-norm from the factor: within q either way.
      EXPECT_GE(solution->condition, condition / kFeatures);
      EXPECT_LE(solution->condition, condition * kFeatures);
    }
  }
  EXPECT_GT(largest, 1e4) << "the hard cases were tried";
}

TEST_P(SolveTest, QrIsExactAtEveryConditionDuplicatesIncluded) {
  double largest = 0;
  for (const double angle : {0.3, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 0.0}) {
    plant(angle);
    const double condition = true_condition();
    if (std::isfinite(condition)) largest = std::max(largest, condition);
    const DeviceMatrix y = upload(device(), y_);
    for (const Index bytes : {kWhole, kTiny, Index{7 * kFeatures * 8}}) {
      FeatureRows z = rows(bytes);
      const LeastSquaresSolution solution = solve_by_qr(device(), z, 0, kPoints, y);
      EXPECT_EQ(solution.solver, "qr");
      EXPECT_TRUE(at_most(residual(solution), backward())) << "angle " << angle;
      EXPECT_EQ(solution.rank, angle == 0 ? z.cols() - 5 : z.cols()) << "angle " << angle;
      if (angle == 0) continue;
      EXPECT_TRUE(at_most(distance(solution.coefficients, truth_),
                          backward() * condition * std::sqrt(27.0) * norm(truth_)))
          << "angle " << angle;
      EXPECT_GE(solution.condition, condition / (kFeatures * kFeatures));
      EXPECT_LE(solution.condition, condition * kFeatures);
    }
  }
  EXPECT_GT(largest, 1e10) << "the hard cases were tried";
}

TEST_P(SolveTest, DuplicatesShareTheirCoefficientAndNeverExplode) {
  // Minimum norm over unit columns: both halves of an exact duplicate get the same coefficient.
  plant(0.0);
  FeatureRows z = rows(kWhole);
  const LeastSquaresSolution solution =
      solve_least_squares(device(), z, 0, kPoints, upload(device(), y_));
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

TEST_P(SolveTest, TheSolverIsChosenByTheCondition) {
  for (const auto& [angle, solver] : {std::pair<double, const char*>{0.3, "stream"},
                                      {1e-3, "stream"},
                                      {1e-9, "qr"},
                                      {1e-12, "qr"},
                                      {0.0, "qr"}}) {
    plant(angle);
    FeatureRows z = rows(kWhole);
    const LeastSquaresSolution solution =
        solve_least_squares(device(), z, 0, kPoints, upload(device(), y_));
    EXPECT_EQ(solution.solver, solver) << "condition " << true_condition();
    EXPECT_TRUE(at_most(residual(solution), backward())) << angle;
  }
}

TEST_P(SolveTest, AnswersOutsideTheSpanLeaveAResidualThatIsOrthogonalToIt) {
  plant(0.1);
  y_ = normals(kPoints, 2, 77);
  const DeviceMatrix y = upload(device(), y_);
  FeatureRows z = rows(kWhole);
  FeatureRows chunks = rows(kTiny);
  for (const LeastSquaresSolution& solution :
       {*solve_by_stream(device(), z, 0, kPoints, y), solve_by_qr(device(), z, 0, kPoints, y),
        *solve_by_stream(device(), chunks, 0, kPoints, y),
        solve_by_qr(device(), chunks, 0, kPoints, y)}) {
    HostMatrix left = product(z_, solution.coefficients).value;
    for (Index i = 0; i < left.size(); ++i) left.data()[i] -= y_.data()[i];
    EXPECT_GT(norm(left), 1);
    // Normal equations: |Z^T r| <= backward error * (|Z|^2 |c| + |Z| |y|).
    EXPECT_TRUE(
        at_most(norm(product(transposed(z_), left).value),
                backward() * norm(z_) * (norm(z_) * norm(solution.coefficients) + norm(y_))))
        << solution.solver;
  }
}

TEST_P(SolveTest, OnlyTheRowsAskedForTakePart) {
  plant(0.5);
  // Rows 0 .. 59 have other answers: the solution of the rest must not know.
  const Index first = 60;
  const HostMatrix rest(kPoints - first, 2);
  HostMatrix y = rest;
  for (Index i = first; i < kPoints; ++i) {
    for (Index o = 0; o < 2; ++o) y(i - first, o) = y_(i, o);
  }
  for (const Index bytes : {kWhole, kTiny, Index{11 * kFeatures * 8}}) {
    FeatureRows z = rows(bytes);
    const DeviceMatrix answers = upload(device(), y);
    const auto stream = solve_by_stream(device(), z, first, kPoints - first, answers);
    ASSERT_TRUE(stream.has_value());
    EXPECT_TRUE(at_most(residual(*stream), backward()));
    EXPECT_TRUE(
        at_most(residual(solve_by_qr(device(), z, first, kPoints - first, answers)), backward()));
  }
}

TEST_P(SolveTest, AFeatureThatIsNeverActiveGetsNoCoefficient) {
  plant(0.5);
  HostMatrix weights = download(device(), weights_);
  HostMatrix bias = download(device(), bias_);
  bias(3, 0) = -1e6;
  bias_ = upload(device(), bias);
  FeatureRows z = rows(kWhole);
  z_ = download(device(), z.chunk(0, kPoints));
  truth_(3, 0) = truth_(3, 1) = 0;
  y_ = product(z_, truth_).value;
  const DeviceMatrix y = upload(device(), y_);
  const auto stream = solve_by_stream(device(), z, 0, kPoints, y);
  ASSERT_TRUE(stream.has_value());
  for (const LeastSquaresSolution& solution : {*stream, solve_by_qr(device(), z, 0, kPoints, y)}) {
    EXPECT_EQ(solution.rank, z.cols() - 1) << solution.solver;
    for (Index o = 0; o < 2; ++o) EXPECT_EQ(solution.coefficients(3, o), 0.0) << solution.solver;
    EXPECT_TRUE(at_most(residual(solution), backward())) << solution.solver;
  }
}

TEST_P(SolveTest, AnswersThatAreZeroHaveZeroCoefficients) {
  plant(0.5);
  DeviceMatrix y(device(), kPoints, 2);
  fill(device(), 0.0, y);
  FeatureRows z = rows(kWhole);
  const auto stream = solve_by_stream(device(), z, 0, kPoints, y);
  ASSERT_TRUE(stream.has_value());
  EXPECT_TRUE(same_bits(stream->coefficients, HostMatrix(z.cols(), 2)));
  EXPECT_EQ(norm(solve_by_qr(device(), z, 0, kPoints, y).coefficients), 0.0);
}

TEST_P(SolveTest, FewerPointsThanFeaturesAreSolvedByQr) {
  plant(0.5);
  FeatureRows z = rows(kWhole);
  const Index few = 12;
  HostMatrix y(few, 2);
  for (Index i = 0; i < y.size(); ++i) y.data()[i] = y_.data()[i];
  const LeastSquaresSolution solution =
      solve_least_squares(device(), z, 0, few, upload(device(), y));
  EXPECT_EQ(solution.solver, "qr");
  EXPECT_EQ(solution.rank, few);
  const HostMatrix image = product(z_, solution.coefficients).value;
  for (Index i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(image.data()[i], y.data()[i], backward() * norm(z_) * norm(solution.coefficients));
  }
}

TEST_P(SolveTest, FeatureRowsAreThePointsOfTheirStreamWhateverTheChunks) {
  plant(0.5);
  DeviceMatrix x(device(), kPoints, kInputs);
  fill_gaussian(device(), Seed{9}, static_cast<std::uint64_t>(Stream::looks), 4, 1.0, x);
  const HostMatrix points = download(device(), x);
  DeviceMatrix features(device(), kPoints, kNeurons);
  relu_features(device(), x, weights_, bias_, features);
  const HostMatrix active = download(device(), features);
  for (const Index bytes : {kWhole, kTiny, Index{9 * kFeatures * 8}}) {
    for (const bool with_inputs : {true, false}) {
      FeatureRows z(device(), {Seed{9}, Stream::looks, 4, kPoints}, weights_, bias_, with_inputs,
                    bytes);
      EXPECT_EQ(z.rows(), kPoints);
      EXPECT_EQ(z.cols(), kNeurons + (with_inputs ? kInputs : 0) + 1);
      EXPECT_EQ(z.chunk_rows(),
                bytes == kWhole ? kPoints : std::max<Index>(1, bytes / (8 * (z.cols() + kInputs))));
      for (const Index first : {Index{0}, Index{13}, kPoints - 1}) {
        const Index count = std::min(z.chunk_rows(), kPoints - first);
        const HostMatrix got = download(device(), z.chunk(first, count));
        for (Index i = 0; i < count; ++i) {
          for (Index j = 0; j < z.cols(); ++j) {
            const double expected = j < kNeurons       ? active(first + i, j)
                                    : j + 1 < z.cols() ? points(first + i, j - kNeurons)
                                                       : 1.0;
            ASSERT_EQ(got(i, j), expected) << bytes << ": " << first + i << ", " << j;
          }
        }
      }
      EXPECT_THROW(z.chunk(0, z.chunk_rows() + 1), BadInput);
    }
  }
}

}  // namespace
}  // namespace crease
