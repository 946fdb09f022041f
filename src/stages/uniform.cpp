// Algorithms 1 and 2, and the first half of Algorithm 3: biases, gradients and pieces of a line.
#include "src/stages/uniform.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

/// Rounding of <w, x> over |w| |x|, one standard deviation: each of d partial sums, of size |w| |x|
/// sqrt(i) / d, is off by u / sqrt(3).
constexpr double kSteepRounding = 0.41 * kRounding;
constexpr Index kElement = static_cast<Index>(sizeof(double));

/// One interval that passed its check.
struct Interval {
  double t;
  const double* value;        // [p]
  const double* slope;        // [p]
  const double* bias;         // [p]
  const double* gradient;     // [p, d]
  std::vector<double> sigma;  // [p] of an answer
};

/// Puts intervals together into pieces as they come.
class PieceBuilder {
 public:
  PieceBuilder(const UniformGrid& grid, double sigmas, const std::vector<double>& direction,
               Index p)
      : grid_(grid),
        sigmas_(sigmas),
        direction_(direction),
        d_(static_cast<Index>(direction.size())),
        p_(p) {}

  void add(const Interval& interval) {
    if (open_ && belongs(interval)) {
      append(interval);
      return;
    }
    close();
    start(interval);
  }

  void close() {
    if (!open_) return;
    open_ = false;
    finish();
    // A function that comes back to an earlier piece (beyond a bump) makes no new one.
    for (UniformPiece& other : pieces_) {
      if (!same(other)) continue;
      if (piece_.count > other.count) {
        std::swap(other.gradient, piece_.gradient);
        std::swap(other.bias, piece_.bias);
        std::swap(other.gradient_noise, piece_.gradient_noise);
        std::swap(other.bias_noise, piece_.bias_noise);
      }
      other.count += piece_.count;
      other.last = piece_.last;
      other.last_value = piece_.last_value;
      return;
    }
    pieces_.push_back(std::move(piece_));
  }

  std::vector<UniformPiece> take() { return std::move(pieces_); }

 private:
  double gradient_sigma(double sigma) const { return std::sqrt(2.0) * sigma / grid_.step; }

  double bias_sigma(double sigma, double t) const {
    return std::hypot(sigma, t * sigma / (std::sqrt(2.0) * grid_.bias_half));
  }

