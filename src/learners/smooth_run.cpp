// What the paths of learn_from_hessians share.
#include "src/learners/smooth_run.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/input_lift.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr double kConstant = 1e-13;     // of the size: a deviation that is rounding
constexpr double kMoreGradients = 1.5;  // times as many at a time
constexpr Index kNoisyGradients = 4;  // per input: the least singular value must stand above noise
constexpr double kRank = 1e-5;        // of the largest singular value of the gradients
constexpr Index kSpanPoints = 16;
constexpr double kSpanned = 1e-8;        // of the size of F: a change that is rounding ...
constexpr double kNearlySpanned = 1e-5;  // ... and, of steep neurons, truncation
constexpr int kBasisRounds = 4;
constexpr double kGap = 30;              // of singular values, with noise
constexpr double kNoiseRank = 2;         // of the largest that noise makes of them
constexpr double kExactGradient = 1e-5;  // step: rounding 2e-11, truncation 1e-10 |a|^3
constexpr double kLiftRows = 1.25;       // of exact answers, for every unknown of an input
constexpr Index kRays = 8;
constexpr double kFar = 1e4;  // times d: where saturating networks are constant nearly always
constexpr double kStill = 1e-7;
// A last fit that takes seconds (rows unknowns^2 above kDear), or queries for every input, is left
// out where so many points show no more than this over sd(F).
constexpr double kDear = 2e10;
constexpr Index kLook = 32;
constexpr double kNearlyRounding = 1e-13;

}  // namespace

SmoothRun::Points SmoothRun::gaussian_points(Index n, double scale) {
  Points points;
  points.x = random.gaussian_points(device, Stream::looks, n, asker.inputs(), scale);
  points.y = asker.points(points.x);
  return points;
}

double SmoothRun::held_out_error(const SmoothNetwork& network, Index count) {
  const Points points = gaussian_points(count);
  const HostMatrix y = download(device, points.y);
  HostMatrix left = evaluate(device, network, download(device, points.x));
  for (Index i = 0; i < left.size(); ++i) left.data()[i] -= y.data()[i];
  const double deviation = spread_of(y).deviation;
  return spread_of(left).size / (deviation > 0 ? deviation : 1);
}

SmoothNetwork SmoothRun::of_target(SmoothNetwork network) const {
  for (Index i = 0; i < network.output.size(); ++i) network.output.data()[i] *= deviation;
  for (Index i = 0; i < network.linear.size(); ++i) network.linear.data()[i] *= deviation;
  network.constant(0, 0) = mean + deviation * network.constant(0, 0);
  return network;
}

void measure_answers(SmoothRun& run) {
  run.asker.enter("noise");
  // Curvature is no noise, so that the stencils of probe_noise() say nothing here: repeats and the
  // format do.
  const NoiseModel prior{{0.0}, {kRounding}, "float64", {1.0}};
  const AnswerNoise measured = measure_noise(run.asker, run.random, prior);
  run.noise = measured.model;
  const bool exact = run.noise.format == "float64";
  run.noise.absolute = {exact ? 0 : measured.sigma.front()};
  run.noise.relative = {0};
  const SmoothRun::Points points = run.gaussian_points(kFormatPoints);
  const Spread spread = spread_of(download(run.device, points.y));
  run.mean = spread.mean;
  if (spread.deviation > kConstant * spread.size) {
    run.deviation = spread.deviation;
  } else {
    run.deviation = spread.size > 0 ? spread.size : 1;
  }
  run.asker.standardize(run.mean, run.deviation);
  run.size = std::max(1.0, spread.size / run.deviation);
  run.sigma = run.noise.absolute.front() / run.deviation;
}

namespace {

/// The largest change of F, of its size, where points lose what lies outside the basis.
double change_outside(SmoothRun& run, const HostMatrix& basis) {
  const Index d = run.asker.inputs();
  HostMatrix x =
      download(run.device, run.random.gaussian_points(run.device, Stream::looks, kSpanPoints, d));
  const HostMatrix inside =
      product(run.device, product(run.device, x, Transpose::no, basis, Transpose::yes),
              Transpose::no, basis, Transpose::no);
  for (Index i = 0; i < kSpanPoints; ++i) x.append_row(inside.row(i), d);
  const HostMatrix y = download(run.device, run.asker.points(upload(run.device, x)));
  double change = 0;
  for (Index i = 0; i < kSpanPoints; ++i) {
    change = std::max(change, std::fabs(y(i, 0) - y(kSpanPoints + i, 0)));
  }
  return change / run.size;
}

/// Gradients at Gaussian points, growing, and what their singular values say of F.
class Gradients {
 public:
  explicit Gradients(SmoothRun& run)
      : run_(run),
        step_(run.sigma > 0 ? std::clamp(std::cbrt(3 * run.sigma), 1e-3, 0.3) : kExactGradient),
        rows_(0, run.asker.inputs()) {}

