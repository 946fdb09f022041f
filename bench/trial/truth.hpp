// What is true of a learned network, beside what its certificate says.
#pragma once

#include <crease/device.hpp>
#include <crease/network.hpp>
#include <crease/run.hpp>

#include <optional>

#include "bench/trial/drawn.hpp"

namespace crease::trial {

/// How often fresh points exceed the certificate's T, and whether that can be chance.
struct Exceeding {
  Index points = 0;
  Index beyond = 0;      // |F - F'| > T, and not by the rounding of an answer
  bool decided = false;  // the count is far from `mass * points`: chance is below 1e-6
  bool more = false;     // beyond > mass * points
};

/// Statement (A): is P(|F - F'| > largest + rounding) <= mass? Draws up to 10^6 fresh points, in
/// growing batches, until the count is decided; `more` is the estimate's side where it never is.
Exceeding count_exceeding(Device& device, const ReluNetwork& f, const ReluNetwork& g,
                          double largest, const Rounding& rounding, double mass, Seed seed);

/// P(X >= count) for X binomial (n, p), and P(X <= count).
double upper_tail(Index n, double p, Index count);
double lower_tail(Index n, double p, Index count);

struct TrueError {
  double rms = 0;
  bool sampled = false;            // else from exact integrals
  double size = 0;                 // rms |F|
  std::optional<double> relative;  // over sd(F); none where F is constant
  /// The steepest slope of F - F' seen: at sampled points, those of the largest errors among them,
  /// and on both sides of every hyperplane, where it is nearest to the origin. A Lipschitz constant
  /// of F - F' is no smaller.
  double steepest = 0;
};

TrueError measure_error(Device& device, const ReluNetwork& f, const ReluNetwork& g, Seed seed);

}  // namespace crease::trial
