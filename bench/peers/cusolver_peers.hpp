// cuSOLVER's own least-squares drivers, as peers.
#pragma once

#include <crease/matrix.hpp>

#include <string>

namespace crease {

struct CusolverRun {
  double seconds = 0;
  int iterations = 0;  // of its refinement
};

/// min |Z c - y| by "cusolver_gels" (DDgels: factors and refines in double) or
/// "cusolver_irsxgels" (factors in single precision, refines to double). Copies to the GPU and
/// workspaces are not timed.
///
/// z_t [q, n], y [n, 1], c [q, 1] the result
/// Throws BadInput in a build without CUDA or on another name, DeviceError where cuSOLVER refuses
/// or does not converge.
CusolverRun solve_by_cusolver(const std::string& name, const HostMatrix& z_t, const HostMatrix& y,
                              HostMatrix& c);

}  // namespace crease
