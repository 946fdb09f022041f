// Features, outputs and signs of networks without biases.
#include "src/stages/rectified_sum.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kSignRows = 20000;
constexpr double kSignRidge = 1e-12;  // of the mean diagonal
constexpr double kLeastSlope = 0.05;  // z below which f' of a power below 1 is that at it
constexpr double kSingular = 1e-14;   // of the largest singular value

void divide(HostMatrix& a, Index count) {
  for (Index i = 0; i < a.size(); ++i) a.data()[i] /= static_cast<double>(count);
}

}  // namespace

void rectified_features(Device& device, ConstDeviceView x, ConstDeviceView directions, double power,
                        DeviceView out, DeviceView out_slopes) {
  multiply(device, x, Transpose::no, directions, Transpose::yes, 1.0, 0.0, out);
  if (out_slopes.rows > 0) {
    copy(device, out, out_slopes);
    rectified_slope(device, power, power < 1 ? kLeastSlope : 0.0, out_slopes);
  }
  rectified_power(device, power, out);
}

FeatureMeans feature_means(Device& device, Examples& examples, const HostMatrix& directions,
                           double power, Index rows) {
  const Index k = directions.rows();
  const Index p = examples.outputs();
  FeatureMeans means;
  means.rows = rows > 0 ? std::min(rows, examples.rows()) : examples.rows();
  const DeviceMatrix there = upload(device, directions);
  DeviceMatrix squares(device, k, k), cross(device, p, k), features;
  fill(device, 0.0, squares);
  double beta = 0;
  examples.pass_in_blocks(means.rows, 2 * k, [&](ConstDeviceView x, ConstDeviceView y) {
    if (features.rows() < x.rows) features = DeviceMatrix(device, x.rows, k);
    const DeviceView f = features.view().row_block(0, x.rows);
    rectified_features(device, x, there, power, f);
    gram(device, f, beta, squares);
    multiply(device, y, Transpose::yes, f, Transpose::no, 1.0, beta, cross);
    beta = 1;
  });
  symmetrize(device, squares);
  means.squares = download(device, squares);
  means.cross = download(device, cross);
  divide(means.squares, means.rows);
  divide(means.cross, means.rows);
  return means;
}

HostMatrix best_outputs(const FeatureMeans& means) {
  const Index k = means.squares.rows();
  const Index p = means.cross.rows();
  HostMatrix right(k, p);
  for (Index i = 0; i < k; ++i) {
    for (Index o = 0; o < p; ++o) right(i, o) = means.cross(o, i);
  }
  if (!solve_positive(means.squares, right)) {
    const HostMatrix inverse = pseudo_inverse(means.squares, kSingular);
    for (Index i = 0; i < k; ++i) {
      for (Index o = 0; o < p; ++o) right(i, o) = dot(inverse.row(i), means.cross.row(o), k);
    }
  }
  HostMatrix outputs(p, k);
  for (Index i = 0; i < k; ++i) {
    for (Index o = 0; o < p; ++o) outputs(o, i) = right(i, o);
  }
  return outputs;
}

double relative_residual(Device& device, Examples& examples, const RectifiedSum& network) {
  const Index k = network.neurons();
  const Index p = examples.outputs();
  const DeviceMatrix directions = upload(device, network.directions);
  const DeviceMatrix outputs = upload(device, network.outputs);
  DeviceMatrix features, residual, norms(device, 1, p);
  double left = 0;
  double all = 0;
  const auto add_squares = [&](ConstDeviceView values, double& sum) {
    column_norms(device, values, norms);
    const HostMatrix lengths = download(device, norms);
    for (Index o = 0; o < p; ++o) sum += lengths(0, o) * lengths(0, o);
  };
  examples.pass_in_blocks(examples.rows(), k + 2 * p, [&](ConstDeviceView x, ConstDeviceView y) {
    if (features.rows() < x.rows) {
      features = DeviceMatrix(device, x.rows, k);
      residual = DeviceMatrix(device, x.rows, p);
    }
    const DeviceView f = features.view().row_block(0, x.rows);
    const DeviceView r = residual.view().row_block(0, x.rows);
    rectified_features(device, x, directions, network.power, f);
    copy(device, y, r);
    multiply(device, f, Transpose::no, outputs, Transpose::yes, -1.0, 1.0, r);
    add_squares(r, left);
    add_squares(y, all);
  });
  return all > 0 ? std::sqrt(left / all) : (left > 0 ? 1.0 : 0.0);
}

FixedSigns fix_signs(Device& device, Examples& examples, const HostMatrix& directions,
                     double power) {
  const Index k = directions.rows();
  const Index d = directions.cols();
  HostMatrix both(2 * k, d);
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < d; ++j) {
      both(i, j) = directions(i, j);
      both(k + i, j) = -directions(i, j);
    }
  }
  FeatureMeans means = feature_means(device, examples, both, power, kSignRows);
  double trace = 0;
  for (Index i = 0; i < 2 * k; ++i) trace += means.squares(i, i);
  for (Index i = 0; i < 2 * k; ++i) {
    means.squares(i, i) += kSignRidge * trace / static_cast<double>(2 * k);
  }
  const HostMatrix outputs = best_outputs(means);
  FixedSigns fixed{directions, false};
  for (Index i = 0; i < k; ++i) {
    double as_it_is = 0;
    double turned = 0;
    for (Index o = 0; o < outputs.rows(); ++o) {
      as_it_is += outputs(o, i) * outputs(o, i);
      turned += outputs(o, k + i) * outputs(o, k + i);
    }
    if (!(turned > as_it_is)) continue;
    fixed.changed = true;
    for (Index j = 0; j < d; ++j) fixed.directions(i, j) = -directions(i, j);
  }
  return fixed;
}

}  // namespace crease
