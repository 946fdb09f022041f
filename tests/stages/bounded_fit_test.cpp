// The norm-bounded regression: planted coefficients, the secular equation, memory.
#include "src/stages/bounded_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Planted {
  HostMatrix weights = distinct(5, 4);
  HostMatrix bias = distinct(5, 1, -0.25);
  HostMatrix truth = distinct(10, 2, 0.5);  // 5 neurons, 4 inputs, 1
  FeatureRows::Points points{Seed{9}, Stream::uniform_mode, 7, 400};
  HostMatrix x;
  HostMatrix y;
};

class BoundedFitTest : public EveryBackend {
 protected:
  HostMatrix answers(const Planted& planted, ConstHostView x) {
    ReluNetwork network(4, 5, 2);
    network.weights = planted.weights;
    network.bias = planted.bias;
    for (Index o = 0; o < 2; ++o) {
      for (Index j = 0; j < 5; ++j) network.output(o, j) = planted.truth(j, o);
      for (Index i = 0; i < 4; ++i) network.linear(o, i) = planted.truth(5 + i, o);
      network.constant(o, 0) = planted.truth(9, o);
    }
    return evaluate(device(), network, x);
  }

  ReducedRows reduce(Planted& planted, Index bytes, Index known_rows = 0) {
    DeviceMatrix x(device(), planted.points.count, 4);
    fill_gaussian(device(), planted.points.seed, static_cast<std::uint64_t>(planted.points.stream),
                  planted.points.first_row, 1.0, x);
    planted.x = download(device(), x);
    planted.y = answers(planted, planted.x);
    KnownRows known{distinct(known_rows, 4, 3), HostMatrix(0, 2)};
    if (known_rows > 0) known.y = answers(planted, known.x);
    return reduce_rows(device(), upload(device(), planted.weights), upload(device(), planted.bias),
                       planted.points, upload(device(), planted.y), known, bytes);
  }
};

std::vector<Index> all(Index count) {
  std::vector<Index> columns(static_cast<std::size_t>(count));
  std::iota(columns.begin(), columns.end(), Index{0});
  return columns;
}

/// Least squares by Householder QR and a singular value decomposition is backward stable: the rows
/// are off by 10 n eps of their columns, and the solution by that times twice the condition.
double error_bound(const BoundedFit& fit, const HostMatrix& truth, Index rows) {
  return 2 * fit.condition * 10 * static_cast<double>(rows) * 2 * kRounding * norm(truth);
}

TEST_P(BoundedFitTest, PlantedCoefficientsComeBack) {
  for (const Index known : {0, 30}) {
    Planted planted;
    const ReducedRows rows = reduce(planted, Index{1} << 20, known);

    const BoundedFit fit = fit_norm_bounded(device(), rows, all(10), kInfinity);

    EXPECT_EQ(rows.held_rows, 100);
    EXPECT_EQ(rows.fit_rows, 300 + known);
    EXPECT_EQ(fit.rank, 10);
    EXPECT_EQ(fit.ridge, 0);
    const double bound = error_bound(fit, planted.truth, 400 + known);
    EXPECT_TRUE(at_most(distance(fit.coefficients, planted.truth), bound));
    // Every row's error is at most its norm times that of the coefficients.
    EXPECT_TRUE(at_most(fit.held_out_rms, 2 * bound * norm(planted.x)));
  }
}

TEST_P(BoundedFitTest, AnyChunkGivesTheSameRows) {
  Planted planted;
  const ReducedRows whole = reduce(planted, Index{1} << 20);
  const ReducedRows chunks = reduce(planted, 4 * 14 * 14 * 8);

  const double size = norm(whole.fit) * norm(whole.fit);
  const HostMatrix a = product(transposed(whole.fit), whole.fit).value;
  const HostMatrix b = product(transposed(chunks.fit), chunks.fit).value;
  EXPECT_TRUE(at_most(distance(a, b), 2 * 10 * 400 * 2 * kRounding * size));
}

