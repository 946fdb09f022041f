// Small vectors on the host: dot products, medians, spreads, views of a std::vector.
#pragma once

#include <crease/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace crease {

inline constexpr double kRounding = 0x1p-53;  // relative error of one float64 operation

inline double dot(const double* a, const double* b, Index n) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return dot(a.data(), b.data(), static_cast<Index>(std::min(a.size(), b.size())));
}

/// v / |v|; v is not zero.
inline std::vector<double> unit_vector(std::vector<double> v) {
  const double norm = std::sqrt(dot(v, v));
  for (double& value : v) value /= norm;
  return v;
}

/// The mean of the two middle values for an even count; 0 for none.
inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

/// Mean, standard deviation and root mean square of all numbers; zero for none.
struct Spread {
  double mean = 0;
  double deviation = 0;
  double size = 0;
};

inline Spread spread_of(const HostMatrix& values) {
  const auto n = static_cast<double>(std::max<Index>(1, values.size()));
  Spread spread;
  for (Index i = 0; i < values.size(); ++i) spread.mean += values.data()[i] / n;
  double square = 0;
  for (Index i = 0; i < values.size(); ++i) square += std::pow(values.data()[i] - spread.mean, 2);
  spread.deviation = std::sqrt(square / n);
  spread.size = std::hypot(spread.mean, spread.deviation);
  return spread;
}

/// The deviation of errors by their sizes, gross ones among them: the 80 % quantile over 1.28, what
/// it is of |g|, g ~ N(0, 1). Not the median: half of the points do not see a given neuron, and
/// agree whatever it is.
inline double robust_deviation(std::vector<double> sizes) {
  if (sizes.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(0.8 * static_cast<double>(sizes.size() - 1));
  std::nth_element(sizes.begin(), sizes.begin() + rank, sizes.end());
  return sizes[static_cast<std::size_t>(rank)] / 1.2815515655446004;
}

inline ConstHostView row_view(const std::vector<double>& v) {
  const auto n = static_cast<Index>(v.size());
  return {v.data(), 1, n, n};
}

inline ConstHostView column_view(const std::vector<double>& v) {
  return {v.data(), static_cast<Index>(v.size()), 1, 1};
}

}  // namespace crease
