// Second Hermite moments of a residual.
#include "src/stages/surplus.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"

namespace crease {

double surplus_moments(Device& device, Examples& examples, const HostMatrix& span,
                       const Predict& predict, Index rows) {
  const Index m = span.rows();
  const Index p = examples.outputs();
  require(span.cols() == examples.inputs(), "surplus_moments: the span must be as wide as x");
  if (m == 0) return 0;
  const DeviceMatrix turn = upload(device, span);
  DeviceMatrix sums(device, p, m * m), squares(device, p, p), totals(device, p, 1);
  fill(device, 0.0, squares);
  double beta = 0;
  const auto add = [&](ConstDeviceView x, ConstDeviceView y) {
    DeviceMatrix r(device, x.rows, p), z(device, x.rows, m);
    DeviceMatrix pairs(device, x.rows, m * m), ones(device, x.rows, 1);
    predict(x, r);
    subtract(device, y, r);  // F' - y: its sign does not count
    multiply(device, x, Transpose::no, turn, Transpose::yes, 1.0, 0.0, z);
    row_products(device, z, z, pairs);
    fill(device, 1.0, ones);
    multiply(device, r, Transpose::yes, pairs, Transpose::no, 1.0, beta, sums);
    multiply(device, r, Transpose::yes, ones, Transpose::no, 1.0, beta, totals);
    gram(device, r, beta, squares);
    beta = 1;
  };
  const Index count_rows = rows > 0 ? std::min(rows, examples.rows()) : examples.rows();
  examples.pass_in_blocks(count_rows, m * m + 2 * m + 2 * p, add);
  const HostMatrix pair = download(device, sums);
  const HostMatrix square = download(device, squares);
  const HostMatrix total = download(device, totals);
  const auto n = static_cast<double>(count_rows);
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

}  // namespace crease
