// What the checks of primitives ask of views.
#pragma once

#include <crease/matrix.hpp>

namespace crease {

inline bool is_shape(ConstDeviceView view, Index rows, Index cols) {
  return view.rows == rows && view.cols == cols;
}

inline bool is_empty(ConstDeviceView view) {
  return view.rows == 0 || view.cols == 0;
}

}  // namespace crease
