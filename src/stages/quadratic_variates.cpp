// Labels less a quadratic of the inputs.
#include "src/stages/quadratic_variates.hpp"

#include <utility>

#include "kernels/ops.hpp"

namespace crease {

QuadraticVariates::QuadraticVariates(Device& device, SampleView view, Index dimensions)
    : device_(device),
      base_(std::move(view)),
      d_(dimensions),
      quadratics_(static_cast<std::size_t>(base_.labels), HostMatrix(d_, d_)) {}

SampleView QuadraticVariates::view() const {
  SampleView view = base_;
  view.label = [this](ConstDeviceView z, ConstDeviceView y, DeviceView out) {
    base_.label(z, y, out);
    if (there_.empty()) return;
    DeviceMatrix image(device_, z.rows, d_), half(device_, d_, 1);
    fill(device_, -0.5, half);
    for (Index l = 0; l < base_.labels; ++l) {
      const Quadratic& quadratic = there_[static_cast<std::size_t>(l)];
      multiply(device_, z, Transpose::no, quadratic.matrix, Transpose::no, 1.0, 0.0, image);
      multiply_elements(device_, z, image);
      multiply(device_, image, Transpose::no, half, Transpose::no, 1.0, 1.0, out.col_block(l, 1));
      add_row(device_, quadratic.half_trace, out.col_block(l, 1));
    }
  };
  return view;
}

void QuadraticVariates::improve(Examples& examples) {
  const LabelMoments moments = label_moments(device_, examples, view());
  there_.clear();
  for (Index l = 0; l < base_.labels; ++l) {
    const HostMatrix more = moments.hermite(l);
    HostMatrix& quadratic = quadratics_[static_cast<std::size_t>(l)];
    for (Index i = 0; i < more.size(); ++i) quadratic.data()[i] += more.data()[i];
    double trace = 0;
    for (Index i = 0; i < d_; ++i) trace += quadratic(i, i);
    there_.push_back({upload(device_, quadratic), upload(device_, HostMatrix(1, 1, 0.5 * trace))});
  }
}

}  // namespace crease
