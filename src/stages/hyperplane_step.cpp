// Steps of all hyperplanes at once.
#include "src/stages/hyperplane_step.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/preconditioner.hpp"

namespace crease {
namespace {

constexpr double kDenseRidge = 1e-9;  // of n: duplicates and the freedom of scale stay solvable
constexpr double kFloor = 1e-3;       // of the preconditioner's eigenvalues
constexpr Index kSignRows = 20000;    // enough to know E S_i S_j to 1 %

DeviceView flat(DeviceMatrix& a) {
  return {a.view().data, a.size(), 1, 1};
}

double mean_of(double sum, Index count) {
  return sum / static_cast<double>(count);
}

}  // namespace

HyperplaneStep::HyperplaneStep(Device& device, const ScaleSolver& solver,
                               const ScaleSolver::Solution& at, const HyperplaneFitPlan& plan)
    : device_(device),
      solver_(solver),
      at_(at),
      plan_(plan),
      neurons_(at.network.neurons()),
      outputs_(at.network.outputs()),
      hinges_(neurons_ + outputs_),
      inputs1_(at.network.inputs() + 1),
      width_(inputs1_ + (outputs_ > 1 ? outputs_ : 0)),
      dense_(hinges_ * width_ <= plan.dense_unknowns),
      planes_(upload(device, at.network.planes)),
      host_directions_(neurons_, outputs_, 1.0 / std::sqrt(static_cast<double>(outputs_))),
      rms_(std::sqrt(at.mean_square)) {
  if (outputs_ > 1) {
    for (Index i = 0; i < neurons_; ++i) {
      const double* scale = at.network.scales.row(i);
      const double size = std::sqrt(dot(scale, scale, outputs_));
      if (!(size > 0)) continue;
      for (Index o = 0; o < outputs_; ++o) host_directions_(i, o) = scale[o] / size;
    }
  }
  directions_ = upload(device, host_directions_);
  right_ = DeviceMatrix(device, hinges_ * width_, 1);
  if (dense_) {
    prepare_dense();
  } else {
    prepare_iterations();
  }
}

void HyperplaneStep::prepare_dense() {
  const Index unknowns = hinges_ * width_;
  const ConstDeviceView x = solver_.rows().x;
  const Index row_bytes = (unknowns + neurons_) * kDoubleBytes;
  const Index chunk = std::clamp<Index>(solver_.chunk_bytes() / row_bytes, 1, x.rows);
  DeviceMatrix rows(device_, chunk, unknowns);
  DeviceMatrix z(device_, chunk, neurons_);
  HostMatrix offsets(1, neurons_);
  for (Index i = 0; i < neurons_; ++i) offsets(0, i) = at_.network.planes(i, inputs1_ - 1);
  const DeviceMatrix offset_row = upload(device_, offsets);
  normal_ = DeviceMatrix(device_, unknowns, unknowns);
  fill(device_, 0.0, normal_);
  fill(device_, 0.0, right_);
  for (Index top = 0; top < x.rows; top += chunk) {
    const Index count = std::min(chunk, x.rows - top);
    const ConstDeviceView points = x.row_block(top, count);
    const DeviceView values = z.view().row_block(0, count);
    const DeviceView block = rows.view().row_block(0, count);
    multiply(device_, points, Transpose::no, planes_.view().col_block(0, inputs1_ - 1),
             Transpose::yes, 1.0, 0.0, values);
    add_row(device_, offset_row, values);
    for (Index o = 0; o < outputs_; ++o) {
      hinge_jacobian_rows(device_, values, points, directions_, o, block);
      if (!solver_.rows().offsets) {
        fill(device_, 0.0,
             DeviceView{block.data, count * hinges_, width_, width_}.col_block(inputs1_ - 1, 1));
      }
      solver_.weigh(top, o, block);
      gram(device_, block, 1.0, normal_);
      multiply(device_, block, Transpose::yes,
               at_.residual.view().col_block(o, 1).row_block(top, count), Transpose::no, 1.0, 1.0,
               right_);
    }
  }
}

void HyperplaneStep::prepare_iterations() {
  const ConstDeviceView x = solver_.rows().x;
  // In single precision: the points and, for several outputs, the features.
  const Index held =
      x.rows * (inputs1_ + (outputs_ > 1 ? neurons_ : 0)) * static_cast<Index>(sizeof(float));
  jacobian_ = linearize_hinges(device_, x, planes_, directions_, solver_.rows().weights,
                               held <= plan_.most_bytes);
  const double scale = rms_ > 0 ? 1 / rms_ : 1.0;
  jacobian_->back_product(at_.residual, scale, {right_.view().data, hinges_, width_, width_});

  const Index rows = std::min(x.rows, std::max(4 * (neurons_ + 1), kSignRows));
  DeviceMatrix signs(device_, neurons_ + 1, neurons_ + 1);
  jacobian_->sign_gram(rows, signs);
  const HostMatrix sums = download(device_, signs);
  plane_gram_ = HostMatrix(hinges_, hinges_);
  for (Index i = 0; i < neurons_; ++i) {
    for (Index j = 0; j <= i; ++j) {
      plane_gram_(i, j) = mean_of(sums(i, j), rows) *
                          dot(host_directions_.row(i), host_directions_.row(j), outputs_);
      plane_gram_(j, i) = plane_gram_(i, j);
    }
    for (Index o = 0; o < outputs_; ++o) {
      plane_gram_(neurons_ + o, i) = mean_of(sums(neurons_, i), rows) * host_directions_(i, o);
      plane_gram_(i, neurons_ + o) = plane_gram_(neurons_ + o, i);
    }
  }
  for (Index o = 0; o < outputs_; ++o) plane_gram_(neurons_ + o, neurons_ + o) = 1;
  if (outputs_ == 1) return;
  const HostMatrix gram = download(device_, at_.gram);
  scale_gram_ = HostMatrix(neurons_, neurons_);
  for (Index i = 0; i < neurons_; ++i) {
    for (Index j = 0; j <= i; ++j) {
      scale_gram_(i, j) = gram(i, j) / mass();
      scale_gram_(j, i) = scale_gram_(i, j);
    }
  }
}

double HyperplaneStep::mass() const {
  return static_cast<double>(solver_.rows().x.rows) * solver_.mean_weight();
}

std::optional<HyperplaneStep::Step> HyperplaneStep::solve(const std::vector<double>& damping,
                                                          double tolerance, Index most_iterations) {
  require(static_cast<Index>(damping.size()) == hinges_, "hyperplane step: one damping per row");
  return dense_ ? solve_dense(damping) : solve_iterations(damping, tolerance, most_iterations);
}

/// `change` is in units of `unit`.
HyperplaneStep::Step HyperplaneStep::finished(const DeviceMatrix& change,
                                              const std::vector<double>& damping, double unit) {
  // |r - J u|^2 = |r|^2 - <J^T r, u> - sum of damping |u|^2, where u solves the damped equations
  // (or minimises over a Krylov space that began at 0).
  DeviceMatrix product(device_, 1, 1);
  const ConstDeviceView column{change.view().data, change.size(), 1, 1};
  multiply(device_, right_, Transpose::yes, column, Transpose::no, 1.0, 0.0, product);
  Step step;
  step.change = download(device_, change);
  double gain = download(device_, product)(0, 0);
  for (Index i = 0; i < hinges_; ++i) {
    const double* row = step.change.row(i);
    gain += mass() * damping[static_cast<std::size_t>(i)] * dot(row, row, width_);
  }
  for (Index i = 0; i < step.change.size(); ++i) step.change.data()[i] *= unit;
  step.predicted =
      std::max(0.0, at_.mean_square -
                        gain * unit * unit / static_cast<double>(solver_.rows().x.rows * outputs_));
  return step;
}

std::optional<HyperplaneStep::Step> HyperplaneStep::solve_dense(
    const std::vector<double>& damping) {
  const Index unknowns = hinges_ * width_;
  DeviceMatrix factor(device_, unknowns, unknowns);
  copy(device_, normal_, factor);
  HostMatrix shifts(unknowns, 1);
  for (Index u = 0; u < unknowns; ++u) {
    shifts(u, 0) = (damping[static_cast<std::size_t>(u / width_)] + kDenseRidge) * mass();
  }
  const DeviceMatrix shifts_there = upload(device_, shifts);
  DeviceMatrix one(device_, 1, 1);
  fill(device_, 1.0, one);
  add_scaled(device_, 1.0, one, shifts_there, diagonal(factor));
  if (!cholesky(device_, factor)) return std::nullopt;
  DeviceMatrix change(device_, hinges_, width_);
  copy(device_, right_, flat(change));
  solve_triangular(device_, factor, Transpose::no, flat(change));
  solve_triangular(device_, factor, Transpose::yes, flat(change));
  return finished(change, damping, 1.0);
}

/// ((gram + diag(shifts)) mass)^-1; gram is symmetric.
std::optional<DeviceMatrix> HyperplaneStep::inverse(const HostMatrix& gram,
                                                    const std::vector<double>& shifts) {
  const Index q = gram.rows();
  HostMatrix shifted = gram;
  HostMatrix unit = identity(q);
  for (Index i = 0; i < q; ++i) {
    shifted(i, i) += kFloor + shifts[static_cast<std::size_t>(i)];
  }
  DeviceMatrix factor = upload(device_, shifted);
  if (!cholesky(device_, factor)) return std::nullopt;
  DeviceMatrix half = upload(device_, unit);
  solve_triangular(device_, factor, Transpose::no, half);
  multiply(device_, half, Transpose::yes, half, Transpose::no, 1 / mass(), 0.0, factor);
  return factor;
}

std::optional<HyperplaneStep::Step> HyperplaneStep::solve_iterations(
    const std::vector<double>& damping, double tolerance, Index most_iterations) {
  const std::optional<DeviceMatrix> planes = inverse(plane_gram_, damping);
  if (!planes) return std::nullopt;
  std::optional<DeviceMatrix> scales;
  if (outputs_ > 1) {
    scales = inverse(scale_gram_, damping);
    if (!scales) return std::nullopt;
  }
  std::vector<double> shift_values;
  for (const double value : damping) shift_values.push_back(value * mass());
  const DeviceMatrix shifts = upload(device_, column_view(shift_values));
  DeviceMatrix change(device_, hinges_, width_);
  DeviceMatrix rest(device_, hinges_, width_);
  DeviceMatrix turned(device_, hinges_, width_);
  DeviceMatrix direction(device_, hinges_, width_);
  DeviceMatrix image(device_, hinges_, width_);
  DeviceMatrix state(device_, kCgRows, 1);
  DeviceMatrix one(device_, 1, 1);
  fill(device_, 1.0, one);
  fill(device_, 0.0, change);
  fill(device_, 0.0, turned);
  fill(device_, 0.0, state);
  const auto row = [&](CgRow which) {
    return state.view().row_block(static_cast<Index>(which), 1);
  };
  const auto precondition = [&] {
    multiply(device_, *planes, Transpose::no, rest.view().col_block(0, inputs1_), Transpose::no,
             1.0, 0.0, turned.view().col_block(0, inputs1_));
    // Search directions without offsets: the iteration is that of the equations without them.
    if (!solver_.rows().offsets) {
      fill(device_, 0.0, turned.view().col_block(inputs1_ - 1, 1));
    }
    if (!scales) return;
    multiply(device_, *scales, Transpose::no,
             rest.view().row_block(0, neurons_).col_block(inputs1_, outputs_), Transpose::no, 1.0,
             0.0, turned.view().row_block(0, neurons_).col_block(inputs1_, outputs_));
  };
  const auto inner = [&](DeviceMatrix& a, DeviceMatrix& b, CgRow into) {
    multiply(device_, flat(a), Transpose::yes, flat(b), Transpose::no, 1.0, 0.0, row(into));
  };
  copy(device_, right_, flat(rest));
  precondition();
  copy(device_, turned, direction);
  inner(rest, turned, CgRow::product);
  cg_begin(device_, tolerance, state);
  const auto iteration = record(device_, [&] {
    jacobian_->normal_product(direction, shifts, image);
    inner(direction, image, CgRow::curvature);
    cg_step(device_, state);
    add_scaled(device_, 1.0, row(CgRow::step), flat(direction), flat(change));
    add_scaled(device_, 1.0, row(CgRow::minus_step), flat(image), flat(rest));
    precondition();
    inner(rest, turned, CgRow::next);
    cg_turn(device_, state);
    scale_columns(device_, row(CgRow::ratio), flat(direction));
    add_scaled(device_, 1.0, one, flat(turned), flat(direction));
  });
  Index iterations = 0;
  const auto running = [&] { return download(device_, row(CgRow::running))(0, 0) != 0; };
  while (iterations < most_iterations && running()) {
    iteration->replay();
    ++iterations;
  }
  Step step = finished(change, damping, rms_ > 0 ? rms_ : 1.0);
  step.cg_iterations = iterations;
  return step;
}

HostMatrix moved_planes(const Hyperplanes& at, const HostMatrix& change) {
  const Index d = at.inputs();
  const Index p = at.outputs();
  HostMatrix planes = at.planes;
  std::vector<double> moved(static_cast<std::size_t>(d + 1));
  for (Index i = 0; i < at.neurons(); ++i) {
    const double* plane = at.planes.row(i);
    const double* scale = at.scales.row(i);
    const double size = p == 1 ? scale[0] : std::sqrt(dot(scale, scale, p));
    for (Index j = 0; j <= d; ++j) {
      moved[static_cast<std::size_t>(j)] = size * plane[j] + change(i, j);
    }
    const double length = std::sqrt(dot(moved.data(), moved.data(), d));
    if (!(length > 1e-12 * std::fabs(size)) || !std::isfinite(length)) continue;
    const double factor = (dot(moved.data(), plane, d) < 0 ? -1 : 1) / length;
    for (Index j = 0; j <= d; ++j) planes(i, j) = factor * moved[static_cast<std::size_t>(j)];
  }
  return planes;
}

}  // namespace crease
