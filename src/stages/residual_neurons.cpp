// Neurons of a residual, in the span of its moments.
#include "src/stages/residual_neurons.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/fit_rows.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kOffset = 0.3;  // of the random start
constexpr double kStall = 0.02;  // of the mean square

}  // namespace

HostMatrix residual_neurons(Device& device, const FitRows& all, const Hyperplanes& network,
                            Index count, Random& random, const ResidualNeuronsPlan& plan) {
  const Index d = network.inputs();
  if (count == 0) return HostMatrix(0, d + 1);
  const Index n = std::min(plan.most_rows, all.x.rows);
  const FitRows rows = {all.x.row_block(0, n), all.y.row_block(0, n)};
  const std::vector<double> residual = main_residual(device, rows, network, plan.most_bytes);
  HostMatrix found(0, d + 1);
  const auto add_random = [&] {
    std::vector<double> plane = unit_vector(random.normals(d));
    plane.push_back(kOffset * random.normals(1)[0]);
    found.append_row(plane.data(), d + 1);
  };
  if (!(dot(residual, residual) > 0)) {  // no direction is distinguished
    for (Index i = 0; i < count; ++i) add_random();
    return found;
  }
  const auto wanted = static_cast<Index>(plan.span * static_cast<double>(count));
  const Index m = std::min(d, std::max(wanted, plan.least_span));
  const HostMatrix basis = leading_span(device, rows.x, residual, m, random, plan.most_bytes);
  DeviceMatrix few(device, n, m);
  multiply(device, rows.x, Transpose::no, upload(device, basis), Transpose::yes, 1.0, 0.0, few);
  const DeviceMatrix left = upload(device, column_view(residual));
  HyperplaneFitPlan fit_plan;
  fit_plan.most_steps = plan.most_steps;
  fit_plan.most_bytes = plan.most_bytes;
  fit_plan.stop = plan.stop;
  fit_plan.stall = kStall;
  Hyperplanes best;
  double least = std::numeric_limits<double>::infinity();
  for (int s = 0; s < (count < plan.twice_below ? 2 : 1); ++s) {
    Hyperplanes start(m, 1);
    for (Index i = 0; i < count; ++i) start.add(random.normals(m), kOffset * random.normals(1)[0]);
    HyperplaneFit fitted = fit_hyperplanes(device, {few, left}, std::move(start), fit_plan);
    if (s > 0 && !(fitted.rms < least)) continue;
    least = fitted.rms;
    best = std::move(fitted.network);
  }
  for (Index i = 0; i < best.neurons(); ++i) {
    std::vector<double> plane(static_cast<std::size_t>(d + 1), 0.0);
    for (Index r = 0; r < m; ++r) {
      for (Index c = 0; c < d; ++c) {
        plane[static_cast<std::size_t>(c)] += best.planes(i, r) * basis(r, c);
      }
    }
    const double length = std::sqrt(dot(plane.data(), plane.data(), d));
    if (!(length > 0)) {
      add_random();
      continue;
    }
    plane.back() = best.planes(i, m);
    for (double& value : plane) value /= length;
    found.append_row(plane.data(), d + 1);
  }
  return found;
}

}  // namespace crease
