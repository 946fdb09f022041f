// The norm bound of equation (7): ridge solutions, and the ridge that meets a bound.
#pragma once

#include <optional>
#include <vector>

#include "src/stages/lsqr.hpp"

namespace crease {

/// z(ridge) = argmin |Z z - y|^2 + ridge |z|^2 for ridge > 0. |z(ridge)| falls as ridge grows.
class RidgePath {
 public:
  RidgePath() = default;
  virtual ~RidgePath() = default;
  RidgePath(const RidgePath&) = delete;
  RidgePath& operator=(const RidgePath&) = delete;

  /// A ridge above which everything is damped, about |Z|^2, and the least that can be told from 0.
  virtual double largest() const = 0;
  virtual double smallest() const = 0;

  struct Point {
    double norm;   // |z|, over all outputs
    double slope;  // <z, (Z^T Z + ridge I)^-1 z> = -d(norm^2) / d(ridge) / 2
  };
  /// None where ridge is too small for the factorization.
  virtual std::optional<Point> at(double ridge) = 0;

  virtual std::optional<DeviceMatrix> solution(double ridge) = 0;  // [q, p]
};

/// From the Gram matrix: one Cholesky factorization per ridge. g [q, q] lower triangle, 0 above;
/// right = Z^T y [q, p]. Backward stable for the normal equations.
class CholeskyRidge final : public RidgePath {
 public:
  CholeskyRidge(Device& device, ConstDeviceView g, ConstDeviceView right);
  double largest() const override { return trace_; }
  double smallest() const override;
  std::optional<Point> at(double ridge) override;
  std::optional<DeviceMatrix> solution(double ridge) override;

  /// The factor of the last ridge that was asked for.
  ConstDeviceView factor() const { return l_; }

 private:
  Device& device_;
  ConstDeviceView g_;
  ConstDeviceView right_;
  DeviceMatrix l_;
  double trace_ = 0;
};

/// From the singular values of a triangular factor of Z: any ridge at no cost. r [q, q] is used up,
/// right [q, p] with |Z z - y|^2 = |r z - right|^2 + a constant.
class SvdRidge final : public RidgePath {
 public:
  SvdRidge(Device& device, DeviceView r, ConstDeviceView right);
  double largest() const override;
  double smallest() const override;
  std::optional<Point> at(double ridge) override;
  /// Also for ridge = 0: the solution of minimum norm.
  std::optional<DeviceMatrix> solution(double ridge) override;

  Index rank() const { return rank_; }
  double condition() const;

 private:
  Device& device_;
  DeviceMatrix vectors_;  // [q, q], rows are right singular vectors
  HostMatrix values_;     // [1, q]
  HostMatrix projected_;  // left singular vectors against y, [q, p]
  Index rank_ = 0;
};

/// The ridge with |z(ridge)| = radius to a part in 1e12, or smallest() where the norm is below the
/// radius there already; by Newton steps on 1 / |z| - 1 / radius, which is concave in the ridge
/// (More and Sorensen 1983), within a bracket.
double ridge_of(RidgePath& path, double radius);

/// Ridges from smallest() up to largest(), by factors of 10.
std::vector<double> ridges_along(const RidgePath& path);

}  // namespace crease