  /// |a - b| over all outputs within `sigmas` times its standard deviation, for gradients and for
  /// intercepts.
  bool equal(const double* gradient_a, const double* gradient_b, const double* bias_a,
             const double* bias_b, const std::vector<double>& gradient_noise,
             const std::vector<double>& bias_noise) const {
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      double square = 0;
      for (Index i = o * d_; i < (o + 1) * d_; ++i) {
        const double difference = gradient_a[i] - gradient_b[i];
        square += difference * difference;
      }
      const double allowed = sigmas_ * gradient_noise[oo] * std::sqrt(static_cast<double>(d_));
      if (!(std::sqrt(square) <= allowed)) return false;
      if (!(std::abs(bias_a[o] - bias_b[o]) <= sigmas_ * bias_noise[oo])) return false;
    }
    return true;
  }

  bool belongs(const Interval& interval) const {
    const double more = std::sqrt(1 + 1 / static_cast<double>(piece_.count));
    std::vector<double> gradient_noise;
    std::vector<double> bias_noise;
    for (const double sigma : interval.sigma) {
      gradient_noise.push_back(gradient_sigma(sigma) * more);
      bias_noise.push_back(bias_sigma(sigma, interval.t) * more);
    }
    return equal(interval.gradient, piece_.gradient.data(), interval.bias, piece_.bias.data(),
                 gradient_noise, bias_noise);
  }

  bool same(const UniformPiece& other) const {
    std::vector<double> gradient_noise;
    std::vector<double> bias_noise;
    for (std::size_t o = 0; o < static_cast<std::size_t>(p_); ++o) {
      gradient_noise.push_back(std::hypot(other.gradient_noise[o], piece_.gradient_noise[o]));
      bias_noise.push_back(std::hypot(other.bias_noise[o], piece_.bias_noise[o]));
    }
    return equal(other.gradient.data(), piece_.gradient.data(), other.bias.data(),
                 piece_.bias.data(), gradient_noise, bias_noise);
  }

  void start(const Interval& interval) {
    open_ = true;
    const auto p = static_cast<std::size_t>(p_);
    piece_ = UniformPiece();
    piece_.first = interval.t;
    piece_.first_value.assign(interval.value, interval.value + p_);
    piece_.gradient = HostMatrix(p_, d_);
    piece_.bias.assign(p, 0.0);
    mean_t_ = 0;
    spread_t_ = 0;
    mean_value_.assign(p, 0.0);
    product_.assign(p, 0.0);
    mean_slope_.assign(p, 0.0);
    largest_sigma_.assign(p, 0.0);
    append(interval);
  }

  void append(const Interval& interval) {
    const double share = 1 / static_cast<double>(++piece_.count);
    piece_.last = interval.t;
    piece_.last_value.assign(interval.value, interval.value + p_);
    for (Index i = 0; i < p_ * d_; ++i) {
      double& mean = piece_.gradient.data()[i];
      mean += share * (interval.gradient[i] - mean);
    }
    const double before = interval.t - mean_t_;
    mean_t_ += share * before;
    spread_t_ += before * (interval.t - mean_t_);
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      piece_.bias[oo] += share * (interval.bias[o] - piece_.bias[oo]);
      mean_value_[oo] += share * (interval.value[o] - mean_value_[oo]);
      product_[oo] += before * (interval.value[o] - mean_value_[oo]);
      mean_slope_[oo] += share * (interval.slope[o] - mean_slope_[oo]);
      largest_sigma_[oo] = std::max(largest_sigma_[oo], interval.sigma[oo]);
    }
  }

  /// The line through all midpoints of the piece says more about slope and intercept than the
  /// intervals one by one: it is get_bias on one long interval.
  void finish() {
    const auto n = static_cast<double>(piece_.count);
    const double short_share = 1 / (std::sqrt(2.0 * n) * grid_.bias_half);
    const bool long_line = spread_t_ > 0 && 1 / std::sqrt(spread_t_) < short_share;
    const double slope_share = long_line ? 1 / std::sqrt(spread_t_) : short_share;
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      const double slope = long_line ? product_[oo] / spread_t_ : mean_slope_[oo];
      const double change = slope - mean_slope_[oo];
      for (Index i = 0; i < d_; ++i) {
        piece_.gradient(o, i) += change * direction_[static_cast<std::size_t>(i)];
      }
      piece_.bias[oo] = mean_value_[oo] - slope * mean_t_;
      const double sigma = largest_sigma_[oo];
      piece_.gradient_noise.push_back(gradient_sigma(sigma) / std::sqrt(n));
      piece_.bias_noise.push_back(std::hypot(sigma / std::sqrt(n), mean_t_ * slope_share * sigma));
    }
  }

  const UniformGrid& grid_;
  double sigmas_;
  const std::vector<double>& direction_;
  Index d_;
  Index p_;
  bool open_ = false;
  UniformPiece piece_;
  // Of the midpoints and values of the open piece (Welford)
  double mean_t_ = 0;
  double spread_t_ = 0;
  std::vector<double> mean_value_;
  std::vector<double> product_;
  std::vector<double> mean_slope_;
  std::vector<double> largest_sigma_;
  std::vector<UniformPiece> pieces_;
};

/// Intervals per block: their points, steps, answers and gradients within `most_bytes`.
Index block_size(Index intervals, Index d, Index p, Index most_bytes) {
  const Index each = (2 * (d + 1) + 4 * p * (d + 1) + 4 * (p + 1)) * kElement;
  return std::clamp<Index>(most_bytes / each, 1, intervals);
}

}  // namespace

UniformGrid uniform_grid(const QueryPlan& plan, Index d) {
  require(d >= 1, "uniform_grid: at least one input");
  UniformGrid grid;
  grid.lines = plan.uniform_lines;
  grid.intervals = plan.uniform_intervals;
  if (plan.resolution > 0) {
    const double wanted =
        std::ceil(plan.uniform_density / (plan.resolution * static_cast<double>(grid.lines)));
    require(wanted < 0x1p52, "resolution: the uniform scan would need more than 2^52 intervals");
    grid.intervals = std::max(grid.intervals, static_cast<Index>(wanted));
  }
  grid.span = plan.uniform_span * std::sqrt(static_cast<double>(d));
  grid.length = 2 * grid.span / static_cast<double>(grid.intervals);
  grid.bias_half = 0.5 * plan.uniform_bias_share * grid.length;
  grid.step = plan.uniform_step * grid.length;
  return grid;
}

Gradients get_gradient(Asker& asker, const DeviceMatrix& centers, ConstDeviceView basis,
                       double step) {
  asker.enter("gradients");
  Device& device = asker.device();
  const Index m = centers.rows();
  const Index d = centers.cols();
  const Index p = asker.outputs();
  // One more direction, with a step of zero, is the centre itself.
  DeviceMatrix directions(device, d + 1, d);
  fill(device, 0.0, directions);
  copy(device, basis, directions.view().row_block(0, d));
  DeviceMatrix steps(device, m, d + 1);
  fill(device, 0.0, steps);
  const DeviceView proper = steps.view().col_block(0, d);
  fill(device, step, proper);
  const DeviceMatrix answers = asker.fan({centers, directions, steps}, Round::same);
  const ConstDeviceView by_center = {answers.view().data, m, (d + 1) * p, (d + 1) * p};
  DeviceMatrix values(device, m, p);
  copy(device, by_center.col_block(d * p, p), values);
  DeviceMatrix around(device, m * d, p);
  copy(device, by_center.col_block(0, d * p), {around.view().data, m, d * p, d * p});
  DeviceMatrix differences(device, m * p, d);
  divided_differences(device, around, values, proper, differences);
  DeviceMatrix gradients(device, m * p, d);
  multiply(device, differences, Transpose::no, basis, Transpose::no, 1.0, 0.0, gradients);
  return {download(device, values), download(device, gradients)};
}

