// Variable projection by normal equations in double precision, refined on the residual.
#include "src/stages/hyperplane_scales.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kZeroColumn = 1e-24;  // squared length, of the longest's
constexpr double kRidge = 1e-10;       // of unit columns
constexpr double kMostRidge = 1e-6;
constexpr double kRefine = 1e-6;  // of the mean square: gains below are left
constexpr int kMostRefinements = 3;

double sum_of_squares(const HostMatrix& norms) {
  double sum = 0;
  for (Index j = 0; j < norms.cols(); ++j) sum += norms(0, j) * norms(0, j);
  return sum;
}

}  // namespace

ScaleSolver::ScaleSolver(Device& device, const FitRows& rows, Index most_bytes)
    : device_(device), rows_(rows), chunk_bytes_(std::clamp(most_bytes, Index{1}, kChunkBytes)) {
  const Index n = rows.x.rows;
  const Index p = rows.y.cols;
  const ConstDeviceView weights = rows.weights;
  require(n >= 1 && p >= 1 && rows.x.cols >= 1, "hyperplane fit: there must be rows");
  require(rows.y.rows == n, "hyperplane fit: x and y must have the same rows");
  require(weights.rows == 0 || (weights.rows == n && (weights.cols == 1 || weights.cols == p)),
          "hyperplane fit: weights must be [n, 1] or [n, p]");
  require(first_non_finite_row(device, rows.x) < 0 && first_non_finite_row(device, rows.y) < 0 &&
              first_non_finite_row(device, weights) < 0,
          "hyperplane fit: x, y and weights must be finite");
  answers_ = DeviceMatrix(device, n, p);
  copy(device, rows.y, answers_);
  if (weights.rows == 0) return;
  for (Index o = 0; o < p; ++o) weigh(0, o, answers_.view().col_block(o, 1));
  DeviceMatrix norms(device, 1, weights.cols);
  column_norms(device, weights, norms);
  mean_weight_ = sum_of_squares(download(device, norms)) / static_cast<double>(n * weights.cols);
  require(mean_weight_ > 0 && std::isfinite(mean_weight_),
          "hyperplane fit: weights must not all be 0");
}

void ScaleSolver::weigh(Index top, Index output, DeviceView z) const {
  const ConstDeviceView weights = rows_.weights;
  if (weights.rows == 0) return;
  scale_rows(device_, weights.col_block(weights.cols > 1 ? output : 0, 1).row_block(top, z.rows),
             z);
}

const DeviceMatrix& ScaleSolver::affine_gram(Index output) {
  affine_grams_.resize(static_cast<std::size_t>(rows_.weights.cols > 1 ? answers_.cols() : 1));
  DeviceMatrix& known =
      affine_grams_[static_cast<std::size_t>(rows_.weights.cols > 1 ? output : 0)];
  if (!known.empty()) return known;
  const HyperplaneFeatures features(device_, HostMatrix(0, rows_.x.cols + 1), constant());
  known = DeviceMatrix(device_, features.cols(), features.cols());
  fill(device_, 0.0, known);
  const Index chunk = std::min(rows_.x.rows, features.chunk_rows(chunk_bytes_));
  DeviceMatrix scratch(device_, chunk, features.cols());
  for (Index top = 0; top < rows_.x.rows; top += chunk) {
    const DeviceView z = scratch.view().row_block(0, std::min(chunk, rows_.x.rows - top));
    features.rows(rows_.x.row_block(top, z.rows), z);
    weigh(top, output, z);
    gram(device_, z, top == 0 ? 0.0 : 1.0, known);
  }
  return known;
}

