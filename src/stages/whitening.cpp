// Whitening by the sample covariance.
#include "src/stages/whitening.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kRidge = 1e-12;  // of the largest variance: (1e-6)^2

}  // namespace

std::optional<TriangularWhitening> triangular_whitening(Device& device,
                                                        const HostMatrix& covariance) {
  const Index d = covariance.rows();
  DeviceMatrix factor = upload(device, covariance);
  if (!cholesky(device, factor)) return std::nullopt;
  DeviceMatrix inverse = upload(device, identity(d));
  solve_triangular(device, factor, Transpose::no, inverse);
  TriangularWhitening both{download(device, factor), download(device, inverse)};
  for (Index i = 0; i < d; ++i) {
    for (Index j = i + 1; j < d; ++j) both.factor(i, j) = both.inverse(i, j) = 0;
  }
  return both;
}

Whitening::Whitening(Device& device, ConstDeviceView x) {
  const Index n = x.rows;
  const Index d = x.cols;
  require(n >= 1 && d >= 1, "whitening: there must be points");
  require(first_non_finite_row(device, x) < 0, "whitening: the points must be finite");
  DeviceMatrix ones(device, n, 1);
  fill(device, 1.0, ones);
  DeviceMatrix sums(device, 1, d);
  multiply(device, ones, Transpose::yes, x, Transpose::no, -1 / static_cast<double>(n), 0.0, sums);
  const HostMatrix minus = download(device, sums);
  for (Index j = 0; j < d; ++j) mean_.push_back(-minus(0, j));
  DeviceMatrix centred(device, n, d);
  copy(device, x, centred);
  add_row(device, sums, centred);
  DeviceMatrix covariance(device, d, d);
  fill(device, 0.0, covariance);
  gram(device, centred, 0.0, covariance);
  HostMatrix host = download(device, covariance);
  double largest = 0;
  for (Index j = 0; j < d; ++j) {
    for (Index i = 0; i < d; ++i) host(i, j) /= static_cast<double>(n);
    largest = std::max(largest, host(j, j));
  }
  if (!(largest > 0)) largest = 1;  // one point, or the same one again and again
  for (Index j = 0; j < d; ++j) host(j, j) += kRidge * largest;
  std::optional<TriangularWhitening> both = triangular_whitening(device, host);
  require(both.has_value(), "whitening: the points have no covariance");
  factor_ = std::move(both->factor);
  inverse_ = std::move(both->inverse);
}

DeviceMatrix Whitening::points(Device& device, ConstDeviceView x) const {
  const auto d = static_cast<Index>(mean_.size());
  std::vector<double> shift(mean_.size(), 0.0);
  for (Index i = 0; i < d; ++i)
    shift[static_cast<std::size_t>(i)] = -dot(inverse_.row(i), mean_.data(), d);
  DeviceMatrix white(device, x.rows, d);
  const DeviceMatrix inverse = upload(device, inverse_);
  multiply(device, x, Transpose::no, inverse, Transpose::yes, 1.0, 0.0, white);
  add_row(device, upload(device, row_view(shift)), white);
  return white;
}

/// The function of u where the argument is matrix u + shift.
Hyperplanes Whitening::turned(const Hyperplanes& network, const HostMatrix& matrix,
                              const std::vector<double>& shift) const {
  const Index d = network.inputs();
  const auto turn = [&](const double* row) {
    std::vector<double> out(static_cast<std::size_t>(d + 1), 0.0);
    for (Index i = 0; i < d; ++i) {
      for (Index j = 0; j < d; ++j) out[static_cast<std::size_t>(j)] += row[i] * matrix(i, j);
    }
    out.back() = row[d] + dot(row, shift.data(), d);
    return out;
  };
  Hyperplanes result(d, network.outputs());
  for (Index i = 0; i < network.neurons(); ++i) {
    std::vector<double> plane = turn(network.planes.row(i));
    const double offset = plane.back();
    plane.pop_back();
    const double length = std::sqrt(dot(plane, plane));
    result.add(plane, offset);
    for (Index o = 0; o < network.outputs(); ++o) {
      result.scales(i, o) = length * network.scales(i, o);
    }
  }
  for (Index o = 0; o < network.outputs(); ++o) {
    const std::vector<double> row = turn(network.linear.row(o));
    std::copy(row.begin(), row.end(), result.linear.row(o));
  }
  return result;
}

Hyperplanes Whitening::into(const Hyperplanes& of_x) const {
  return turned(of_x, factor_, mean_);
}

Hyperplanes Whitening::back(const Hyperplanes& of_z) const {
  std::vector<double> shift(mean_.size(), 0.0);
  const auto d = static_cast<Index>(mean_.size());
  for (Index i = 0; i < d; ++i) {
    shift[static_cast<std::size_t>(i)] = -dot(inverse_.row(i), mean_.data(), d);
  }
  return turned(of_z, inverse_, shift);
}

}  // namespace crease
