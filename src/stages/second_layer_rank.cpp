// How many neurons a second layer has at least.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/small_dense.hpp"
#include "src/stages/corner_points.hpp"
#include "src/stages/corners.hpp"

namespace crease {
namespace {

constexpr double kOpen = 2.0 / 3;   // of the first layer's neurons, ...
constexpr Index kFirstCorners = 8;  // ... at so many corners of the others, then twice as many
constexpr Index kSpareCorners = 3;  // more than the rank
constexpr double kStep = 1e-6;      // of the activation's reach: answers are exact
constexpr double kMostNoisyStep = 0.015;
constexpr double kTruncation = 0.1;   // times step^2, of the largest singular value
constexpr double kLeastFloor = 1e-6;  // likewise
constexpr double kNoise = 2;          // of the largest singular value that noise makes

/// A random choice of `count` out of n.
std::vector<Index> chosen(Random& random, Index n, Index count) {
  std::vector<Index> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), Index{0});
  for (Index i = 0; i < count; ++i) {
    const auto other = i + static_cast<Index>(random.uniform(0, 1) * static_cast<double>(n - i));
    std::swap(all[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(other)]);
  }
  all.resize(static_cast<std::size_t>(count));
  return all;
}

/// Central differences along the duals of the `open` neurons, all of them at 0, where the others
/// are at n random corners; [n, open].
HostMatrix open_gradients(Asker& asker, Random& random, const SaturatedLayer& first,
                          const std::vector<Index>& open, Index n, double step) {
  const Index m = first.directions.rows();
  const auto k = static_cast<Index>(open.size());
  const HostMatrix signs = random_signs(random, n, m);
  HostMatrix coordinates(2 * n * k, m);
  for (Index row = 0; row < 2 * n * k; ++row) {
    double* at = coordinates.row(row);
    for (Index j = 0; j < m; ++j) at[j] = first.reach * signs(row / (2 * k), j);
    for (const Index i : open) at[i] = 0;
    at[open[static_cast<std::size_t>(row / 2 % k)]] = row % 2 == 0 ? step : -step;
  }
  const HostMatrix values = values_at(asker, first, coordinates, 1);
  HostMatrix gradients(n, k);
  for (Index i = 0; i < n * k; ++i) {
    gradients.data()[i] = (values(2 * i, 0) - values(2 * i + 1, 0)) / (2 * step);
  }
  return gradients;
}

}  // namespace

Index least_second_neurons(Asker& asker, Random& random, const SaturatedLayer& first,
                           double sigma) {
  const Index m = first.directions.rows();
  const auto k = static_cast<Index>(std::ceil(kOpen * static_cast<double>(m)));
  if (k < 2 || k == m) return 1;
  const double relative =
      sigma > 0 ? std::clamp(std::cbrt(3 * sigma) / 20, kStep, kMostNoisyStep) : kStep;
  // Not the layer's own reach, which a neuron of a small scale makes long for all.
  const double step = relative * reach_of(first.activation);
  const std::vector<Index> open = chosen(random, m, k);
  HostMatrix gradients(0, k);
  for (Index n = std::min(kFirstCorners, k + kSpareCorners);;
       n = std::min(2 * n, k + kSpareCorners)) {
    const HostMatrix more = open_gradients(asker, random, first, open, n - gradients.rows(), step);
    for (Index i = 0; i < more.rows(); ++i) gradients.append_row(more.row(i), k);
    const std::vector<double> values = singular_values(gradients);
    const double chance = sigma / (std::sqrt(2.0) * step) *
                          (std::sqrt(static_cast<double>(n)) + std::sqrt(static_cast<double>(k)));
    const double blur = std::max(kLeastFloor, kTruncation * std::pow(20 * relative, 2));
    const double floor = std::max(blur * values.front(), kNoise * chance);
    const Index rank =
        std::count_if(values.begin(), values.end(), [&](double value) { return value > floor; });
    if (rank + kSpareCorners <= n || n == k + kSpareCorners) return std::max<Index>(rank, 1);
  }
}

}  // namespace crease