TEST_P(BoundedFitTest, TheBoundHoldsAndItsSolutionIsTheMinimum) {
  Planted planted;
  const ReducedRows rows = reduce(planted, Index{1} << 20);
  const double wanted = 0.5 * norm(planted.truth);

  const BoundedFit fit = fit_norm_bounded(device(), rows, all(10), wanted);

  // The root of the secular equation is found to a part in 1e12, from within.
  EXPECT_TRUE(at_most(norm(fit.coefficients), wanted));
  EXPECT_GE(norm(fit.coefficients), wanted * (1 - 1e-12));
  EXPECT_GT(fit.ridge, 0);
  // Stationary: z^T (right - z v) = ridge v.
  const HostMatrix& r = rows.fit;
  HostMatrix z(r.rows(), 10);
  HostMatrix left(r.rows(), 2);
  for (Index i = 0; i < r.rows(); ++i) {
    for (Index j = 0; j < 10; ++j) z(i, j) = r(i, j);
    for (Index o = 0; o < 2; ++o) left(i, o) = r(i, 10 + o);
  }
  const HostMatrix fitted = product(z, fit.coefficients).value;
  for (Index i = 0; i < left.size(); ++i) left.data()[i] -= fitted.data()[i];
  HostMatrix gradient = product(transposed(z), left).value;
  for (Index i = 0; i < gradient.size(); ++i) {
    gradient.data()[i] -= fit.ridge * fit.coefficients.data()[i];
  }
  EXPECT_TRUE(at_most(norm(gradient), 100 * 10 * 2 * kRounding * norm(z) * norm(r)));
}

TEST_P(BoundedFitTest, FewerColumnsFitTheirOwnShareOnly) {
  Planted planted;
  for (Index o = 0; o < 2; ++o) planted.truth(2, o) = 0;
  const ReducedRows rows = reduce(planted, Index{1} << 20);

  const BoundedFit without =
      fit_norm_bounded(device(), rows, {0, 1, 3, 4, 5, 6, 7, 8, 9}, kInfinity);
  const BoundedFit wrong = fit_norm_bounded(device(), rows, {0, 2, 3, 4, 5, 6, 7, 8, 9}, kInfinity);

  EXPECT_TRUE(at_most(distance(without.coefficients, planted.truth),
                      error_bound(without, planted.truth, 400)));
  EXPECT_EQ(without.coefficients(2, 0), 0);
  EXPECT_EQ(wrong.coefficients(1, 0), 0);
  EXPECT_GT(wrong.held_out_rms, 1e6 * without.held_out_rms);
}

TEST_P(BoundedFitTest, EqualColumnsShareTheCoefficient) {
  Planted planted;
  for (Index i = 0; i < 4; ++i) planted.weights(3, i) = planted.weights(0, i);
  planted.bias(3, 0) = planted.bias(0, 0);
  const ReducedRows rows = reduce(planted, Index{1} << 20);

  const BoundedFit fit = fit_norm_bounded(device(), rows, all(10), kInfinity);

  EXPECT_EQ(fit.rank, 9);
  for (Index o = 0; o < 2; ++o) {
    const double half = 0.5 * (planted.truth(0, o) + planted.truth(3, o));
    const double bound = error_bound(fit, planted.truth, 400);
    EXPECT_TRUE(at_most(std::abs(fit.coefficients(0, o) - half), bound));
    EXPECT_TRUE(at_most(std::abs(fit.coefficients(3, o) - half), bound));
  }
}

TEST_P(BoundedFitTest, ReductionStaysWithinItsMemory) {
  const Index bytes = 16384;
  ASSERT_GE(reduction_columns(bytes), 12);
  Planted planted;
  (void)reduce(planted, bytes);  // the data itself
  const Index held = device().stats().peak_bytes;
  const auto fresh = make_cpu_device({.threads = 1, .poison = true});
  const DeviceMatrix weights = upload(*fresh, planted.weights);
  const DeviceMatrix bias = upload(*fresh, planted.bias);
  const DeviceMatrix y = upload(*fresh, planted.y);
  const Index before = fresh->stats().bytes_in_use;

  (void)reduce_rows(*fresh, weights, bias, planted.points, y, {HostMatrix(0, 4), HostMatrix(0, 2)},
                    bytes);

  EXPECT_LE(fresh->stats().peak_bytes - before, bytes);
  EXPECT_GE(held, bytes);  // all rows at once would not have fitted
}

CREASE_ON_EVERY_BACKEND(BoundedFitTest);

}  // namespace
}  // namespace crease
