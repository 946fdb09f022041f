// Gram matrices of rows, and their factors.
#include "src/stages/preconditioner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/triangle.hpp"

namespace crease {
namespace {

constexpr double kZeroColumn = 1e-12;  // of the longest column: shorter ones count as zero
constexpr Index kVectors = 4;
constexpr int kPowerSteps = 3;
constexpr int kInverseSteps = 5;

}  // namespace

DeviceMatrix gram_of(Device& device, const LeastSquaresProblem& problem) {
  DeviceMatrix g(device, problem.z.cols(), problem.z.cols());
  fill(device, 0.0, g);
  const Index count = problem.y.rows;
  const Index chunk = std::max<Index>(1, problem.z.chunk_rows());
  for (Index row = 0; row < count; row += chunk) {
    const Index rows = std::min(chunk, count - row);
    gram(device, problem.z.chunk(problem.first + row, rows), row == 0 ? 0.0 : 1.0, g);
  }
  return g;
}

DeviceMatrix population_gram(Device& device, const RowSource::GaussianFeatures& features) {
  const Index q = features.weights.rows + (features.with_inputs ? features.weights.cols : 0) + 1;
  DeviceMatrix g(device, q, q);
  fill(device, 0.0, g);
  gaussian_gram(device, features.weights, features.bias, features.with_inputs, g);
  return g;
}

DeviceView diagonal(DeviceView g) {
  return {g.data, g.rows, 1, g.ld + 1};
}

double triangular_condition(Device& device, ConstDeviceView l) {
  const Index q = l.rows;
  if (q == 0) return 0;
  DeviceMatrix x(device, q, kVectors);
  DeviceMatrix image(device, q, kVectors);
  DeviceMatrix norms(device, 2, kVectors);
  Triangle triangle(device, l, kVectors);
  // Seeded by hand: an estimate must not depend on, nor disturb, the numbers of a run.
  const auto start = [&] { fill_gaussian(device, Seed{0}, 0, 0, 1.0, x); };
  start();
  for (int step = 0; step < kPowerSteps; ++step) {
    normalize_columns(device, x, norms.view().row_block(0, 1));
    multiply(device, l, Transpose::yes, x, Transpose::no, 1.0, 0.0, image);
    multiply(device, l, Transpose::no, image, Transpose::no, 1.0, 0.0, x);
  }
  column_norms(device, x, norms.view().row_block(0, 1));
  const HostMatrix large = download(device, norms.view().row_block(0, 1));
  start();
  for (int step = 0; step < kInverseSteps; ++step) {
    normalize_columns(device, x, norms.view().row_block(1, 1));
    triangle.solve(Transpose::no, x);
    triangle.solve(Transpose::yes, x);
  }
  column_norms(device, x, norms.view().row_block(1, 1));
  const HostMatrix inverse = download(device, norms.view().row_block(1, 1));
  double largest = 0;
  double smallest = 0;
  for (Index j = 0; j < kVectors; ++j) {
    largest = std::max(largest, large(0, j));
    if (!std::isfinite(inverse(0, j))) return std::numeric_limits<double>::infinity();
    smallest = std::max(smallest, inverse(0, j));
  }
  return std::sqrt(largest) * std::sqrt(smallest);
}

std::optional<GramFactor> factor_gram(Device& device, DeviceMatrix g) {
  const Index q = g.rows();
  GramFactor factor;
  factor.factors = DeviceMatrix(device, q, 1);
  unit_diagonal(device, kZeroColumn * kZeroColumn, 10 * kRounding * static_cast<double>(q), g,
                factor.factors);
  if (!cholesky(device, g)) return std::nullopt;
  factor.l = std::move(g);
  factor.condition = triangular_condition(device, factor.l);
  const HostMatrix factors = download(device, factor.factors);
  for (Index j = 0; j < q; ++j) factor.rank += factors(j, 0) > 0 ? 1 : 0;
  return factor;
}

}  // namespace crease