Biases get_bias(Asker& asker, const Line& line, const std::vector<double>& t,
                const HostMatrix& values, double half) {
  asker.enter("lines");
  const auto m = static_cast<Index>(t.size());
  const Index p = asker.outputs();
  std::vector<double> ends;
  for (const double middle : t) ends.insert(ends.end(), {middle - half, middle + half});
  const DeviceMatrix on_device = upload(asker.device(), column_view(ends));
  const HostMatrix y = download(asker.device(), asker.line(line, on_device, Round::same));
  Biases result{HostMatrix(m, p), HostMatrix(m, p)};
  for (Index i = 0; i < m; ++i) {
    const auto at = static_cast<std::size_t>(2 * i);
    for (Index o = 0; o < p; ++o) {
      result.slopes(i, o) = (y(2 * i + 1, o) - y(2 * i, o)) / (ends[at + 1] - ends[at]);
      result.biases(i, o) = values(i, o) - result.slopes(i, o) * t[static_cast<std::size_t>(i)];
    }
  }
  return result;
}

ScannedLine scan_line(Asker& asker, Random& random, const UniformGrid& grid, const QueryPlan& plan,
                      Index most_bytes, NoiseModel& noise) {
  Device& device = asker.device();
  const Index d = asker.inputs();
  const Index p = asker.outputs();
  ScannedLine line;
  line.origin = random.normals(d);
  line.direction = unit_vector(random.normals(d));
  const DeviceMatrix origin = upload(device, row_view(line.origin));
  const DeviceMatrix direction = upload(device, row_view(line.direction));
  const Line on_device{origin, direction};
  DeviceMatrix basis = random.gaussian_points(device, Stream::directions, d, d);
  orthonormal_rows(device, basis);
  double sum_along = 0;
  {
    const HostMatrix z = download(device, basis);
    for (Index j = 0; j < d; ++j) sum_along += dot(z.row(j), line.direction.data(), d);
  }
  const double along_share = std::sqrt(1 + sum_along * sum_along) / grid.step;
  const double slope_share = 1 / (std::sqrt(2.0) * grid.bias_half);
  const double origin_square = dot(line.origin, line.origin);
  const double tilt = dot(line.origin, line.direction);

  PieceBuilder builder(grid, plan.sigmas, line.direction, p);
  const Index block = block_size(grid.intervals, d, p, most_bytes);
  for (Index first = 0; first < grid.intervals; first += block) {
    const Index count = std::min(block, grid.intervals - first);
    std::vector<double> t;
    for (Index i = 0; i < count; ++i) t.push_back(grid.middle(first + i));
    DeviceMatrix centers(device, count, d);
    line_points(device, on_device, upload(device, column_view(t)), centers);
    Gradients found = get_gradient(asker, centers, basis, grid.step);
    const Biases biases = get_bias(asker, on_device, t, found.values, grid.bias_half);
    // Answers are rounded where the function is steep: the probe may not have seen that.
    for (Index row = 0; row < count * p; ++row) {
      const double* gradient = found.gradients.row(row);
      double& relative = noise.relative[static_cast<std::size_t>(row % p)];
      relative = std::max(relative, kSteepRounding * std::sqrt(dot(gradient, gradient, d)));
    }
    for (Index i = 0; i < count; ++i) {
      const double at = t[static_cast<std::size_t>(i)];
      const double rho = std::sqrt(1 + origin_square + at * (2 * tilt + at));
      Interval interval{at,
                        found.values.row(i),
                        biases.slopes.row(i),
                        biases.biases.row(i),
                        found.gradients.row(i * p),
                        {}};
      bool straight = true;
      for (Index o = 0; o < p; ++o) {
        const double sigma = noise.sigma(rho, o);
        interval.sigma.push_back(sigma);
        double* gradient = found.gradients.row(i * p + o);
        const double change = biases.slopes(i, o) - dot(gradient, line.direction.data(), d);
        straight = straight &&
                   std::abs(change) <= plan.sigmas * sigma * std::hypot(along_share, slope_share);
        for (Index j = 0; j < d; ++j) {
          gradient[j] += change * line.direction[static_cast<std::size_t>(j)];
        }
      }
      if (straight) {
        builder.add(interval);
      } else {
        ++line.rejected;
      }
    }
    asker.report();
  }
  builder.close();
  line.pieces = builder.take();
  return line;
}

}  // namespace crease
