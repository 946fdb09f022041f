// How exact the oracle's answers are, found out by asking.
#pragma once

#include <string>
#include <vector>

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// One standard deviation of an answer, per output o:
///   sigma_o(x)^2 = absolute[o]^2 + (relative[o] * rho)^2,   rho = sqrt(1 + |x|^2).
struct NoiseModel {
  std::vector<double> absolute;
  std::vector<double> relative;
  std::string format;  // float64, float32 or decimal: what every answer was a multiple of

  double sigma(double rho, Index output) const;
};

inline constexpr Index kNoiseQueries = 40;

/// Asks kNoiseQueries points (one round): three-point stencils of two sizes at eight places of one
/// random line, four near the origin and four far out. What they deviate from a straight line is
/// noise, absolute or relative to rho. Answers that are all short decimals or all float32 raise it
/// to half a unit; a function that is zero where it was asked says nothing about its noise, and a
/// prior of 64 u stands in.
NoiseModel probe_noise(Asker& asker, Random& random);

/// For an oracle that knows the standard deviation of each of its answers: what is left is the
/// rounding with which it evaluates F, a tenth of u rho until lines say how steep F is. Asks
/// nothing.
NoiseModel told_noise(const Asker& asker);

}  // namespace crease
