// G, K, FF and S0, on the device; steps from them.
#include "src/stages/eliminated_model.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kFeatureRidge = 1e-13;  // of the mean diagonal of FF
constexpr double kFlat = 1e-3;           // of the mean diagonal of S, in the damping
constexpr double kLeastSine = 1e-6;

/// Row i holds v_i in block i: [k, k q].
HostMatrix block_rows(const HostMatrix& v) {
  const Index k = v.rows();
  const Index q = v.cols();
  HostMatrix rows(k, k * q);
  for (Index i = 0; i < k; ++i) std::copy(v.row(i), v.row(i) + q, rows.row(i) + i * q);
  return rows;
}

}  // namespace

EliminatedModel::EliminatedModel(Device& device, DeviceMatrix normal, HostMatrix seen, double power)
    : device_(&device),
      k_(seen.rows()),
      q_(seen.cols()),
      power_(power),
      normal_(std::move(normal)),
      seen_(std::move(seen)) {}

std::optional<EliminatedModel> EliminatedModel::of_examples(Device& device, Examples& examples,
                                                            const HostMatrix& directions,
                                                            double power, Index rows) {
  const Index k = directions.rows();
  const Index d = directions.cols();
  const Index unknowns = k * d;
  const DeviceMatrix there = upload(device, directions);
  DeviceMatrix normal(device, unknowns, unknowns);
  rows = std::min(rows, examples.rows());
  const Index numbers = unknowns + 2 * k;
  const Index most = std::min(rows, examples.block_rows(numbers, kChunkBytes));
  DeviceMatrix features(device, most, k), slopes(device, most, k);
  DeviceMatrix products(device, most, unknowns);
  double beta = 0;
  const auto add = [&](ConstDeviceView x, ConstDeviceView) {
    const DeviceView z = products.view().row_block(0, x.rows);
    const DeviceView slope = slopes.view().row_block(0, x.rows);
    rectified_features(device, x, there, power, features.view().row_block(0, x.rows), slope);
    row_products(device, slope, x, z);
    gram(device, z, beta, normal);
    beta = 1;
  };
  examples.pass_in_blocks(rows, numbers, add, kChunkBytes);
  symmetrize(device, normal);
  DeviceMatrix scale(device, 1, unknowns);
  fill(device, 1 / static_cast<double>(rows), scale);
  scale_columns(device, scale, normal);
  EliminatedModel model(device, std::move(normal), directions, power);
  if (!model.eliminate()) return std::nullopt;
  return model;
}

std::optional<EliminatedModel> EliminatedModel::of_gaussian(Device& device,
                                                            const HostMatrix& directions) {
  const Index k = directions.rows();
  const Svd parts = svd(directions);  // rows of `right`: an orthonormal basis of the span
  const HostMatrix span = parts.right;
  const HostMatrix w = product(device, directions, Transpose::no, span, Transpose::yes);  // [k, k]
  HostMatrix half(k, k);                                                                  // A
  HostMatrix over(k, k);  // 1 / (2 pi sin t)
  HostMatrix cosine(k, k);
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < k; ++j) {
      cosine(i, j) = std::clamp(dot(w.row(i), w.row(j), k), -1.0, 1.0);
      const double sine = std::sqrt(std::max(1 - cosine(i, j) * cosine(i, j), 0.0));
      half(i, j) = (std::numbers::pi - std::acos(cosine(i, j))) / (2 * std::numbers::pi);
      over(i, j) = 1 / (2 * std::numbers::pi * std::max(sine, kLeastSine));
    }
    half(i, i) = 0.5;
    over(i, i) = 0;
  }
  HostMatrix g(k * k, k * k);
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < k; ++j) {
      const double* a = w.row(i);
      const double* b = w.row(j);
      const double o = over(i, j);
      const double c = cosine(i, j);
      for (Index r = 0; r < k; ++r) {
        for (Index s = 0; s < k; ++s) {
          g(i * k + r, j * k + s) =
              o * (a[r] * b[s] + b[r] * a[s] - c * (a[r] * a[s] + b[r] * b[s]));
        }
        g(i * k + r, j * k + r) += half(i, j);
      }
    }
  }
  EliminatedModel model(device, upload(device, g), w, 1);
  model.span_ = span;
  model.outside_ = std::move(half);
  if (!model.eliminate()) return std::nullopt;
  return model;
}

/// From G to S0.
bool EliminatedModel::eliminate() {
  const Index unknowns = k_ * q_;
  const DeviceMatrix rows = upload(*device_, block_rows(seen_));
  DeviceMatrix coupling(*device_, k_, unknowns), squares(*device_, k_, k_);
  multiply(*device_, rows, Transpose::no, normal_, Transpose::no, 1 / power_, 0.0, coupling);
  multiply(*device_, coupling, Transpose::no, rows, Transpose::yes, 1 / power_, 0.0, squares);
  coupling_ = download(*device_, coupling);
  HostMatrix features = download(*device_, squares);
  double trace = 0;
  for (Index i = 0; i < k_; ++i) trace += features(i, i);
  for (Index i = 0; i < k_; ++i) features(i, i) += kFeatureRidge * trace / static_cast<double>(k_);
  factor_ = features;
  DeviceMatrix factor = upload(*device_, features);
  if (!cholesky(*device_, factor)) return false;
  solve_triangular(*device_, factor, Transpose::no, coupling);
  multiply(*device_, coupling, Transpose::yes, coupling, Transpose::no, -1.0, 1.0, normal_);
  DeviceMatrix on_diagonal(*device_, 1, unknowns);
  crease::diagonal(*device_, normal_, on_diagonal);
  const HostMatrix values = download(*device_, on_diagonal);
  diagonal_.assign(values.data(), values.data() + unknowns);
  return true;
}

