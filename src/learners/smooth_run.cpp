// What the paths of learn_from_hessians share.
#include "src/learners/smooth_run.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/counted_fit.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr double kConstant = 1e-13;   // of the size: a deviation that is rounding
constexpr Index kSpareGradients = 4;  // beyond the rank that they show
constexpr Index kNoisyGradients = 4;  // per input: the least singular value must stand above noise
constexpr double kRank = 1e-5;        // of the largest singular value of the gradients
constexpr Index kSpanPoints = 16;
constexpr double kSpanned =
    1e-7;  // of the size of F: a change that is truncation, kExactGradient^2
constexpr double kFartherOut = 30;
constexpr double kNoisySpanned = 6;        // sigma, at least ...
constexpr double kSmallFartherOut = 0.02;  // ... so much of sd(F): what a tilted basis changes
constexpr int kBasisRounds = 4;
constexpr double kGap = 30;              // of singular values, with noise
constexpr double kNoiseRank = 2;         // of the largest that noise makes of them
constexpr double kExactGradient = 1e-4;  // step
constexpr Index kRays = 8;
constexpr double kFar = 1e4;  // times d: where saturating networks are constant nearly always
constexpr double kStill = 1e-7;
constexpr double kAtTheFloor = 1.3;  // sigma: the rms of a fit that is as good as the answers
constexpr double kReplaced = 0.1;    // of the deviation: a tenth of it the others may lack at once

/// Mean, standard deviation and root mean square.
struct Moments {
  double mean = 0, deviation = 0, size = 0;
};
Moments moments_of(const HostMatrix& y) {
  const auto n = static_cast<double>(std::max<Index>(1, y.size()));
  Moments moments;
  for (Index i = 0; i < y.size(); ++i) moments.mean += y.data()[i] / n;
  double square = 0;
  for (Index i = 0; i < y.size(); ++i) square += std::pow(y.data()[i] - moments.mean, 2);
  moments.deviation = std::sqrt(square / n);
  moments.size = std::hypot(moments.mean, moments.deviation);
  return moments;
}

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
  const double deviation = moments_of(y).deviation;
  return moments_of(left).size / (deviation > 0 ? deviation : 1);
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
  const Moments moments = moments_of(download(run.device, points.y));
  if (moments.deviation > kConstant * moments.size) {
    run.mean = moments.mean;
    run.deviation = moments.deviation;
  } else {
    run.mean = moments.mean;
    run.deviation = moments.size > 0 ? moments.size : 1;
  }
  run.asker.standardize(run.mean, run.deviation);
  run.size = std::max(1.0, moments.size / run.deviation);
  run.sigma = run.noise.absolute.front() / run.deviation;
}

namespace {

/// How much F changes where points of N(0, scale^2 I) lose what lies outside the basis.
std::vector<double> changes(SmoothRun& run, const HostMatrix& basis, double scale) {
  const Index d = run.asker.inputs();
  HostMatrix x = download(
      run.device, run.random.gaussian_points(run.device, Stream::looks, kSpanPoints, d, scale));
  const HostMatrix inside =
      product(run.device, product(run.device, x, Transpose::no, basis, Transpose::yes),
              Transpose::no, basis, Transpose::no);
  for (Index i = 0; i < kSpanPoints; ++i) x.append_row(inside.row(i), d);
  const HostMatrix y = download(run.device, run.asker.points(upload(run.device, x)));
  std::vector<double> all;
  for (Index i = 0; i < kSpanPoints; ++i) {
    all.push_back(std::fabs(y(i, 0) - y(kSpanPoints + i, 0)));
  }
  return all;
}

/// Whether F varies in the basis alone. Where noise hides bends, neurons that saturate show farther
/// out, at most points: the errors of the basis itself show at few.
bool spans(SmoothRun& run, const HostMatrix& basis) {
  if (run.sigma > 0) {
    return !saturates(run.problem.first) ||
           median(changes(run, basis, kFartherOut)) <=
               std::max(kSmallFartherOut, kNoisySpanned * run.sigma);
  }
  const std::vector<double> all = changes(run, basis, 1);
  return *std::max_element(all.begin(), all.end()) <= kSpanned * run.size;
}

}  // namespace

void find_basis(SmoothRun& run) {
  run.asker.enter("gradients");
  const Index d = run.asker.inputs();
  const double step =
      run.sigma > 0 ? std::clamp(std::cbrt(3 * run.sigma), 1e-3, 0.3) : kExactGradient;
  HostMatrix gradients(0, d);
  for (int round = 0; round < kBasisRounds; ++round) {
    const Index n = run.sigma > 0 ? kNoisyGradients * d : d + kSpareGradients;
    const HostMatrix centers =
        download(run.device, run.random.gaussian_points(run.device, Stream::lines, n, d));
    const HostMatrix more = central_gradients(run.asker, centers, identity(d), step);
    for (Index i = 0; i < n; ++i) gradients.append_row(more.row(i), d);
    const Svd parts = svd(gradients);
    // Noise of a gradient's number, and the largest singular value of a matrix of it.
    const double error = run.sigma_or_rounding() / (std::sqrt(2.0) * step);
    const double chance = error * (std::sqrt(static_cast<double>(gradients.rows())) +
                                   std::sqrt(static_cast<double>(d)));
    const double floor = std::max(kRank * parts.values.front(), kNoiseRank * chance);
    Index rank = std::count_if(parts.values.begin(), parts.values.end(),
                               [&](double value) { return value > floor; });
    // Noise may hide directions of little slope: without a gap all of them stay.
    const auto r = static_cast<std::size_t>(rank);
    if (run.sigma > 0 && rank > 0 && rank < d && parts.values[r - 1] < kGap * parts.values[r]) {
      rank = d;
    }
    if (run.problem.neurons && run.problem.layers == 2) rank = std::min(*run.problem.neurons, d);
    rank = std::max<Index>(rank, 1);
    run.basis = HostMatrix(parts.right.view().row_block(0, rank));
    // Steep neurons slope at few points: exact answers tell whether one is missing.
    if (rank == d || spans(run, run.basis)) return;
    if (run.sigma > 0) break;
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
  const Index unknowns = free_numbers(start, plan);
  if (unknowns > run.plan.most_unknowns) {
    run.asker.warn("no fit of all parameters: " + std::to_string(unknowns) + " unknowns, at most " +
                   std::to_string(run.plan.most_unknowns) + " (most_unknowns)");
    return std::nullopt;
  }
  const double per_unknown = run.plan.rows_per_unknown * (run.sigma > 0 ? 3 : 1);
  const auto rows = static_cast<Index>(std::ceil(per_unknown * static_cast<double>(unknowns)));
  if (rows > run.asker.left()) {
    run.asker.warn("no fit of all parameters: it takes " + std::to_string(rows) + " queries, " +
                   std::to_string(run.asker.left()) + " are left");
    return std::nullopt;
  }
  const SmoothRun::Points points = run.gaussian_points(rows);
  SmoothFit fit = fit_smooth(run.device, points.x, points.y, start, plan);
  run.asker.report();
  const bool may_have_too_many = run.sigma > 0 && start.layers() == 1 && !run.problem.neurons;
  if (may_have_too_many && fit.rms <= kAtTheFloor * run.sigma) {
    return without_surplus(run, points, std::move(fit));
  }
  return fit.network;
}

}  // namespace crease
