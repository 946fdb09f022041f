// Levenberg-Marquardt over offsets alone.
#include "src/stages/offset_fit.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/hyperplane_scales.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kDown = 4;
constexpr double kUp = 8;
constexpr double kLeast = 1e-7;
constexpr double kZeroColumn = 1e-24;
constexpr double kRidge = 1e-10;
constexpr double kScaleRidge =
    1e-12;  // of the largest |c|^2: neurons of scale 0 stay where they are
constexpr int kStalledSteps = 2;

/// The offsets linearised at one solution.
class OffsetStep {
 public:
  OffsetStep(Device& device, const ScaleSolver& solver, const ScaleSolver::Solution& at);

  /// delta [k]; empty where there is no Cholesky factor.
  std::vector<double> solve(double damping) const;

 private:
  Device& device_;
  Index neurons_;
  HostMatrix normal_;  // [k, k]
  std::vector<double> right_;
  std::vector<double> squares_;  // n |c_i|^2
};

OffsetStep::OffsetStep(Device& device, const ScaleSolver& solver, const ScaleSolver::Solution& at)
    : device_(device), neurons_(at.network.neurons()) {
  const Index k = neurons_;
  const Index d = at.network.inputs();
  const Index p = at.network.outputs();
  const ConstDeviceView x = solver.rows().x;
  const HyperplaneFeatures features(device, at.network.planes);
  const Index q = features.cols();
  const Index row_bytes = (q + 2 * k + 1) * kDoubleBytes;
  const Index chunk = std::clamp<Index>(solver.chunk_bytes() / row_bytes, 1, x.rows);
  std::vector<double> offsets;
  for (Index i = 0; i < k; ++i) offsets.push_back(at.network.planes(i, d));
  const DeviceMatrix planes = upload(device, at.network.planes);
  const DeviceMatrix offset_row = upload(device, row_view(offsets));
  DeviceMatrix ones(device, k, 1);
  fill(device, 1.0, ones);
  DeviceMatrix h(device, chunk, q);
  DeviceMatrix z(device, chunk, k);
  DeviceMatrix s(device, chunk, k + 1);
  DeviceMatrix signs(device, k, k);
  DeviceMatrix mixed(device, q, k);
  DeviceMatrix gradient(device, k, p);
  const DeviceMatrix no_inputs(device, chunk, 0);
  for (Index top = 0; top < x.rows; top += chunk) {
    const Index count = std::min(chunk, x.rows - top);
    const double beta = top == 0 ? 0.0 : 1.0;
    const DeviceView hs = h.view().row_block(0, count);
    const DeviceView zs = z.view().row_block(0, count);
    const DeviceView rows = s.view().row_block(0, count);
    features.rows(x.row_block(top, count), hs);
    multiply(device, x.row_block(top, count), Transpose::no, planes.view().col_block(0, d),
             Transpose::yes, 1.0, 0.0, zs);
    add_row(device, offset_row, zs);
    hinge_jacobian_rows(device, zs, no_inputs.view().row_block(0, count), ones, 0, rows);
    const ConstDeviceView ss = rows.col_block(0, k);
    gram(device, ss, beta, signs);
    multiply(device, hs, Transpose::yes, ss, Transpose::no, 1.0, beta, mixed);
    multiply(device, ss, Transpose::yes, at.residual.view().row_block(top, count), Transpose::no,
             1.0, beta, gradient);
  }
  // S' P S = S'S - W'W,  W = L^-1 H'S,  L L' = H'H
  DeviceMatrix factor(device, q, q);
  copy(device, at.gram, factor);
  DeviceMatrix factors(device, q, 1);
  unit_diagonal(device, kZeroColumn, kRidge, factor, factors);
  if (!cholesky(device, factor)) return;
  scale_rows(device, factors, mixed);
  solve_triangular(device, factor, Transpose::no, mixed);
  const HostMatrix all = download(device, signs);
  gram(device, mixed, 0.0, signs);
  const HostMatrix explained = download(device, signs);
  const HostMatrix g = download(device, gradient);
  normal_ = HostMatrix(k, k);
  double largest = 0;
  for (Index i = 0; i < k; ++i) {
    const double* c = at.network.scales.row(i);
    for (Index j = 0; j <= i; ++j) {
      normal_(i, j) = (all(i, j) - explained(i, j)) * dot(c, at.network.scales.row(j), p);
    }
    right_.push_back(dot(c, g.row(i), p));
    squares_.push_back(static_cast<double>(x.rows) * dot(c, c, p));
    largest = std::max(largest, squares_.back());
  }
  for (Index i = 0; i < k; ++i) normal_(i, i) += kScaleRidge * largest;
}

std::vector<double> OffsetStep::solve(double damping) const {
  if (normal_.rows() != neurons_) return {};
  HostMatrix shifted = normal_;
  for (Index i = 0; i < neurons_; ++i) {
    shifted(i, i) += damping * squares_[static_cast<std::size_t>(i)];
  }
  DeviceMatrix factor = upload(device_, shifted);
  if (!cholesky(device_, factor)) return {};
  DeviceMatrix change = upload(device_, column_view(right_));
  solve_triangular(device_, factor, Transpose::no, change);
  solve_triangular(device_, factor, Transpose::yes, change);
  const HostMatrix host = download(device_, change);
  return {host.data(), host.data() + host.size()};
}

}  // namespace

OffsetFit fit_offsets(Device& device, const FitRows& rows, const Hyperplanes& start,
                      const OffsetFitPlan& plan) {
  require(start.inputs() == rows.x.cols && start.outputs() == rows.y.cols,
          "offset fit: the start must be as wide as x and y");
  require(rows.weights.rows == 0, "offset fit: weights are not supported");
  const Index k = start.neurons();
  const Index d = start.inputs();
  const auto wanted = static_cast<Index>(plan.rows * static_cast<double>(2 * k + d + 1));
  const Index n = std::min(rows.x.rows, wanted);
  ScaleSolver solver(device, {rows.x.row_block(0, n), rows.y.row_block(0, n)}, plan.most_bytes);
  std::optional<ScaleSolver::Solution> at = solver.solve(start.planes);
  require(at.has_value(), "offset fit: the start has no finite scales");
  OffsetFit result;
  result.first_rms = std::sqrt(at->mean_square);
  double damping = plan.damping;
  int stalled = 0;
  std::optional<OffsetStep> linear;
  while (k > 0 && result.steps < plan.most_steps && at->mean_square > 0) {
    if (plan.stop && plan.stop()) break;
    ++result.steps;
    if (!linear) linear.emplace(device, solver, *at);
    const std::vector<double> change = linear->solve(damping);
    std::optional<ScaleSolver::Solution> next;
    if (!change.empty()) {
      HostMatrix planes = at->network.planes;
      for (Index i = 0; i < k; ++i) {
        planes(i, d) +=
            std::clamp(change[static_cast<std::size_t>(i)], -plan.most_change, plan.most_change);
      }
      next = solver.solve(planes);
    }
    if (!next || !(next->mean_square < at->mean_square)) {
      damping *= kUp;
      if (damping > plan.most_damping) break;
      continue;
    }
    stalled = next->mean_square > (1 - plan.stall) * at->mean_square ? stalled + 1 : 0;
    linear.reset();
    at = std::move(next);
    damping = std::max(damping / kDown, kLeast);
    if (stalled >= kStalledSteps) break;
  }
  result.rms = std::sqrt(at->mean_square);
  result.network = std::move(at->network);
  return result;
}

}  // namespace crease
