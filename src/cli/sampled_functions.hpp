// The distance of two functions, whatever the networks behind them, by sampling.
#pragma once

#include <optional>

#include "src/cli/any_network.hpp"
#include "src/cli/sampled_error.hpp"

namespace crease {

/// Of e = |F(x) - F'(x)| (Euclidean norm over the outputs).
struct FunctionErrors {
  SampledError gaussian;  // x ~ N(0, I)
  SampledError ball;      // x uniform in the unit ball
  // Root of the summed variances of F's outputs at the Gaussian points; none where F is constant as
  // far as its rounding shows.
  std::optional<double> deviation;
};

/// F, the target, and F' at `samples` points of each kind, n >= 2. `modulo_mean`: both less the
/// mean over their outputs, which softmax probabilities do not determine. Throws BadInput on
/// different inputs or outputs. Waits.
FunctionErrors compare_functions(Device& device, const AnyNetwork& target,
                                 const AnyNetwork& learned, Index samples, Seed seed,
                                 bool modulo_mean);

}  // namespace crease
