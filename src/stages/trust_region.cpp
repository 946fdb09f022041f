// Ridge solutions, and the ridge that meets a norm bound.
#include "src/stages/trust_region.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/preconditioner.hpp"

namespace crease {
namespace {

constexpr int kMostSteps = 200;
constexpr double kNearRadius = 1e-12;

/// Of all columns together.
double frobenius(Device& device, ConstDeviceView a) {
  DeviceMatrix norms(device, 1, a.cols);
  column_norms(device, a, norms);
  const HostMatrix each = download(device, norms);
  return std::sqrt(dot(each.data(), each.data(), each.size()));
}

}  // namespace

CholeskyRidge::CholeskyRidge(Device& device, ConstDeviceView g, ConstDeviceView right)
    : device_(device), g_(g), right_(right), l_(device, g.rows, g.rows) {
  DeviceMatrix squares(device, g.rows, 1);
  copy(device, ConstDeviceView{g.data, g.rows, 1, g.ld + 1}, squares);
  const HostMatrix on_host = download(device, squares);
  for (Index i = 0; i < on_host.rows(); ++i) trace_ += on_host(i, 0);
}

double CholeskyRidge::smallest() const {
  return 10 * kRounding * trace_;
}

std::optional<DeviceMatrix> CholeskyRidge::solution(double ridge) {
  copy(device_, g_, l_);
  const HostMatrix shift(1, 1, ridge);
  add_row(device_, upload(device_, shift), diagonal(l_));
  if (!cholesky(device_, l_)) return std::nullopt;
  DeviceMatrix z(device_, right_.rows, right_.cols);
  copy(device_, right_, z);
  solve_triangular(device_, l_, Transpose::no, z);
  solve_triangular(device_, l_, Transpose::yes, z);
  return z;
}

std::optional<RidgePath::Point> CholeskyRidge::at(double ridge) {
  std::optional<DeviceMatrix> z = solution(ridge);
  if (!z) return std::nullopt;
  Point point{frobenius(device_, *z), 0};
  solve_triangular(device_, l_, Transpose::no, *z);
  const double image = frobenius(device_, *z);
  point.slope = image * image;
  return point;
}

SvdRidge::SvdRidge(Device& device, DeviceView r, ConstDeviceView right)
    : device_(device), vectors_(device, r.rows, r.rows) {
  const Index q = r.rows;
  DeviceMatrix left_t(device, q, q);
  DeviceMatrix values(device, 1, q);
  const double perturbation = svd(device, r, left_t, values, vectors_);
  DeviceMatrix projected(device, q, right.cols);
  multiply(device, left_t, Transpose::no, right, Transpose::no, 1.0, 0.0, projected);
  projected_ = download(device, projected);
  values_ = download(device, values);
  if (q == 0) return;
  const double cutoff =
      std::max(2 * kRounding * static_cast<double>(q) * values_(0, 0), perturbation);
  while (rank_ < q && values_(0, rank_) > cutoff) ++rank_;
}

double SvdRidge::largest() const {
  return rank_ > 0 ? values_(0, 0) * values_(0, 0) : 0;
}

double SvdRidge::smallest() const {
  return rank_ > 0 ? kRounding * values_(0, rank_ - 1) * values_(0, rank_ - 1) : 0;
}

double SvdRidge::condition() const {
  return rank_ > 0 ? values_(0, 0) / values_(0, rank_ - 1) : 0;
}

std::optional<RidgePath::Point> SvdRidge::at(double ridge) {
  double square = 0;
  double slope = 0;
  for (Index i = 0; i < rank_; ++i) {
    const double s = values_(0, i);
    const double damped = s * s + ridge;
    for (Index o = 0; o < projected_.cols(); ++o) {
      const double part = s / damped * projected_(i, o);
      square += part * part;
      slope += part * part / damped;
    }
  }
  return Point{std::sqrt(square), slope};
}

std::optional<DeviceMatrix> SvdRidge::solution(double ridge) {
  HostMatrix parts(projected_.rows(), projected_.cols());
  for (Index i = 0; i < rank_; ++i) {
    const double s = values_(0, i);
    for (Index o = 0; o < parts.cols(); ++o) {
      parts(i, o) = s / (s * s + ridge) * projected_(i, o);
    }
  }
  DeviceMatrix z(device_, parts.rows(), parts.cols());
  multiply(device_, vectors_, Transpose::yes, upload(device_, parts), Transpose::no, 1.0, 0.0, z);
  return z;
}

double ridge_of(RidgePath& path, double radius) {
  require(radius > 0, "ridge_of: the radius must be above 0");
  double low = 0;                // the norm is above the radius there, or nothing is known
  double high = path.largest();  // and here below
  double ridge = path.smallest();
  if (!(high > 0)) return 0;
  for (int step = 0; step < kMostSteps; ++step) {
    const std::optional<RidgePath::Point> point = path.at(high);
    if (point && point->norm <= radius) break;
    low = high;
    high *= 16;
  }
  ridge = std::max(ridge, low);
  for (int step = 0; step < kMostSteps && low < high * (1 - kNearRadius); ++step) {
    const std::optional<RidgePath::Point> point = path.at(ridge);
    const bool inside = point && point->norm <= radius;
    if (inside && (step == 0 || point->norm >= radius * (1 - kNearRadius))) return ridge;
    (inside ? high : low) = ridge;
    double next = -1;
    if (point && point->slope > 0) {
      // Aims at the middle of the interval that is near enough.
      const double aim = radius * (1 - kNearRadius / 2);
      next = ridge + point->norm * point->norm / point->slope * (point->norm - aim) / aim;
    }
    if (!(next > low && next < high)) {
      next = low > 0 ? std::sqrt(low) * std::sqrt(high) : 1e-3 * high;
    }
    ridge = next;
  }
  return high;
}

std::vector<double> ridges_along(const RidgePath& path) {
  std::vector<double> ridges;
  const double least = std::max(path.smallest(), 1e-16 * path.largest());
  for (double ridge = path.largest(); ridge >= least && ridge > 0; ridge /= 10) {
    ridges.push_back(ridge);
  }
  std::reverse(ridges.begin(), ridges.end());
  return ridges;
}

}  // namespace crease
