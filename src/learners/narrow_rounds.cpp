// Rounds of the narrow learner: other neurons, one neuron as two, all of them a little aside.
#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/learners/narrow_search.hpp"
#include "src/small_dense.hpp"
#include "src/stages/neuron_proposals.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kGuides = 2;              // neurons whose own fourth moments are looked at
constexpr Index kResidualDirections = 3;  // of the residual's span ...
constexpr double kResidualWeight = 0.5;   // ... after those of the neurons
constexpr double kJitter = 0.3;
constexpr int kMostHalvings = 7;  // of the window that shows the two halves of a neuron
constexpr std::size_t kBestOfRound = 2;
constexpr double kImproved = 0.99;

Index any_of(Index count, Random& random) {
  return std::min(count - 1, static_cast<Index>(random.uniform(0, static_cast<double>(count))));
}

void put(const std::vector<double>& row, Index at, HostMatrix& rows) {
  std::copy(row.begin(), row.end(), rows.row(at));
}

/// Other neurons for those marked, or, where none is, for one or two of them.
HostMatrix swapped(Device& device, ConstDeviceView z, ConstDeviceView r, const HostMatrix& seen,
                   std::vector<bool> out, int count, Random& random) {
  for (int c = 0; c < count; ++c) {
    out[static_cast<std::size_t>(any_of(seen.rows(), random))] = true;
  }
  HostMatrix kept(0, seen.cols());
  for (Index i = 0; i < seen.rows(); ++i) {
    if (!out[static_cast<std::size_t>(i)]) kept.append_row(seen.row(i), seen.cols());
  }
  return matched_neurons(device, z, r, kept, seen.rows() - kept.rows(), random);
}

/// One neuron as two, in place of one of the closest two.
HostMatrix split(Device& device, ConstDeviceView z, ConstDeviceView left, const HostMatrix& seen,
                 Random& random) {
  const Index k = seen.rows();
  Index a = 0, b = 1;
  double closest = -1;
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < i; ++j) {
      const double cosine = std::fabs(dot(seen.row(i), seen.row(j), seen.cols()));
      if (cosine <= closest) continue;
      closest = cosine;
      a = j;
      b = i;
    }
  }
  const Index one = any_of(k, random);
  const double width = std::ldexp(1.0, -1 - static_cast<int>(any_of(kMostHalvings, random)));
  const HostMatrix halves = split_neuron(device, z, left, seen.row(one), width);
  HostMatrix directions = seen;
  std::copy(halves.row(0), halves.row(0) + seen.cols(), directions.row(one));
  std::copy(halves.row(1), halves.row(1) + seen.cols(), directions.row(b != one ? b : a));
  return directions;
}

/// All of them a little aside, one of them anywhere.
HostMatrix jittered(const HostMatrix& seen, Random& random) {
  const Index m = seen.cols();
  HostMatrix directions = seen;
  for (Index i = 0; i < seen.rows(); ++i) {
    const std::vector<double> aside = random.normals(m);
    std::vector<double> row(seen.row(i), seen.row(i) + m);
    for (Index j = 0; j < m; ++j) {
      row[static_cast<std::size_t>(j)] +=
          kJitter / std::sqrt(static_cast<double>(m)) * aside[static_cast<std::size_t>(j)];
    }
    put(unit_vector(row), i, directions);
  }
  put(unit_vector(random.normals(m)), any_of(seen.rows(), random), directions);
  return directions;
}

}  // namespace

/// Of the best network's neurons and what its residual shows besides.
NarrowSearch::Few NarrowSearch::few_of_best() {
  const Hyperplanes& network = best_.network;
  const Index k = network.neurons();
  HostMatrix guides(0, dims_), both(0, dims_);
  for (Index i = 0; i < k; ++i) {
    const std::vector<double> row(network.planes.row(i), network.planes.row(i) + dims_);
    both.append_row(row.data(), dims_);
    if (i < kGuides && dot(row, row) > 0) guides.append_row(unit_vector(row).data(), dims_);
  }
  const HermiteSpan shown = span_of(network, std::min(dims_, k + kSpare), guides);
  for (Index i = 0; i < std::min(kResidualDirections, shown.basis.rows()); ++i) {
    std::vector<double> row(shown.basis.row(i), shown.basis.row(i) + dims_);
    for (double& value : row) value *= kResidualWeight;
    both.append_row(row.data(), dims_);
  }
  const HostMatrix right = svd(std::move(both)).right;
  HostMatrix span(0, dims_);
  for (Index i = 0; i < std::min({right.rows(), dims_, k + kResidualDirections}); ++i) {
    span.append_row(right.row(i), dims_);
  }
  // Less the network's own linear part: the one by least squares has an error of order sqrt(d / n).
  return few(full_basis(span), {network.linear.row(0), network.linear.row(0) + inputs_});
}

/// What the residual of the best network shows; false where it did not help.
bool NarrowSearch::next_round(Index k) {
  const Hyperplanes& network = best_.network;
  if (network.neurons() != k || k == 0) return false;
  const Few coordinates = few_of_best();
  const HostMatrix seen = seen_in(coordinates.basis);
  const Index m = seen.cols();
  Index weakest = 0;
  for (Index i = 0; i < k; ++i) {
    if (std::fabs(network.scales(i, 0)) < std::fabs(network.scales(weakest, 0))) weakest = i;
  }
  DeviceMatrix left(device_, coordinates.z.rows(), 1);  // F' - y: signs do not count
  const FitRows first = rows(left.rows());
  evaluate(device_, network, first.x, run_.control().budget.device_bytes / 4, left);
  subtract(device_, first.y, left);

  const Index matched = std::min(kMatchRows, coordinates.z.rows());
  const ConstDeviceView some_z = coordinates.z.view().row_block(0, matched);
  const ConstDeviceView some_r = coordinates.r.view().row_block(0, matched);
  std::vector<std::pair<double, HostMatrix>> found;
  for (int s = 0; s < plan_.starts; ++s) {
    run_.end_where_asked();
    HostMatrix directions;
    if (s % 3 == 0) {
      std::vector<bool> out(static_cast<std::size_t>(k), false);
      out[static_cast<std::size_t>(weakest)] = s == 0;
      directions = swapped(device_, some_z, some_r, seen, std::move(out),
                           s == 0 ? 0 : 1 + (s / 3) % 2, run_.random());
    } else if (s % 3 == 1 && k > 1) {
      directions = split(device_, coordinates.z, left, seen, run_.random());
    } else {
      directions = jittered(seen, run_.random());
    }
    const HyperplaneFit fit = fit_few(coordinates, kFewRows, m, directions);
    found.emplace_back(fit.rms, fit.network.planes);
  }
  std::sort(found.begin(), found.end(),
            [](const auto& one, const auto& other) { return one.first < other.first; });
  const double before = best_.error;
  for (std::size_t i = 0; i < std::min(kBestOfRound, found.size()); ++i) {
    run_.end_where_asked();
    take(fitted(lifted(found[i].second, coordinates.basis), plan_.fit_steps, kFoundTurn), k);
    if (best_.error < accuracy_) break;
  }
  return best_.error < kImproved * before;
}

}  // namespace crease
