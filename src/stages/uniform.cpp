// Algorithms 1 and 2, and the first half of Algorithm 3: biases, gradients and pieces of a line.
#include "src/stages/uniform.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/uniform_pieces.hpp"

namespace crease {
namespace {

/// Rounding of <w, x> over |w| |x|, one standard deviation: each of d partial sums, of size |w| |x|
/// sqrt(i) / d, is off by u / sqrt(3).
constexpr double kSteepRounding = 0.41 * kRounding;

/// Intervals per block: their points, steps, answers and gradients within `most_bytes`.
Index block_size(Index intervals, Index d, Index p, Index most_bytes) {
  const Index each = (2 * (d + 1) + 4 * p * (d + 1) + 4 * (p + 1)) * kDoubleBytes;
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

HostMatrix get_slopes(Asker& asker, const Lines& lines, const std::vector<double>& t, double half) {
  asker.enter("lines");
  const auto n = static_cast<Index>(t.size());
  const Index p = asker.outputs();
  std::vector<double> ends;
  for (const double middle : t) ends.insert(ends.end(), {middle - half, middle + half});
  std::vector<Index> first;
  for (const Index point : lines.first) first.push_back(2 * point);
  const HostMatrix y =
      asker.residuals({lines.origins, lines.directions, first}, ends, nullptr, Round::same);
  HostMatrix slopes(n, p);
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(2 * i);
    for (Index o = 0; o < p; ++o) {
      slopes(i, o) = (y(2 * i + 1, o) - y(2 * i, o)) / (ends[at + 1] - ends[at]);
    }
  }
  return slopes;
}

HostMatrix get_bias(const HostMatrix& values, const HostMatrix& slopes, Index first_slope,
                    const std::vector<double>& t) {
  HostMatrix biases(values.rows(), values.cols());
  for (Index i = 0; i < biases.rows(); ++i) {
    for (Index o = 0; o < biases.cols(); ++o) {
      biases(i, o) = values(i, o) - slopes(first_slope + i, o) * t[static_cast<std::size_t>(i)];
    }
  }
  return biases;
}

namespace {

/// Scans lines, a few at a time.
class Scan {
 public:
  Scan(Asker& asker, const UniformGrid& grid, const QueryPlan& plan, NoiseModel& noise)
      : asker_(asker),
        device_(asker.device()),
        grid_(grid),
        plan_(plan),
        noise_(noise),
        d_(asker.inputs()),
        p_(asker.outputs()) {}

  /// `count` lines in one batch of slopes, each in one block; or one line in blocks.
  void run(Random& random, Index count, Index block,
           const std::function<void(ScannedLine)>& scanned) {
    std::vector<ScannedLine> lines(static_cast<std::size_t>(count));
    HostMatrix origins(0, d_);
    HostMatrix directions(0, d_);
    for (ScannedLine& line : lines) {
      line.origin = random.normals(d_);
      line.direction = unit_vector(random.normals(d_));
      origins.append_row(line.origin.data(), d_);
      directions.append_row(line.direction.data(), d_);
    }
    const DeviceMatrix from = upload(device_, origins);
    const DeviceMatrix along = upload(device_, directions);
    std::vector<PieceBuilder> builders;
    for (const ScannedLine& line : lines) {
      builders.emplace_back(grid_, plan_.sigmas, line.direction, p_);
    }
    DeviceMatrix basis;
    for (Index first = 0; first < grid_.intervals; first += block) {
      const Index size = std::min(block, grid_.intervals - first);
      std::vector<double> t;
      for (Index i = 0; i < size; ++i) t.push_back(grid_.middle(first + i));
      std::vector<double> all_t;
      std::vector<Index> starts = {0};
      for (Index l = 0; l < count; ++l) {
        all_t.insert(all_t.end(), t.begin(), t.end());
        starts.push_back(static_cast<Index>(all_t.size()));
      }
      const Lines together{from, along, starts};
      const HostMatrix slopes = get_slopes(asker_, together, all_t, grid_.bias_half);
      const DeviceMatrix where = upload(device_, column_view(t));
      for (Index l = 0; l < count; ++l) {
        const auto ll = static_cast<std::size_t>(l);
        if (first == 0) basis = draw_basis(random, lines[ll].direction);
        DeviceMatrix centers(device_, size, d_);
        line_points(device_, together.line(l), where, centers);
        Gradients found = get_gradient(asker_, centers, basis, grid_.step);
        add(lines[ll], builders[ll], t, found, slopes, l * size);
        asker_.report();
        if (first + size < grid_.intervals) continue;
        builders[ll].close();
        lines[ll].pieces = builders[ll].take();
        scanned(std::move(lines[ll]));
      }
    }
  }

