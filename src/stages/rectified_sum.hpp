// Networks y = U f(V x), f(z) = max(z, 0)^power, and what one pass over examples says of one.
#pragma once

#include <crease/network.hpp>

#include <optional>

#include "src/stages/examples.hpp"

namespace crease {

/// F(x) = outputs f(directions x), without biases; unit rows of `directions`, all scale in
/// `outputs`. The sign of a direction counts: f(z) is not f(-z).
struct RectifiedSum {
  HostMatrix directions;  // V [k, d]
  HostMatrix outputs;     // U [p, k]
  double power = 1;

  Index neurons() const { return directions.rows(); }
};

/// Means over the first `rows` training rows (0: all) of f f^T and y f^T, f = f(V x). Waits.
struct FeatureMeans {
  HostMatrix squares;  // [k, k]
  HostMatrix cross;    // [p, k]
  Index rows = 0;
};
FeatureMeans feature_means(Device& device, Examples& examples, const HostMatrix& directions,
                           double power, Index rows = 0);

/// U = E y f^T (E f f^T)^-1, the best outputs for these directions; the pseudo-inverse where that
/// is singular.
HostMatrix best_outputs(const FeatureMeans& means);

/// |Y - U f(V X)| / |Y| over the training rows; 0 where both are 0. Waits.
double relative_residual(Device& device, Examples& examples, const RectifiedSum& network);

/// Every row of `directions` as it is or turned round, whichever the regression of y on [f(V x),
/// f(-V x)] over at most 20,000 rows gives the larger outputs (source: Bakshi, Jayaram, Woodruff
/// 2019). `changed` says whether a row was.
struct FixedSigns {
  HostMatrix directions;
  bool changed = false;
};
FixedSigns fix_signs(Device& device, Examples& examples, const HostMatrix& directions,
                     double power);

/// f(x directions^T) and, where out_slopes is not empty, f' there. x [m, d], out [m, k].
void rectified_features(Device& device, ConstDeviceView x, ConstDeviceView directions, double power,
                        DeviceView out, DeviceView out_slopes = {});

}  // namespace crease