  void take(Index points) {
    const Index d = run_.asker.inputs();
    const HostMatrix centers =
        download(run_.device, run_.random.gaussian_points(run_.device, Stream::lines, points, d));
    const HostMatrix more = central_gradients(run_.asker, centers, identity(d), step_);
    for (Index i = 0; i < points; ++i) rows_.append_row(more.row(i), d);
    parts_ = svd(rows_);
  }

  Index points() const { return rows_.rows(); }

  Index rank() const {
    const Index d = run_.asker.inputs();
    // Noise of a gradient's number, and the largest singular value of a matrix of it.
    const double error = run_.sigma_or_rounding() / (std::sqrt(2.0) * step_);
    const double chance =
        error * (std::sqrt(static_cast<double>(points())) + std::sqrt(static_cast<double>(d)));
    const double floor = std::max(kRank * parts_.values.front(), kNoiseRank * chance);
    const auto above = std::count_if(parts_.values.begin(), parts_.values.end(),
                                     [&](double value) { return value > floor; });
    const auto r = static_cast<std::size_t>(above);
    // Noise may hide directions of little slope: without a gap all of them stay.
    const bool has_gap = above == 0 || above == d || run_.sigma == 0 ||
                         parts_.values[r - 1] >= kGap * parts_.values[r];
    return std::max<Index>(has_gap ? above : d, 1);
  }

  /// The leading `rank` directions.
  HostMatrix basis(Index rank) const { return HostMatrix(parts_.right.view().row_block(0, rank)); }

 private:
  SmoothRun& run_;
  double step_;
  HostMatrix rows_;
  Svd parts_;
};

}  // namespace

void find_basis(SmoothRun& run) {
  run.asker.enter("gradients");
  const Index d = run.asker.inputs();
  Gradients gradients(run);
  const bool exact = run.sigma == 0;
  gradients.take(exact ? std::min(kFirstGradients, d + kSpareGradients) : kNoisyGradients * d);
  for (int round = 0; round < kBasisRounds; ++round) {
    while (exact && gradients.rank() < d &&
           gradients.rank() + kSpareGradients > gradients.points()) {
      const auto more =
          static_cast<Index>((kMoreGradients - 1) * static_cast<double>(gradients.points()));
      gradients.take(std::min(more, d + kSpareGradients - gradients.rank()));
    }
    Index rank = gradients.rank();
    if (!exact && run.problem.neurons && run.problem.layers == 2) {
      rank = std::min(*run.problem.neurons, d);
    }
    run.basis = gradients.basis(rank);
    if (rank == d || !exact) return;
    // Steep neurons slope at few points: exact answers tell whether one is missing.
    const double change = change_outside(run, run.basis);
    const bool last = round + 1 == kBasisRounds;
    if (change <= (last ? kNearlySpanned : kSpanned)) return;
    if (!last) gradients.take(gradients.points());
  }
  run.basis = identity(d);
}

bool becomes_constant(SmoothRun& run) {
  run.asker.enter("lines");
  const Index d = run.asker.inputs();
  HostMatrix x(0, d);
  for (Index ray = 0; ray < kRays; ++ray) {
    const std::vector<double> direction = unit_vector(run.random.normals(d));
    for (const double times : {2.0, 4.0}) {
      std::vector<double> point = direction;
      const double distance = times * kFar * static_cast<double>(d);
      for (double& value : point) value *= distance;
      x.append_row(point.data(), d);
    }
  }
  const HostMatrix y = download(run.device, run.asker.points(upload(run.device, x)));
  Index still = 0;
  for (Index ray = 0; ray < kRays; ++ray) {
    const double change = std::fabs(y(2 * ray + 1, 0) - y(2 * ray, 0));
    if (change <= std::max(kStill, 8 * run.sigma)) ++still;
  }
  return 2 * still >= kRays;
}

namespace {

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
  const double lift_rows = exact ? std::min(kLiftRows, per_unknown) : per_unknown;
  const Index lifting = lift ? 2 * d * lift_centers(start, plan.linear, lift_rows) : 0;
  if (rows + lifting > run.asker.left()) {
    run.asker.warn("no fit of all parameters: it takes " + std::to_string(rows + lifting) +
                   " queries, " + std::to_string(run.asker.left()) + " are left");
    return std::nullopt;
  }
  const SmoothRun::Points points = lift ? points_within(run, rows) : run.gaussian_points(rows);
  const SmoothFit fit = fit_smooth(run.device, points.x, points.y, within, plan);
  run.asker.report();
  if (!lift) return fit.network;
  return lift_to_inputs(run.asker, run.random, run.basis,
                        in_coordinates(run.device, fit.network, run.basis, Transpose::no),
                        plan.linear, lift_rows);
}

}  // namespace crease
