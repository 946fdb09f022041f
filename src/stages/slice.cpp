// Random slices of the inputs.
#include <cmath>

#include "src/stages/numbers.hpp"
#include "src/stages/slice_lift.hpp"

namespace crease {

std::vector<double> Slice::whole(const std::vector<double>& t) const {
  std::vector<double> x(static_cast<std::size_t>(frame.cols()), 0.0);
  for (Index r = 0; r < frame.rows(); ++r) {
    const double factor = t[static_cast<std::size_t>(r)];
    for (Index i = 0; i < frame.cols(); ++i) {
      x[static_cast<std::size_t>(i)] += factor * frame(r, i);
    }
  }
  return x;
}

Slice random_slice(Random& random, Index m, Index d) {
  require(m >= 1 && m <= d, "random_slice: 1 <= m <= d");
  Slice slice{HostMatrix(0, d), std::sqrt(static_cast<double>(d) / static_cast<double>(m))};
  while (slice.frame.rows() < m) {
    std::vector<double> row = unit_vector(random.normals(d));
    for (int pass = 0; pass < 2; ++pass) {  // once leaves rounding over what was cancelled
      for (Index r = 0; r < slice.frame.rows(); ++r) {
        const double* other = slice.frame.row(r);
        const double along = dot(row.data(), other, d);
        for (Index i = 0; i < d; ++i) row[static_cast<std::size_t>(i)] -= along * other[i];
      }
      const double left = std::sqrt(dot(row, row));
      if (!(left > 0)) break;
      for (double& value : row) value /= left;
    }
    slice.frame.append_row(row.data(), d);
  }
  for (Index i = 0; i < slice.frame.size(); ++i) slice.frame.data()[i] *= slice.stretch;
  return slice;
}

NoiseModel noise_on_slice(NoiseModel noise, const Slice& slice) {
  for (double& value : noise.relative) value *= slice.stretch;
  return noise;
}

}  // namespace crease