 private:
  DeviceMatrix draw_basis(Random& random, const std::vector<double>& direction) {
    DeviceMatrix basis = random.gaussian_points(device_, Stream::directions, d_, d_);
    orthonormal_rows(device_, basis);
    const HostMatrix z = download(device_, basis);
    double sum_along = 0;
    for (Index j = 0; j < d_; ++j) sum_along += dot(z.row(j), direction.data(), d_);
    along_share_ = std::sqrt(1 + sum_along * sum_along) / grid_.step;
    return basis;
  }

  /// Puts the intervals of a block, gradients found and slopes first_slope .., into pieces.
  void add(ScannedLine& line, PieceBuilder& builder, const std::vector<double>& t, Gradients& found,
           const HostMatrix& slopes, Index first_slope) {
    const auto count = static_cast<Index>(t.size());
    const HostMatrix biases = get_bias(found.values, slopes, first_slope, t);
    // Answers are rounded where the function is steep: the probe may not have seen that.
    for (Index row = 0; row < count * p_; ++row) {
      const double* gradient = found.gradients.row(row);
      double& relative = noise_.relative[static_cast<std::size_t>(row % p_)];
      relative = std::max(relative, kSteepRounding * std::sqrt(dot(gradient, gradient, d_)));
    }
    const double slope_share = 1 / (std::sqrt(2.0) * grid_.bias_half);
    const double origin_square = dot(line.origin, line.origin);
    const double tilt = dot(line.origin, line.direction);
    for (Index i = 0; i < count; ++i) {
      const double at = t[static_cast<std::size_t>(i)];
      const double rho = std::sqrt(1 + origin_square + at * (2 * tilt + at));
      Interval interval{at,
                        found.values.row(i),
                        slopes.row(first_slope + i),
                        biases.row(i),
                        found.gradients.row(i * p_),
                        {}};
      bool straight = true;
      for (Index o = 0; o < p_; ++o) {
        const double sigma = noise_.sigma(rho, o);
        interval.sigma.push_back(sigma);
        double* gradient = found.gradients.row(i * p_ + o);
        const double change = slopes(first_slope + i, o) - dot(gradient, line.direction.data(), d_);
        straight = straight &&
                   std::abs(change) <= plan_.sigmas * sigma * std::hypot(along_share_, slope_share);
        for (Index j = 0; j < d_; ++j) {
          gradient[j] += change * line.direction[static_cast<std::size_t>(j)];
        }
      }
      if (straight) {
        builder.add(interval);
      } else {
        ++line.rejected;
      }
    }
  }

  Asker& asker_;
  Device& device_;
  const UniformGrid& grid_;
  const QueryPlan& plan_;
  NoiseModel& noise_;
  Index d_;
  Index p_;
  double along_share_ = 0;  // of the basis in hand: error of a gradient along the line / sigma
};

}  // namespace

void scan_lines(Asker& asker, Random& random, const UniformGrid& grid, const QueryPlan& plan,
                Index most_bytes, NoiseModel& noise,
                const std::function<void(ScannedLine)>& scanned) {
  const Index d = asker.inputs();
  const Index p = asker.outputs();
  const Index block = block_size(grid.intervals, d, p, most_bytes);
  const Index each = std::max<Index>(1, (2 * d + grid.intervals * (4 * p + 4)) * kDoubleBytes);
  const Index together =
      block < grid.intervals ? 1 : std::clamp<Index>(most_bytes / each, 1, grid.lines);
  Scan scan(asker, grid, plan, noise);
  for (Index line = 0; line < grid.lines; line += together) {
    scan.run(random, std::min(together, grid.lines - line), block, scanned);
  }
}

}  // namespace crease
