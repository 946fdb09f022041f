// Looks at the network so far, and the hunt for bumps.
#include "src/stages/look.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"

namespace crease {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kSmallestBatch = 256;
constexpr Index kLargestBatch = 65536;
constexpr double kWide = 2;  // standard deviation of the second half of a hunt batch

}  // namespace

Look judge(Device& device, ConstDeviceView x, ConstDeviceView answers, const Hypothesis& hypothesis,
           const DeviceNetwork& current, const NoiseModel& noise, const QueryPlan& plan) {
  DeviceMatrix expected(device, x.rows, answers.cols);
  current.evaluate(x, expected);
  // Of the points only their lengths and the worst one leave the device.
  DeviceMatrix origin(device, 1, x.cols);
  fill(device, 0.0, origin);
  DeviceMatrix lengths_on_device(device, x.rows, 1);
  pair_distances(device, x, origin, lengths_on_device);
  const HostMatrix lengths = download(device, lengths_on_device);
  HostMatrix y = download(device, answers);
  const HostMatrix known = download(device, expected);
  std::vector<double> value_error = hypothesis.value_error();
  const std::vector<double> rounding = hypothesis.rounding_error();
  for (std::size_t o = 0; o < rounding.size(); ++o) {
    value_error[o] = std::hypot(value_error[o], rounding[o]);
  }

  Look look;
  Index worst_row = -1;
  double square_sum = 0;
  for (Index i = 0; i < x.rows; ++i) {
    const double rho = std::sqrt(1 + lengths(i, 0) * lengths(i, 0));
    double square = 0;
    double ratio = 0;
    for (Index o = 0; o < answers.cols; ++o) {
      const double error = y(i, o) - known(i, o);
      const double limit = plan.sigmas * std::hypot(noise.sigma(rho, o),
                                                    value_error[static_cast<std::size_t>(o)] * rho);
      square += error * error;
      const double share = std::abs(error) / std::max(limit, 1e-300);
      ratio = std::max(ratio, std::isnan(share) ? kInfinity : share);
    }
    look.errors.push_back(std::sqrt(square));
    square_sum += square;
    if (ratio > 1) ++look.beyond;
    if (worst_row < 0 || ratio > look.worst_ratio) {
      look.worst_ratio = ratio;
      worst_row = i;
    }
  }
  const auto n = static_cast<double>(std::max<Index>(1, x.rows));
  look.rms = std::sqrt(square_sum / n);
  double variance = 0;
  for (Index o = 0; o < answers.cols; ++o) {
    double mean = 0;
    for (Index i = 0; i < x.rows; ++i) mean += y(i, o) / n;
    for (Index i = 0; i < x.rows; ++i) variance += (y(i, o) - mean) * (y(i, o) - mean) / n;
  }
  look.spread = std::sqrt(variance);
  look.answers = std::move(y);
  if (worst_row >= 0) {
    const HostMatrix worst = download(device, x.row_block(worst_row, 1));
    look.worst.assign(worst.row(0), worst.row(0) + x.cols);
  }
  return look;
}

Look look_around(Asker& asker, Random& random, Stream stream, Index points,
                 const Hypothesis& hypothesis, const DeviceNetwork& current,
                 const NoiseModel& noise, const QueryPlan& plan) {
  Device& device = asker.device();
  DeviceMatrix x(device, points, asker.inputs());
  const Index first_row = random.take_rows(stream, points);
  fill_gaussian(device, random.seed(), static_cast<std::uint64_t>(stream), first_row, 1.0, x);
  const DeviceMatrix answers = asker.points(x);
  Look look = judge(device, x, answers, hypothesis, current, noise, plan);
  look.first_row = first_row;
  return look;
}

Hunt::Hunt(const QueryPlan& plan)
    : wanted_(plan.resolution > 0
                  ? static_cast<Index>(std::ceil(plan.hunt_density / plan.resolution))
                  : 0),
      batch_(kSmallestBatch) {}

Index Hunt::largest_batch() const {
  return std::min(wanted_, kLargestBatch);
}

bool Hunt::find(Asker& asker, Random& random, const Hypothesis& hypothesis,
                const DeviceNetwork& current, const NoiseModel& noise, const QueryPlan& plan,
                std::vector<double>& worst) {
  asker.enter("hunt");
  Device& device = asker.device();
  while (drawn_ < wanted_) {
    // Doubling batches: few rounds, and a hit early on wastes little.
    const Index count = std::min(batch_, wanted_ - drawn_);
    batch_ = std::min(2 * batch_, kLargestBatch);
    DeviceMatrix x(device, count, asker.inputs());
    const Index narrow = (count + 1) / 2;
    const auto stream = static_cast<std::uint64_t>(Stream::hunt);
    const Index first = random.take_rows(Stream::hunt, count);
    fill_gaussian(device, random.seed(), stream, first, 1.0, x.view().row_block(0, narrow));
    fill_gaussian(device, random.seed(), stream, first + narrow, kWide,
                  x.view().row_block(narrow, count - narrow));
    const DeviceMatrix answers = asker.points(x);
    drawn_ += count;
    gaussian_points_ += narrow;
    const Look look = judge(device, x, answers, hypothesis, current, noise, plan);
    asker.report();
    if (look.beyond > 0) {
      worst = look.worst;
      return true;
    }
  }
  return false;
}

}  // namespace crease
