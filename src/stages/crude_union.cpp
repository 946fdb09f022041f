// The crude neurons of several lines, each counted once.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/stages/crude_neurons.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

// The same neuron: the angle within kSameErrors times both errors, never demanded to be below
// kLeastAngle, never allowed above kSameAngle (a cosine of 0.85).
constexpr double kSameAngle = 0.55;
constexpr double kLeastAngle = 0.05;
constexpr double kSameOffset = 0.5;
constexpr double kSameKink = 1e-3;
constexpr double kSameErrors = 3;
constexpr double kSeenWell = 0.25;
constexpr Index kFewLines = 2;

}  // namespace

void CrudeNeurons::add(const std::vector<double>& plane, const std::vector<double>& scale,
                       double normal_error, double plane_offset_error, Index seen) {
  planes.append_row(plane.data(), static_cast<Index>(plane.size()));
  scales.append_row(scale.data(), static_cast<Index>(scale.size()));
  error.push_back(normal_error);
  offset_error.push_back(plane_offset_error);
  votes.push_back(seen);
}

Index unite(CrudeNeurons& all, const CrudeNeurons& line) {
  const Index before = all.size();
  const Index d = line.planes.cols() - 1;
  std::vector<bool> taken(static_cast<std::size_t>(before), false);
  std::vector<std::size_t> order(line.error.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return line.error[a] < line.error[b]; });
  Index added = 0;
  for (const std::size_t r : order) {
    const double* plane = line.planes.row(static_cast<Index>(r));
    Index same = -1;
    double nearest = std::numeric_limits<double>::infinity();
    for (Index i = 0; i < before; ++i) {
      const auto ii = static_cast<std::size_t>(i);
      if (taken[ii]) continue;
      const double cosine = dot(plane, all.planes.row(i), d);
      const double angle = std::sqrt(std::max(0.0, 2 - 2 * std::abs(cosine)));
      const double errors = std::hypot(line.error[r], all.error[ii]);
      if (angle > std::clamp(kSameErrors * errors, kLeastAngle, kSameAngle)) continue;
      const double apart = std::abs((cosine < 0 ? -1 : 1) * plane[d] - all.planes(i, d));
      const double offset_errors = std::hypot(line.offset_error[r], all.offset_error[ii]);
      // In one input there is nothing but offsets, and they are known well.
      if (apart > (d == 1 ? kSameKink : kSameOffset) + kSameErrors * offset_errors) continue;
      // Of parallel ones the offsets tell which.
      const double distance = std::hypot(angle / std::max(errors, kLeastAngle),
                                         apart / std::max(offset_errors, kLeastAngle));
      if (distance < nearest) {
        nearest = distance;
        same = i;
      }
    }
    if (same < 0) {
      std::vector<double> row(plane, plane + d + 1);
      const double* scale = line.scales.row(static_cast<Index>(r));
      all.add(row, {scale, scale + line.scales.cols()}, line.error[r], line.offset_error[r]);
      ++added;
      continue;
    }
    const auto ss = static_cast<std::size_t>(same);
    taken[ss] = true;
    ++all.votes[ss];
    // The better of two normals, and of two offsets: far out normals are better, near by offsets.
    const double turned = dot(plane, all.planes.row(same), d) < 0 ? -1 : 1;
    if (line.offset_error[r] < all.offset_error[ss]) {
      all.planes(same, d) = turned * plane[d];
      all.offset_error[ss] = line.offset_error[r];
    }
    if (line.error[r] < all.error[ss]) {
      for (Index c = 0; c < d; ++c) all.planes(same, c) = turned * plane[c];
      std::copy_n(line.scales.row(static_cast<Index>(r)), line.scales.cols(), all.scales.row(same));
      all.error[ss] = line.error[r];
    }
  }
  return added;
}

CrudeNeurons trusted(const CrudeNeurons& all, Index lines, bool yes) {
  CrudeNeurons kept;
  for (Index i = 0; i < all.size(); ++i) {
    const auto ii = static_cast<std::size_t>(i);
    const bool seen = all.votes[ii] >= 2 || (lines <= kFewLines && all.error[ii] < kSeenWell);
    if (seen != yes) continue;
    kept.add({all.planes.row(i), all.planes.row(i) + all.planes.cols()},
             {all.scales.row(i), all.scales.row(i) + all.scales.cols()}, all.error[ii],
             all.offset_error[ii], all.votes[ii]);
  }
  return kept;
}

}  // namespace crease
