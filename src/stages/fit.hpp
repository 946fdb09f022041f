// The least-squares stage: coefficients of ReLU features, and what they say about the network so
// far.
#pragma once

#include "src/device_network.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/look.hpp"
#include "src/stages/solve.hpp"

namespace crease {

/// The regression of Section 4.4 of Chen, Klivans and Meka 2021 on the residual F - F': Gaussian
/// points over [relu, x, 1], n = 2 (k + d + 1), where that is at most a tenth of the queries so
/// far, else over [relu, 1] with n = 2 (k + 1) + 32. The points of the last look come first, what
/// is missing is drawn after them, and `look` is made again over all: F' was fixed before any of
/// them.
///
/// A quarter of the points is held out, and the step is taken only if their error falls by 10 %.
/// While no point shows an error beyond its limit it must also be an error that can be seen (above
/// the noise of the answers) and stay within what is known of each neuron's own error: the trust
/// region that stands for the norm bound of equation (7). Without it, neurons that cancel where the
/// points are (bumps) could be moved freely elsewhere.
void fit_least_squares(Asker& asker, Random& random, const NoiseModel& noise, const QueryPlan& plan,
                       Index most_bytes, Hypothesis& hypothesis, Look& look,
                       LeastSquaresReport& report);

}  // namespace crease