/// Outputs first .. first + count - 1, whose rows have the same weights.
bool ScaleSolver::solve_group(const HyperplaneFeatures& features, Index first, Index count,
                              HostMatrix& coefficients, Solution& solution, bool with_importance) {
  const Index n = rows_.x.rows;
  const Index q = features.cols();
  const Index chunk = std::min(n, features.chunk_rows(chunk_bytes_));
  DeviceMatrix scratch(device_, chunk, q);
  const auto for_chunks = [&](const auto& use) {
    for (Index top = 0; top < n; top += chunk) {
      const DeviceView z = scratch.view().row_block(0, std::min(chunk, n - top));
      features.rows(rows_.x.row_block(top, z.rows), z);
      weigh(top, first, z);
      use(top, z);
    }
  };
  const ConstDeviceView y = answers_.view().col_block(first, count);
  const DeviceView residual = solution.residual.view().col_block(first, count);
  solution.gram = DeviceMatrix(device_, q, q);
  fill(device_, 0.0, solution.gram);
  const Index k = solution.network.neurons();
  const DeviceView neurons_gram = solution.gram.view().row_block(0, k).col_block(0, k);
  const DeviceView mixed_gram = solution.gram.view().row_block(k, q - k).col_block(0, k);
  const DeviceMatrix& affine = affine_gram(first);
  const DeviceView affine_block = solution.gram.view().row_block(k, q - k).col_block(k, q - k);
  copy(device_, affine, affine_block);
  DeviceMatrix gradient(device_, q, count);
  for_chunks([&](Index top, ConstDeviceView z) {
    const double beta = top == 0 ? 0.0 : 1.0;
    gram(device_, z.col_block(0, k), beta, neurons_gram);
    multiply(device_, z.col_block(k, q - k), Transpose::yes, z.col_block(0, k), Transpose::no, 1.0,
             beta, mixed_gram);
    multiply(device_, z, Transpose::yes, y.row_block(top, z.rows), Transpose::no, 1.0, beta,
             gradient);
  });

  DeviceMatrix factor(device_, q, q);
  DeviceMatrix factors(device_, q, 1);
  bool found = false;
  for (double ridge = kRidge; !found && ridge <= kMostRidge; ridge *= 100) {
    copy(device_, solution.gram, factor);
    unit_diagonal(device_, kZeroColumn, ridge, factor, factors);
    found = cholesky(device_, factor);
  }
  if (!found) return false;
  const auto solve = [&](DeviceView z) {
    scale_rows(device_, factors, z);
    solve_triangular(device_, factor, Transpose::no, z);
    solve_triangular(device_, factor, Transpose::yes, z);
    scale_rows(device_, factors, z);
  };

  DeviceMatrix ones(device_, 1, count);
  DeviceMatrix norms(device_, 1, count);
  DeviceMatrix found_coefficients(device_, q, count);
  DeviceMatrix change(device_, q, count);
  DeviceMatrix gain(device_, count, count);
  fill(device_, 1.0, ones);
  fill(device_, 0.0, found_coefficients);
  double sum = 0;
  for (int again = 0; again <= kMostRefinements; ++again) {
    copy(device_, gradient, change);
    solve(change);
    if (again > 0) {  // what a refinement gains: <gradient, change>
      multiply(device_, gradient, Transpose::yes, change, Transpose::no, 1.0, 0.0, gain);
      const HostMatrix gained = download(device_, gain);
      double total = 0;
      for (Index o = 0; o < count; ++o) total += gained(o, o);
      if (!(total > kRefine * sum)) break;
    }
    add_scaled(device_, 1.0, ones, change, found_coefficients);
    copy(device_, y, residual);
    for_chunks([&](Index top, ConstDeviceView z) {
      const DeviceView rest = residual.row_block(top, z.rows);
      multiply(device_, z, Transpose::no, found_coefficients, Transpose::no, -1.0, 1.0, rest);
      multiply(device_, z, Transpose::yes, rest, Transpose::no, 1.0, top == 0 ? 0.0 : 1.0,
               gradient);
    });
    column_norms(device_, residual, norms);
    sum = sum_of_squares(download(device_, norms));
    if (!std::isfinite(sum)) return false;
  }
  solution.mean_square += sum / static_cast<double>(n * answers_.cols());
  const HostMatrix values = download(device_, found_coefficients);
  for (Index j = 0; j < q; ++j) {
    for (Index o = 0; o < count; ++o) coefficients(j, first + o) = values(j, o);
  }
  if (!with_importance) return true;

  // (H^-1)_ii = |L^-1 e_i|^2 factors_i^2: columns of the inverse of the factor.
  DeviceMatrix inverse = upload(device_, identity(q));
  solve_triangular(device_, factor, Transpose::no, inverse);
  DeviceMatrix lengths(device_, 1, q);
  column_norms(device_, inverse, lengths);
  const HostMatrix length = download(device_, lengths);
  const HostMatrix unit_factors = download(device_, factors);
  for (std::size_t i = 0; i < solution.importance.size(); ++i) {
    const auto row = static_cast<Index>(i);
    const double root = length(0, row) * unit_factors(row, 0);
    if (!(root > 0)) continue;  // a feature that is 0 everywhere
    for (Index o = 0; o < count; ++o) {
      const double share = values(row, o) / root;
      solution.importance[i] += share * share / static_cast<double>(n * answers_.cols());
    }
  }
  return true;
}

std::optional<ScaleSolver::Solution> ScaleSolver::solve(const HostMatrix& planes,
                                                        bool with_importance) {
  require(planes.cols() == rows_.x.cols + 1, "hyperplane fit: planes must be [k, d + 1]");
  const Index p = answers_.cols();
  const HyperplaneFeatures features(device_, planes, constant());
  Solution solution;
  solution.network = Hyperplanes(rows_.x.cols, p);
  solution.network.planes = planes;
  solution.network.scales = HostMatrix(planes.rows(), p);
  solution.residual = DeviceMatrix(device_, rows_.x.rows, p);
  if (with_importance) solution.importance.assign(static_cast<std::size_t>(planes.rows()), 0.0);
  HostMatrix coefficients(features.cols(), p);
  const Index together = rows_.weights.cols > 1 ? 1 : p;
  for (Index first = 0; first < p; first += together) {
    if (!solve_group(features, first, together, coefficients, solution, with_importance)) {
      return std::nullopt;
    }
  }
  for (double& value : solution.importance) value = std::sqrt(value);
  set_coefficients(coefficients, solution.network);
  return solution;
}

std::optional<SolvedScales> solve_scales(Device& device, const FitRows& rows,
                                         const Hyperplanes& network, Index most_bytes) {
  ScaleSolver solver(device, rows, most_bytes);
  std::optional<ScaleSolver::Solution> found = solver.solve(network.planes, true);
  if (!found) return std::nullopt;
  return SolvedScales{std::move(found->network), std::sqrt(found->mean_square),
                      std::move(found->importance)};
}

double residual_rms(Device& device, const FitRows& rows, const Hyperplanes& network,
                    Index most_bytes) {
  const ConstDeviceView y = rows.y;
  if (y.rows == 0) return 0;
  const ScaleSolver weigher(device, rows, most_bytes);
  DeviceMatrix residual(device, y.rows, y.cols);
  evaluate(device, network, rows.x, weigher.chunk_bytes(), residual);
  for (Index o = 0; o < y.cols; ++o) weigher.weigh(0, o, residual.view().col_block(o, 1));
  subtract(device, weigher.weighted_answers(), residual);
  DeviceMatrix norms(device, 1, y.cols);
  column_norms(device, residual, norms);
  return std::sqrt(sum_of_squares(download(device, norms)) / static_cast<double>(y.rows * y.cols));
}

}  // namespace crease
