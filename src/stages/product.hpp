// Products of matrices on the host, made by the device.
#pragma once

#include <crease/matrix.hpp>

#include "kernels/ops.hpp"

namespace crease {

/// op(a) * op(b), op as the Transpose beside it says. Uploads a and b, waits for the result.
HostMatrix product(Device& device, const HostMatrix& a, Transpose transpose_a, const HostMatrix& b,
                   Transpose transpose_b);

/// The same where b is on the device already.
HostMatrix product(Device& device, const HostMatrix& a, Transpose transpose_a, ConstDeviceView b,
                   Transpose transpose_b);

}  // namespace crease
