// Second and fourth Hermite moments, measured against chance.
#include "src/stages/hermite_span.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/quadratic_variates.hpp"

namespace crease {
namespace {

constexpr double kVisible = 1.25;     // over the largest eigenvalue that chance made
constexpr double kSignificant = 2.5;  // of the sum's eigenvalues
constexpr Index kRowsPerSquare = 4;   // of d^2, from which on a quadratic is worth fitting
constexpr int kVariateSteps = 2;

using Label = std::function<void(ConstDeviceView z, ConstDeviceView y, DeviceView out)>;

double largest(const SymmetricEigen& eigen) {
  return std::max(std::fabs(eigen.values.front()), std::fabs(eigen.values.back()));
}

/// The label less its best affine function.
class AffineRest {
 public:
  AffineRest(Device& device, Examples& examples, const SampleView& label)
      : device_(device), label_(label.label) {
    const LabelMoments moments = label_moments(device, examples, label);
    slope_ = upload(device, moments.first);
    minus_mean_ = upload(device, HostMatrix(1, 1, -moments.zeroth[0]));
  }

  void operator()(ConstDeviceView z, ConstDeviceView y, DeviceView out) const {
    label_(z, y, out);
    multiply(device_, z, Transpose::no, slope_, Transpose::yes, -1.0, 1.0, out);
    add_row(device_, minus_mean_, out);
  }

 private:
  Device& device_;
  Label label_;
  DeviceMatrix slope_;       // [1, d]: E l z, z white
  DeviceMatrix minus_mean_;  // [1, 1]
};

/// sum += weight sum over eigenvalues (value / chance)^2 vector vector^T, those above `least` times
/// chance.
void add_squares(const SymmetricEigen& eigen, double chance, double least, double weight,
                 HostMatrix& sum) {
  if (!(chance > 0)) return;
  const Index d = sum.rows();
  for (Index i = 0; i < d; ++i) {
    const double value = eigen.values[static_cast<std::size_t>(i)] / chance;
    if (!(std::fabs(value) > least)) continue;
    for (Index a = 0; a < d; ++a) {
      for (Index b = 0; b < d; ++b) {
        sum(a, b) += weight * value * value * eigen.vectors(i, a) * eigen.vectors(i, b);
      }
    }
  }
}

HostMatrix block_of(const HostMatrix& blocks, Index r, Index d) {
  return HostMatrix(blocks.view().row_block(r * d, d));
}

}  // namespace

HermiteSpan hermite_span(Device& device, Examples& examples, const SampleView& label, Index d,
                         Index m, const HostMatrix& guides, Random& random,
                         const HermiteSpanPlan& plan) {
  require(label.labels == 1 && d >= 1 && m >= 1, "hermite_span: one label, and dimensions");
  HermiteSpan span;
  if (m >= d) {
    span.basis = identity(d);
    span.significant = d;
    return span;
  }
  const AffineRest affine(device, examples, label);
  SampleView rest = label;
  rest.label = [&affine](ConstDeviceView z, ConstDeviceView y, DeviceView out) {
    affine(z, y, out);
  };
  QuadraticVariates variates(device, rest, d);
  const bool quadratic = examples.rows() > kRowsPerSquare * d * d;
  for (int step = 0; step < (quadratic ? kVariateSteps : 1); ++step) variates.improve(examples);
  const SampleView left = quadratic ? variates.view() : rest;

  // Chance for r and |r|, and |r| itself, in one pass.
  SampleView three = rest;
  three.labels = 3;
  three.label = [&](ConstDeviceView z, ConstDeviceView y, DeviceView out) {
    DeviceMatrix one(device, z.rows, 1);
    left.label(z, y, one);
    shift_rows(device, 1, one);
    copy(device, one, out.col_block(0, 1));
    affine(z, y, one);
    absolute(device, one);
    copy(device, one, out.col_block(1, 1));
    shift_rows(device, 1, one);
    copy(device, one, out.col_block(2, 1));
  };
  const LabelMoments second = label_moments(device, examples, three);
  HostMatrix sum(d, d);
  add_squares(symmetric_eigen(variates.moment(0)), largest(symmetric_eigen(second.hermite(0))), 0,
              1, sum);
  add_squares(symmetric_eigen(second.hermite(1)), largest(symmetric_eigen(second.hermite(2))),
              kVisible, 1, sum);

  HostMatrix along(0, d);
  for (Index r = 0; r < plan.contractions; ++r) {
    along.append_row(unit_vector(random.normals(d)).data(), d);
  }
  for (Index r = 0; r < guides.rows(); ++r) along.append_row(guides.row(r), d);
  if (along.rows() > 0) {
    SampleView some = left;
    some.rows = plan.fourth_rows;
    SampleView chance = some;
    chance.label = [&](ConstDeviceView z, ConstDeviceView y, DeviceView out) {
      left.label(z, y, out);
      shift_rows(device, 1, out);
    };
    std::vector<SymmetricEigen> fourth;
    for (int update = 0; update <= plan.updates; ++update) {
      const HostMatrix moments = hermite_contractions(device, examples, some, 4, along);
      fourth.clear();
      for (Index r = 0; r < along.rows(); ++r) {
        fourth.push_back(symmetric_eigen(block_of(moments, r, d)));
        if (update == plan.updates) continue;
        const SymmetricEigen& eigen = fourth.back();
        const Index top = -eigen.values.front() > eigen.values.back() ? 0 : d - 1;
        std::copy(eigen.vectors.row(top), eigen.vectors.row(top) + d, along.row(r));
      }
    }
    const HostMatrix by_chance = hermite_contractions(device, examples, chance, 4, along);
    for (Index r = 0; r < along.rows(); ++r) {
      add_squares(fourth[static_cast<std::size_t>(r)],
                  largest(symmetric_eigen(block_of(by_chance, r, d))), kVisible,
                  1 / static_cast<double>(along.rows()), sum);
    }
  }
  const SymmetricEigen eigen = symmetric_eigen(std::move(sum));
  span.basis = leading(eigen, m);
  const Index above = std::count_if(eigen.values.begin(), eigen.values.end(),
                                    [](double value) { return value > kSignificant; });
  span.significant = std::clamp<Index>(above, 1, m);
  return span;
}

}  // namespace crease
