// Planted y = U f(V x), and how far a learned one is off.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/stages/numbers.hpp"
#include "src/stages/rectified_sum.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {

/// Unit rows of V, U of standard normals.
inline RectifiedSum planted_sum(Index p, Index k, Index d, std::uint64_t seed, double power = 1) {
  RectifiedSum sum{normals(k, d, seed), normals(p, k, seed + 100), power};
  for (Index i = 0; i < k; ++i) {
    double* row = sum.directions.row(i);
    const double length = std::sqrt(dot(row, row, d));
    for (Index j = 0; j < d; ++j) row[j] /= length;
  }
  return sum;
}

/// F at the rows of x.
inline HostMatrix values_of(const RectifiedSum& sum, const HostMatrix& x) {
  HostMatrix y(x.rows(), sum.outputs.rows());
  for (Index n = 0; n < x.rows(); ++n) {
    for (Index i = 0; i < sum.neurons(); ++i) {
      const double z = dot(sum.directions.row(i), x.row(n), x.cols());
      if (!(z > 0)) continue;
      const double f = std::pow(z, sum.power);
      for (Index o = 0; o < y.cols(); ++o) y(n, o) += sum.outputs(o, i) * f;
    }
  }
  return y;
}

/// Every direction turned by `angle` in a direction of its own.
inline RectifiedSum turned_by(const RectifiedSum& sum, double angle, std::uint64_t seed) {
  RectifiedSum result = sum;
  const Index d = sum.directions.cols();
  const HostMatrix random = normals(sum.neurons(), d, seed);
  for (Index i = 0; i < sum.neurons(); ++i) {
    const double* v = sum.directions.row(i);
    std::vector<double> t(random.row(i), random.row(i) + d);
    const double along = dot(t.data(), v, d);
    for (Index j = 0; j < d; ++j) t[static_cast<std::size_t>(j)] -= along * v[j];
    t = unit_vector(t);
    for (Index j = 0; j < d; ++j) {
      result.directions(i, j) =
          std::cos(angle) * v[j] + std::sin(angle) * t[static_cast<std::size_t>(j)];
    }
  }
  return result;
}

/// Largest difference of a component of V, or of one of U over the largest of U, neurons matched
/// nearest first; infinity where their numbers differ.
inline double parameter_error(const RectifiedSum& truth, const RectifiedSum& found) {
  const Index k = truth.neurons();
  if (found.neurons() != k) return std::numeric_limits<double>::infinity();
  double largest_output = 0;
  for (Index i = 0; i < truth.outputs.size(); ++i) {
    largest_output = std::max(largest_output, std::fabs(truth.outputs.data()[i]));
  }
  std::vector<bool> taken(static_cast<std::size_t>(k), false);
  double worst = 0;
  for (Index i = 0; i < k; ++i) {
    Index nearest = -1;
    double best = -std::numeric_limits<double>::infinity();
    for (Index j = 0; j < k; ++j) {
      if (taken[static_cast<std::size_t>(j)]) continue;
      const double cosine =
          dot(truth.directions.row(i), found.directions.row(j), truth.directions.cols());
      if (cosine > best) {
        best = cosine;
        nearest = j;
      }
    }
    taken[static_cast<std::size_t>(nearest)] = true;
    for (Index c = 0; c < truth.directions.cols(); ++c) {
      worst = std::max(worst, std::fabs(truth.directions(i, c) - found.directions(nearest, c)));
    }
    for (Index o = 0; o < truth.outputs.rows(); ++o) {
      worst = std::max(worst,
                       std::fabs(truth.outputs(o, i) - found.outputs(o, nearest)) / largest_output);
    }
  }
  return worst;
}

}  // namespace crease
