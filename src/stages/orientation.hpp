// Which side of its hyperplane each neuron was active on.
#pragma once

#include "src/stages/hypothesis.hpp"

namespace crease {

/// Neurons inactive at the base point leave a linear part behind: gradient = -sum of scale_j
/// normal_j^T over those that F has the other way round. Where the matrices scale_j normal_j^T are
/// independent (k <= d p at least), z = argmin |sum z_j scale_j normal_j^T - gradient| is 0 or -1
/// for every neuron, and turning those with -1 leaves no linear part.
///
/// Returns the turned network with the linear part dropped, if every z_j is clearly 0 or -1 and
/// what is dropped has a root mean square under N(0, I) of at most `allowed`; else the network as
/// it is. k^2 (d + p) + k^3 / 3 work.
ReluNetwork orient(const Hypothesis& hypothesis, double allowed);

}  // namespace crease
