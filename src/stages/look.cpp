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

bool says_nothing(const HostMatrix& sigmas, Index i) {
  return !sigmas.empty() && std::any_of(sigmas.row(i), sigmas.row(i) + sigmas.cols(),
                                        [](double sigma) { return std::isinf(sigma); });
}

}  // namespace

void sum_up(Look& look) {
  const HostMatrix& y = look.answers;
  const auto n = static_cast<double>(std::max<Index>(1, y.rows() - look.silent));
  const auto says_something = [&look](Index i) {
    return std::isfinite(look.errors[static_cast<std::size_t>(i)]) || look.silent == 0;
  };
  double square_sum = 0;
  double variance = 0;
  for (Index i = 0; i < y.rows(); ++i) {
    const double error = look.errors[static_cast<std::size_t>(i)];
    if (says_something(i)) square_sum += error * error;
  }
  look.rms = std::sqrt(square_sum / n);
  if (look.silent > 0 && look.silent == y.rows()) look.rms = kInfinity;
  for (Index o = 0; o < y.cols(); ++o) {
    double mean = 0;
    for (Index i = 0; i < y.rows(); ++i) mean += says_something(i) ? y(i, o) / n : 0;
    for (Index i = 0; i < y.rows(); ++i) {
      if (says_something(i)) variance += (y(i, o) - mean) * (y(i, o) - mean) / n;
    }
  }
  look.spread = std::sqrt(variance);
}

void append(Look& look, const Look& more) {
  if (look.errors.empty()) {
    look = more;
    return;
  }
  look.errors.insert(look.errors.end(), more.errors.begin(), more.errors.end());
  look.beyond += more.beyond;
  look.silent += more.silent;
  if (more.worst_ratio > look.worst_ratio) {
    look.worst_ratio = more.worst_ratio;
    look.worst = more.worst;
  }
  for (Index i = 0; i < more.answers.rows(); ++i) {
    look.answers.append_row(more.answers.row(i), more.answers.cols());
  }
  for (Index i = 0; i < more.sigmas.rows(); ++i) {
    look.sigmas.append_row(more.sigmas.row(i), more.sigmas.cols());
  }
}

Look judge(Device& device, ConstDeviceView x, ConstDeviceView answers, const Hypothesis& hypothesis,
           const DeviceNetwork& current, const NoiseModel& noise, const QueryPlan& plan,
           const HostMatrix& sigmas) {
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
  for (Index i = 0; i < x.rows; ++i) {
    if (says_nothing(sigmas, i)) {
      look.errors.push_back(kInfinity);
      ++look.silent;
      continue;
    }
    const double rho = std::sqrt(1 + lengths(i, 0) * lengths(i, 0));
    double square = 0;
    double ratio = 0;
    for (Index o = 0; o < answers.cols; ++o) {
      const double error = y(i, o) - known(i, o);
      double sigma =
          std::hypot(noise.sigma(rho, o), value_error[static_cast<std::size_t>(o)] * rho);
      if (!sigmas.empty()) sigma = std::hypot(sigma, sigmas(i, o));
      const double limit = plan.sigmas * sigma;
      square += error * error;
      const double share = std::abs(error) / std::max(limit, 1e-300);
      ratio = std::max(ratio, std::isnan(share) ? kInfinity : share);
    }
    look.errors.push_back(std::sqrt(square));
    if (ratio > 1) ++look.beyond;
    if (worst_row < 0 || ratio > look.worst_ratio) {
      look.worst_ratio = ratio;
      worst_row = i;
    }
  }
  look.answers = std::move(y);
  look.sigmas = sigmas;
  sum_up(look);
  if (worst_row >= 0) {
    const HostMatrix worst = download(device, x.row_block(worst_row, 1));
    look.worst.assign(worst.row(0), worst.row(0) + x.cols);
  }
  return look;
}

namespace {

/// Asks and judges points in chunks, summed up over all of them in order; draw(row, x) fills x with
/// the points from `row` on.
template <class Draw>
Look look_at(Asker& asker, Index points, Draw&& draw, const Hypothesis& hypothesis,
             const DeviceNetwork& current, const NoiseModel& noise, const QueryPlan& plan) {
  Device& device = asker.device();
  const Index chunk = std::clamp<Index>(
      asker.rows_at_once(asker.inputs() + (asker.knows_sigmas() ? 4 : 2) * asker.outputs()), 1,
      std::max<Index>(1, points));
  DeviceMatrix all(device, std::min(chunk, points), asker.inputs());
  Look look;
  for (Index row = 0; row == 0 || row < points; row += chunk) {
    const DeviceView x = all.view().row_block(0, std::min(chunk, points - row));
    draw(row, x);
    HostMatrix sigmas;
    const DeviceMatrix answers = asker.points(x, row == 0 ? Round::next : Round::same, &sigmas);
    append(look, judge(device, x, answers, hypothesis, current, noise, plan, sigmas));
  }
  sum_up(look);
  return look;
}

}  // namespace

Look look_around(Asker& asker, Random& random, Stream stream, Index points,
                 const Hypothesis& hypothesis, const DeviceNetwork& current,
                 const NoiseModel& noise, const QueryPlan& plan) {
  Device& device = asker.device();
  const Index first_row = random.take_rows(stream, points);
  const auto draw = [&](Index row, DeviceView x) {
    fill_gaussian(device, random.seed(), static_cast<std::uint64_t>(stream), first_row + row, 1.0,
                  x);
  };
  Look look = look_at(asker, points, draw, hypothesis, current, noise, plan);
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
    const Index narrow = (count + 1) / 2;
    const Index first = random.take_rows(Stream::hunt, count);
    const auto draw = [&](Index row, DeviceView x) {
      const Index inside = std::clamp<Index>(narrow - row, 0, x.rows);
      const auto stream = static_cast<std::uint64_t>(Stream::hunt);
      fill_gaussian(device, random.seed(), stream, first + row, 1.0, x.row_block(0, inside));
      fill_gaussian(device, random.seed(), stream, first + row + inside, kWide,
                    x.row_block(inside, x.rows - inside));
    };
    look_ = look_at(asker, count, draw, hypothesis, current, noise, plan);
    drawn_ += count;
    gaussian_points_ += narrow;
    silent_gaussian_points_ +=
        std::count(look_.errors.begin(), look_.errors.begin() + narrow, kInfinity);
    asker.report();
    if (look_.beyond > 0) {
      worst = look_.worst;
      return true;
    }
  }
  return false;
}

}  // namespace crease
