// Central differences as fans.
#include "src/stages/central_differences.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"

namespace crease {
namespace {

constexpr double kLeastSigma = 2e-16;  // of an answer, over its size: no double is more exact
constexpr double kLeastStep = 1e-4;
constexpr double kMostStep = 0.35;

void require_shapes(const Asker& asker, ConstHostView centers, ConstHostView basis, double step) {
  require(asker.outputs() == 1, "central differences: of one output");
  require(centers.cols == asker.inputs() && basis.cols == asker.inputs(),
          "central differences: centres and basis must be as wide as the inputs");
  require(step > 0 && std::isfinite(step), "central differences: the step must be positive");
}

DeviceMatrix steps_of(Device& device, Index rows, Index cols, double step) {
  DeviceMatrix steps(device, rows, cols);
  fill(device, step, steps);
  return steps;
}

/// The basis, and then the same with the other sign.
void append_both(ConstHostView basis, HostMatrix& directions) {
  for (const double sign : {1.0, -1.0}) {
    for (Index j = 0; j < basis.rows; ++j) {
      std::vector<double> row;
      for (Index c = 0; c < basis.cols; ++c) row.push_back(sign * basis(j, c));
      directions.append_row(row.data(), basis.cols);
    }
  }
}

/// Directions of the stencil in the order of kernels/ops_smooth.hpp.
HostMatrix stencil_of(ConstHostView basis) {
  const Index d = basis.cols;
  HostMatrix directions(1, d);
  append_both(basis, directions);
  for (const double sign : {1.0, -1.0}) {
    for (Index j = 0; j < basis.rows; ++j) {
      for (Index k = j + 1; k < basis.rows; ++k) {
        std::vector<double> row;
        for (Index c = 0; c < d; ++c) row.push_back(sign * (basis(j, c) + basis(k, c)));
        directions.append_row(row.data(), d);
      }
    }
  }
  return directions;
}

}  // namespace

double hessian_step(double sigma, double size) {
  const double error = std::max(sigma, kLeastSigma * size);
  return std::clamp(2.5 * std::sqrt(std::sqrt(error)), kLeastStep, kMostStep);
}

HostMatrix central_gradients(Asker& asker, ConstHostView centers, ConstHostView basis, double step,
                             Round round) {
  require_shapes(asker, centers, basis, step);
  Device& device = asker.device();
  const Index n = centers.rows;
  const Index count = basis.rows;
  HostMatrix directions(0, basis.cols);
  append_both(basis, directions);
  const DeviceMatrix there = upload(device, directions);
  HostMatrix gradients(n, count);
  const Index most = asker.rows_at_once(2 * count * (1 + asker.inputs()));
  for (Index top = 0; top < n; top += most) {
    const Index rows = std::min(most, n - top);
    const DeviceMatrix points = upload(device, centers.row_block(top, rows));
    const DeviceMatrix steps = steps_of(device, rows, 2 * count, step);
    const HostMatrix answers =
        download(device, asker.fan({points, there, steps}, top == 0 ? round : Round::same));
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < count; ++j) {
        gradients(top + i, j) =
            (answers(i * 2 * count + j, 0) - answers(i * 2 * count + count + j, 0)) / (2 * step);
      }
    }
  }
  return gradients;
}

DeviceMatrix hessians(Asker& asker, ConstHostView centers, ConstHostView basis, double step) {
  require_shapes(asker, centers, basis, step);
  Device& device = asker.device();
  const Index n = centers.rows;
  const Index size = stencil_size(basis.rows);
  const DeviceMatrix stencil = upload(device, stencil_of(basis));
  DeviceMatrix result(device, n, symmetric_size(basis.rows));
  const Index most = asker.rows_at_once(size * (1 + asker.inputs()));
  for (Index top = 0; top < n; top += most) {
    const Index rows = std::min(most, n - top);
    const DeviceMatrix points = upload(device, centers.row_block(top, rows));
    const DeviceMatrix steps = steps_of(device, rows, size, step);
    const DeviceMatrix answers =
        asker.fan({points, stencil, steps}, top == 0 ? Round::next : Round::same);
    second_differences(device, {answers.view().data, rows, size, size}, step,
                       result.view().row_block(top, rows));
  }
  return result;
}

}  // namespace crease
