// What the paths of learn_from_hessians share.
#include "src/learners/smooth_run.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kConstant = 1e-13;  // of the size: a deviation that is rounding
constexpr Index kRays = 8;
constexpr double kFar = 1e4;  // times d: where saturating networks are constant nearly always
constexpr double kStill = 1e-7;
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

}  // namespace crease
