// A lower triangle that is solved with again and again.
#pragma once

#include <crease/device.hpp>

#include "kernels/ops.hpp"

namespace crease {

/// x <- L^-1 x and x <- L^-T x for a few columns. A large triangle is solved block by block with
/// its diagonal blocks inverted beforehand: then nearly all of it is read at the speed of memory,
/// where a library's substitution waits for one row after the other. An inverted block loses what
/// its own condition costs; as (part of) a preconditioner it only has to be the same each time.
class Triangle {
 public:
  /// l [q, q] lower triangle, alive as long as this; columns: of the largest x.
  Triangle(Device& device, ConstDeviceView l, Index columns, Index block = 512);

  /// x [q, up to `columns`]. Allocates nothing, waits for nothing.
  void solve(Transpose transpose, DeviceView x);

 private:
  Device& device_;
  ConstDeviceView l_;
  Index block_;           // 0: solved as a whole
  DeviceMatrix inverse_;  // [q, block], of the diagonal blocks
  DeviceMatrix part_;     // [block, columns]
};

}  // namespace crease
