// Whether a function bends smoothly, or at kinks only.
#pragma once

#include "src/stages/ask.hpp"
#include "src/stages/random.hpp"

namespace crease {

enum class Bending {
  nowhere,  // no second difference stands above the errors of the answers: piecewise linear
  smooth,   // they agree at two steps, above the errors, at more than half of the points
  unclear
};

inline constexpr Index kCurvaturePoints = 16;
inline constexpr Index kCurvatureQueries = 5 * kCurvaturePoints;

struct CurvaturePlan {
  double sigma = 0;  // deviation of an answer; 0: its rounding
  double size = 1;   // root mean square of the answers
  Index output = 0;
  double step = 0;  // 0: hessian_step(sigma, size)
};

/// Second differences (F(x + s u) - 2 F(x) + F(x - s u)) / s^2 of one output at 16 Gaussian points
/// along random directions u, with s = step and half of it: one batch of 80 queries. A ReLU network
/// has none but where a kink is nearer than s; a smooth function has its second derivative with
/// both, to 5 %. So has a ReLU network with hundreds of kinks nearer than s everywhere: the smaller
/// the step, the wider the networks that are told apart.
Bending probe_curvature(Asker& asker, Random& random, const CurvaturePlan& plan = {});

}  // namespace crease
