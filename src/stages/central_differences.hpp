// Gradients and Hessians of a smooth function from its answers: central differences.
#pragma once

#include <crease/matrix.hpp>

#include "src/stages/ask.hpp"

namespace crease {

/// The step of a Hessian that is as exact as it can be: 2.5 sigma^(1/4) within [1e-4, 0.35], sigma
/// the deviation of an answer, at least 2e-16 of its size: truncation, of the order of step^2,
/// against noise, of the order of sigma / step^2.
double hessian_step(double sigma, double size);

/// dF / du_j at every centre by [F(x + step u_j) - F(x - step u_j)] / (2 step), off by O(step^2).
/// One output. 2 D queries a centre, in one batch.
///
/// centers [N, d], basis [D, d] orthonormal rows u_j; result [N, D]. Waits.
HostMatrix central_gradients(Asker& asker, ConstHostView centers, ConstHostView basis, double step,
                             Round round = Round::next);

/// d2F / du_j du_k at every centre, on the shared stencil of second_differences(): D^2 + D + 1
/// queries a centre, centres in chunks. Result [N, D (D + 1) / 2] on the device, matrices as
/// vectors (svec). Waits.
DeviceMatrix hessians(Asker& asker, ConstHostView centers, ConstHostView basis, double step);

}  // namespace crease
