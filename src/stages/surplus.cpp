// Second Hermite moments of a residual, and hinges that explain it.
#include "src/stages/surplus.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {

namespace {

constexpr Index kHinges = 64;
constexpr double kExplained = 1e-10;  // of the largest singular value of the features' Gram matrix

/// F' - y: signs do not count.
using Residual = std::function<void(ConstDeviceView x, ConstDeviceView y, DeviceView r)>;

double surplus_of_moments(Device& device, Examples& examples, const DeviceMatrix& turn,
                          const Residual& residual, Index rows) {
  const Index m = turn.rows();
  const Index p = examples.outputs();
  DeviceMatrix sums(device, p, m * m), squares(device, p, p), totals(device, p, 1);
  fill(device, 0.0, squares);
  double beta = 0;
  const auto add = [&](ConstDeviceView x, ConstDeviceView y) {
    DeviceMatrix r(device, x.rows, p), z(device, x.rows, m);
    DeviceMatrix pairs(device, x.rows, m * m), ones(device, x.rows, 1);
    residual(x, y, r);
    multiply(device, x, Transpose::no, turn, Transpose::yes, 1.0, 0.0, z);
    row_products(device, z, z, pairs);
    fill(device, 1.0, ones);
    multiply(device, r, Transpose::yes, pairs, Transpose::no, 1.0, beta, sums);
    multiply(device, r, Transpose::yes, ones, Transpose::no, 1.0, beta, totals);
    gram(device, r, beta, squares);
    beta = 1;
  };
  examples.pass_in_blocks(rows, m * m + 2 * m + 2 * p, add);
  const HostMatrix pair = download(device, sums);
  const HostMatrix square = download(device, squares);
  const HostMatrix total = download(device, totals);
  const auto n = static_cast<double>(rows);
  double sum = 0;
  for (Index o = 0; o < p; ++o) {
    const double mean = total(o, 0) / n;
    const double deviation = std::sqrt(std::max(square(o, o) / n - mean * mean, 1e-300));
    for (Index a = 0; a < m; ++a) {
      for (Index b = 0; b < a; ++b) sum += std::pow(pair(o, a * m + b) / deviation, 2) / n;
      sum += std::pow((pair(o, a * m + a) - total(o, 0)) / deviation, 2) / (2 * n);
    }
  }
  const auto count = static_cast<double>(p * m * (m + 1) / 2);
  return (sum / count - 1) * std::sqrt(count / 2);
}

double surplus_of_hinges(Device& device, Examples& examples, const HostMatrix& span,
                         const Residual& residual, Random& random, Index rows) {
  const Index m = span.rows();
  const Index d = span.cols();
  const Index p = examples.outputs();
  HostMatrix directions(0, d);
  for (Index j = 0; j < kHinges; ++j) {
    const std::vector<double> along = unit_vector(random.normals(m));
    std::vector<double> row(static_cast<std::size_t>(d), 0.0);
    for (Index a = 0; a < m; ++a) {
      for (Index c = 0; c < d; ++c) {
        row[static_cast<std::size_t>(c)] += along[static_cast<std::size_t>(a)] * span(a, c);
      }
    }
    directions.append_row(row.data(), d);
  }
  const DeviceMatrix along = upload(device, directions);
  const Index width = kHinges + p;  // features, then the residual
  DeviceMatrix squares(device, width, width);
  fill(device, 0.0, squares);
  double beta = 0;
  const auto add = [&](ConstDeviceView x, ConstDeviceView y) {
    DeviceMatrix both(device, x.rows, width);
    const DeviceView features = both.view().col_block(0, kHinges);
    multiply(device, x, Transpose::no, along, Transpose::yes, 1.0, 0.0, features);
    absolute(device, features);
    residual(x, y, both.view().col_block(kHinges, p));
    gram(device, both, beta, squares);
    beta = 1;
  };
  examples.pass_in_blocks(rows, 2 * width, add);
  const HostMatrix sums = download(device, squares);
  HostMatrix features(kHinges, kHinges);
  for (Index i = 0; i < kHinges; ++i) {
    for (Index j = 0; j < kHinges; ++j) features(i, j) = sums(std::max(i, j), std::min(i, j));
  }
  // In few dimensions hinges are nearly dependent: those that count are the degrees of freedom.
  const SymmetricEigen eigen = symmetric_eigen(std::move(features));
  double sum = 0;
  double count = 0;
  for (Index e = 0; e < kHinges; ++e) {
    const double value = eigen.values[static_cast<std::size_t>(e)];
    if (!(value > kExplained * eigen.values.back())) continue;
    for (Index o = 0; o < p; ++o) {
      const double all = sums(kHinges + o, kHinges + o);
      if (!(all > 0)) continue;
      const double along_it = dot(eigen.vectors.row(e), sums.row(kHinges + o), kHinges);
      sum += along_it * along_it / value / all * static_cast<double>(rows);
      count += 1;
    }
  }
  return count > 0 ? (sum - count) / std::sqrt(2 * count) : 0;
}

}  // namespace

double residual_surplus(Device& device, Examples& examples, const HostMatrix& span,
                        const Predict& predict, Random& random, Index rows,
                        const std::vector<double>& cuts) {
  require(span.cols() == examples.inputs(), "residual_surplus: the span must be as wide as x");
  require(cuts.empty() || static_cast<Index>(cuts.size()) == examples.outputs(),
          "residual_surplus: one cut an output");
  if (span.rows() == 0) return 0;
  const DeviceMatrix bounds = cuts.empty() ? DeviceMatrix() : upload(device, row_view(cuts));
  const Residual residual = [&](ConstDeviceView x, ConstDeviceView y, DeviceView r) {
    predict(x, r);
    subtract(device, y, r);
    if (!bounds.empty()) drop_beyond(device, bounds, r);
  };
  const Index count = rows > 0 ? std::min(rows, examples.rows()) : examples.rows();
  return std::max(surplus_of_moments(device, examples, upload(device, span), residual, count),
                  surplus_of_hinges(device, examples, span, residual, random, count));
}

}  // namespace crease