HostMatrix EliminatedModel::projected() const {
  return download(*device_, normal_);
}

std::optional<EliminatedModel::Step> EliminatedModel::solve(const HostMatrix& outputs,
                                                            const HostMatrix& gradient_v,
                                                            const HostMatrix& gradient_u,
                                                            double damping) const {
  const Index p = outputs.rows();
  const Index d = gradient_v.cols();
  const Index unknowns = k_ * q_;
  const HostMatrix squares = product(*device_, outputs, Transpose::yes, outputs, Transpose::no);
  // S = (U^T U)_ij S0_ij, and in block (i, i) v_i v_i^T, along which nothing is known: its mean.
  HostMatrix indicator(unknowns, k_);
  HostMatrix shift(1, unknowns);
  std::vector<double> gauge(static_cast<std::size_t>(k_), 0.0);
  double mean = 0;
  for (Index i = 0; i < k_; ++i) {
    for (Index b = 0; b < q_; ++b) {
      const Index at = i * q_ + b;
      indicator(at, i) = 1;
      shift(0, at) = squares(i, i) * diagonal_[static_cast<std::size_t>(at)];
      gauge[static_cast<std::size_t>(i)] += shift(0, at) / static_cast<double>(q_);
      mean += shift(0, at) / static_cast<double>(unknowns);
    }
  }
  for (Index at = 0; at < unknowns; ++at) shift(0, at) = damping * (shift(0, at) + kFlat * mean);
  const DeviceMatrix where = upload(*device_, indicator);
  DeviceMatrix half(*device_, unknowns, k_), system(*device_, unknowns, unknowns);
  multiply(*device_, where, Transpose::no, upload(*device_, squares), Transpose::no, 1.0, 0.0,
           half);
  multiply(*device_, half, Transpose::no, where, Transpose::yes, 1.0, 0.0, system);
  multiply_elements(*device_, normal_, system);
  const DeviceMatrix rows = upload(*device_, block_rows(seen_));
  DeviceMatrix scaled(*device_, k_, unknowns);
  copy(*device_, rows, scaled);
  scale_rows(*device_, upload(*device_, column_view(gauge)), scaled);
  multiply(*device_, rows, Transpose::yes, scaled, Transpose::no, 1.0, 1.0, system);
  add_to_diagonal(*device_, upload(*device_, shift), system);
  if (!cholesky(*device_, system)) return std::nullopt;

  // D0 = gU FF^-1 is the step of U alone; what it changes of the gradient of V: (U^T D0) . K.
  HostMatrix alone = transposed(gradient_u);
  if (!solve_positive(factor_, alone)) return std::nullopt;  // [k, p]
  const HostMatrix seen_gradient =
      span_.empty() ? gradient_v
                    : product(*device_, gradient_v, Transpose::no, span_, Transpose::yes);
  const HostMatrix mixed =
      product(*device_, outputs, Transpose::yes, alone, Transpose::yes);  // U^T D0 [k, k]
  HostMatrix right = seen_gradient;
  for (Index j = 0; j < k_; ++j) {
    for (Index i = 0; i < k_; ++i) {
      for (Index c = 0; c < q_; ++c) right(j, c) -= mixed(j, i) * coupling_(i, j * q_ + c);
    }
  }
  DeviceMatrix solution = upload(*device_, ConstHostView{right.data(), unknowns, 1, 1});
  solve_triangular(*device_, system, Transpose::no, solution);
  solve_triangular(*device_, system, Transpose::yes, solution);
  const HostMatrix flat = download(*device_, solution);
  HostMatrix inside(k_, q_);
  std::copy(flat.data(), flat.data() + unknowns, inside.data());

  Step step;
  step.predicted = dot(right.data(), inside.data(), unknowns);
  // dU = D0 - (U Q) FF^-1, Q_ji = sum_c K_i,(j,c) dV_jc.
  HostMatrix q(k_, k_);
  for (Index j = 0; j < k_; ++j) {
    for (Index i = 0; i < k_; ++i) q(j, i) = dot(coupling_.row(i) + j * q_, inside.row(j), q_);
  }
  HostMatrix change = product(*device_, q, Transpose::yes, outputs, Transpose::yes);  // [k, p]
  if (!solve_positive(factor_, change)) return std::nullopt;
  step.outputs = HostMatrix(p, k_);
  for (Index o = 0; o < p; ++o) {
    for (Index i = 0; i < k_; ++i) step.outputs(o, i) = alone(i, o) - change(i, o);
  }
  if (span_.empty()) {
    step.directions = std::move(inside);
    return step;
  }
  // Outside the span every direction has the same k x k system.
  step.directions = product(*device_, inside, Transpose::no, span_, Transpose::no);
  HostMatrix rest = gradient_v;
  const HostMatrix within = product(*device_, seen_gradient, Transpose::no, span_, Transpose::no);
  for (Index i = 0; i < rest.size(); ++i) rest.data()[i] -= within.data()[i];
  HostMatrix system_outside(k_, k_);
  for (Index i = 0; i < k_; ++i) {
    for (Index j = 0; j < k_; ++j) system_outside(i, j) = squares(i, j) * outside_(i, j);
    system_outside(i, i) *= 1 + damping;
  }
  HostMatrix solved = rest;
  if (!solve_positive(system_outside, solved)) return std::nullopt;
  for (Index i = 0; i < k_; ++i) {
    for (Index j = 0; j < d; ++j) step.directions(i, j) += solved(i, j);
  }
  step.predicted += dot(rest.data(), solved.data(), rest.size());
  return step;
}

}  // namespace crease
