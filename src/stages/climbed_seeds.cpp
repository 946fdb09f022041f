// Many hyperplanes climb towards what a residual bends along.
#include "src/stages/climbed_seeds.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kClimbers = 128;
constexpr Index kSteps = 12;
constexpr Index kRows = 20000;
constexpr double kFirstStep = 0.5;  // angle and offset together
constexpr double kShorter = 0.8;    // every step
constexpr double kOffset = 1;       // deviation of the first offsets
constexpr double kFarthest = 2.5;   // offsets: hardly any point lies beyond
constexpr double kAlike = 0.3;      // distance of two hyperplanes that count as one

/// Deviation of |t + e| under t ~ N(0, 1) from its best affine approximation, and its derivative.
struct Height {
  double value;
  double slope;
};
Height height_of(double e) {
  const double density = std::exp(-0.5 * e * e) / std::sqrt(2 * std::numbers::pi);
  const double side = std::erf(e / std::numbers::sqrt2);  // 2 Phi(e) - 1
  const double mean = 2 * density + e * side;
  const double square = 1 + e * e - mean * mean - side * side;
  // mean' = side, side' = 2 density
  const double slope = 2 * e - 2 * mean * side - 4 * side * density;
  const double value = std::sqrt(std::max(square, 1e-12));
  return {value, 0.5 * slope / value};
}

/// |V - V'| or |V + V'|, whichever is less.
double apart(const double* a, const double* b, Index n) {
  double same = 0;
  double opposite = 0;
  for (Index j = 0; j < n; ++j) {
    same += (a[j] - b[j]) * (a[j] - b[j]);
    opposite += (a[j] + b[j]) * (a[j] + b[j]);
  }
  return std::sqrt(std::min(same, opposite));
}

/// Moves a hyperplane by `length` (angle and offset) uphill of log(product / height), product = <V,
/// g> the mean of |<V, x1>| r and g its gradient.
void climb(double* plane, Index d, const double* gradient, double product, double length) {
  const double sign = product < 0 ? -1 : 1;
  const double size = std::max(std::abs(product), 1e-300);
  const Height height = height_of(plane[d]);
  std::vector<double> way(static_cast<std::size_t>(d + 1));
  const double along = dot(gradient, plane, d);
  for (Index j = 0; j < d; ++j) {
    way[static_cast<std::size_t>(j)] = sign * (gradient[j] - along * plane[j]) / size;
  }
  way.back() = sign * gradient[d] / size - height.slope / height.value;
  const double norm = std::sqrt(dot(way, way));
  if (!(norm > 0) || !std::isfinite(norm)) return;
  for (Index j = 0; j <= d; ++j) plane[j] += length / norm * way[static_cast<std::size_t>(j)];
  const double normal = std::sqrt(dot(plane, plane, d));
  for (Index j = 0; j < d; ++j) plane[j] /= normal;
  plane[d] = std::clamp(plane[d], -kFarthest, kFarthest);
}

}  // namespace

HostMatrix climbed_seeds(Device& device, const FitRows& all, const Hyperplanes& network,
                         Index count, Random& random, Index most_bytes) {
  const Index d = network.inputs();
  const Index n = std::min(kRows, all.x.rows);
  const FitRows rows = {all.x.row_block(0, n), all.y.row_block(0, n)};
  std::vector<double> residual = main_residual(device, rows, network, most_bytes);
  HostMatrix best(0, d + 1);
  const double size = std::sqrt(dot(residual, residual) / static_cast<double>(n));
  if (!(size > 0) || count <= 0) return best;
  for (double& r : residual) r /= size;
  const DeviceMatrix r = upload(device, column_view(residual));

  HostMatrix planes(kClimbers, d + 1);
  for (Index i = 0; i < kClimbers; ++i) {
    const std::vector<double> normal = unit_vector(random.normals(d));
    std::copy(normal.begin(), normal.end(), planes.row(i));
    planes(i, d) = std::clamp(kOffset * random.normals(1)[0], -kFarthest, kFarthest);
  }
  HostMatrix tops = planes;
  std::vector<double> scores(static_cast<std::size_t>(kClimbers), 0.0);
  const DeviceMatrix directions = upload(device, HostMatrix(kClimbers, 1, 1.0));
  const bool hold = n * (d + 1) * static_cast<Index>(sizeof(float)) <= most_bytes;
  double length = kFirstStep;
  for (Index step = 0; step <= kSteps; ++step) {
    const DeviceMatrix there = upload(device, planes);
    DeviceMatrix products(device, kClimbers + 1, d + 1);
    linearize_hinges(device, rows.x, there, directions, {}, hold)
        ->back_product(r, 1 / static_cast<double>(n), products);
    const HostMatrix gradient = download(device, products);
    for (Index i = 0; i < kClimbers; ++i) {
      const double product = dot(gradient.row(i), planes.row(i), d + 1);
      const double score = std::abs(product) / height_of(planes(i, d)).value;
      if (score > scores[static_cast<std::size_t>(i)]) {
        scores[static_cast<std::size_t>(i)] = score;
        std::copy_n(planes.row(i), d + 1, tops.row(i));
      }
      climb(planes.row(i), d, gradient.row(i), product, length);
    }
    length *= kShorter;
  }
  std::vector<Index> order(static_cast<std::size_t>(kClimbers));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  for (const Index i : order) {
    if (best.rows() >= count) break;
    bool alike = false;
    for (Index j = 0; j < best.rows(); ++j) {
      alike = alike || apart(tops.row(i), best.row(j), d + 1) < kAlike;
    }
    if (!alike) best.append_row(tops.row(i), d + 1);
  }
  return best;
}

}  // namespace crease
