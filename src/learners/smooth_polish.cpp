// The last fit, of all parameters.
#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/learners/smooth_run.hpp"
#include "src/stages/counted_fit.hpp"
#include "src/stages/input_lift.hpp"
#include "src/stages/product.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr double kLiftRows = 1.5;  // of exact answers, for every unknown of an input
// A last fit that takes seconds (rows unknowns^2 above kDear), or queries for every input, is left
// out where so many points show no more than this over sd(F).
constexpr double kDear = 2e10;
constexpr Index kLook = 32;
constexpr double kNearlyRounding = 1e-13;
constexpr double kAtTheFloor = 1.3;  // sigma: the rms of a fit that is as good as the answers
constexpr double kReplaced = 0.1;    // of the deviation: a tenth of it the others may lack at once

/// F' of coordinates z, x = basis^T z; or back.
SmoothNetwork in_coordinates(Device& device, const SmoothNetwork& network, const HostMatrix& basis,
                             Transpose transpose) {
  const Index inputs = transpose == Transpose::yes ? basis.rows() : basis.cols();
  std::vector<Index> neurons;
  std::vector<Activation> activations;
  for (const SmoothNetwork::Layer& layer : network.hidden) {
    neurons.push_back(layer.weights.rows());
    activations.push_back(layer.activation);
  }
  SmoothNetwork seen(inputs, neurons, network.outputs(), activations);
  seen.hidden = network.hidden;
  seen.hidden[0].weights =
      product(device, network.hidden[0].weights, Transpose::no, basis, transpose);
  seen.linear = product(device, network.linear, Transpose::no, basis, transpose);
  seen.output = network.output;
  seen.constant = network.constant;
  return seen;
}

/// `rows` Gaussian points of the span of the basis by their coordinates, with F there.
SmoothRun::Points points_within(SmoothRun& run, Index rows) {
  SmoothRun::Points points;
  points.x = run.random.gaussian_points(run.device, Stream::looks, rows, run.basis.rows());
  DeviceMatrix asked(run.device, rows, run.basis.cols());
  multiply(run.device, points.x, Transpose::no, upload(run.device, run.basis), Transpose::no, 1.0,
           0.0, asked);
  points.y = run.asker.points(asked);
  return points;
}

/// Neurons that only fit errors are dropped, and ones that agree merged. The linear part stays.
SmoothNetwork without_surplus(SmoothRun& run, const SmoothRun::Points& points, SmoothFit fit) {
  SmoothNetwork straight(fit.network.inputs(), {1}, 1, {fit.network.hidden.front().activation});
  straight.linear = fit.network.linear;
  const HostMatrix x = download(run.device, points.x);
  const HostMatrix on_line = evaluate(run.device, straight, x);
  HostMatrix left = download(run.device, points.y);
  for (Index i = 0; i < left.size(); ++i) left.data()[i] -= on_line.data()[i];
  const DeviceMatrix values = upload(run.device, left);
  fit.network.linear = HostMatrix(1, fit.network.inputs());
  const FitData data{points.x, values, kReplaced, kAtTheFloor * run.sigma,
                     [&run] { return run.asker.would_end(); }};
  SmoothNetwork network =
      thinned(run.device, data, {std::move(fit.network), fit.rms, fit.stopped}, 1).network;
  network.linear = straight.linear;
  return network;
}

}  // namespace

std::optional<SmoothNetwork> polished(SmoothRun& run, const SmoothNetwork& start) {
  run.asker.enter("polish");
  SmoothFitPlan plan;
  plan.linear = std::any_of(start.linear.data(), start.linear.data() + start.linear.size(),
                            [](double value) { return value != 0; });
  plan.most_bytes = run.control.budget.device_bytes / 4;
  plan.stop = [&run] { return run.asker.would_end(); };
  plan.damping = 1e-6;
  const bool exact = run.sigma == 0;
  if (!exact) plan.most_little = 1;  // errors end it, not rounding: a good start is near its end
  const Index d = run.asker.inputs();
  // With noise all rows of one fit say more than a fit and a lift, as long as it can be made.
  const bool lift =
      run.basis.rows() < d && (exact || free_numbers(start, plan) > run.plan.most_unknowns);
  const SmoothNetwork within =
      lift ? in_coordinates(run.device, start, run.basis, Transpose::yes) : start;
  const Index unknowns = free_numbers(within, plan);
  const double per_unknown = run.plan.rows_per_unknown * (exact ? 1 : 3);
  const double price = per_unknown * std::pow(static_cast<double>(unknowns), 3);
  if (exact && (lift || price > kDear) && run.asker.left() > kLook &&
      run.held_out_error(start, kLook) <= kNearlyRounding) {
    return std::nullopt;
  }
  if (unknowns > run.plan.most_unknowns) {
    run.asker.warn("no fit of all parameters: " + std::to_string(unknowns) + " unknowns, at most " +
                   std::to_string(run.plan.most_unknowns) + " (most_unknowns)");
    return std::nullopt;
  }
  const auto rows = static_cast<Index>(std::ceil(per_unknown * static_cast<double>(unknowns)));
  const double lift_rows_per_unknown = exact ? std::min(kLiftRows, per_unknown) : per_unknown;
  const Index lifting = lift ? d * lift_rows(start, plan.linear, lift_rows_per_unknown) : 0;
  if (rows + lifting > run.asker.left()) {
    run.asker.warn("no fit of all parameters: it takes " + std::to_string(rows + lifting) +
                   " queries, " + std::to_string(run.asker.left()) + " are left");
    return std::nullopt;
  }
  const SmoothRun::Points points = lift ? points_within(run, rows) : run.gaussian_points(rows);
  SmoothFit fit = fit_smooth(run.device, points.x, points.y, within, plan);
  run.asker.report();
  const bool may_have_too_many = !exact && start.layers() == 1 && !run.problem.neurons;
  if (may_have_too_many && fit.rms <= kAtTheFloor * run.sigma) {
    fit.network = without_surplus(run, points, std::move(fit));
  }
  if (!lift) return fit.network;
  return lift_to_inputs(run.asker, run.random, run.basis,
                        in_coordinates(run.device, fit.network, run.basis, Transpose::no),
                        plan.linear, lift_rows_per_unknown);
}

}  // namespace crease
