// From a network on a slice of the inputs to the network on all of them: one gradient in each of a
// few cells whose patterns the slice has shown.
#pragma once

#include <optional>
#include <string>

#include "src/stages/ask.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// A slice x = t frame through the origin: rows of equal length stretch, orthogonal to each other.
struct Slice {
  HostMatrix frame;    // [m, d]
  double stretch = 1;  // sqrt(d / m): then a trace frame w is about as long as w is

  std::vector<double> whole(const std::vector<double>& t) const;  // t frame, [d]
};

/// A random slice, 1 <= m <= d.
Slice random_slice(Random& random, Index m, Index d);

/// The noise of f(t) = F(t frame): sigma_f(t) = hypot(absolute, relative stretch rho(t)) is at
/// least that of F there, as |x| = stretch |t|.
NoiseModel noise_on_slice(NoiseModel noise, const Slice& slice);

/// A cell of the slice in which a gradient of F is measured.
struct LiftCells {
  HostMatrix centers;        // [n, m] in the slice
  HostMatrix above;          // [n, k] heights above the traces of the hyperplanes
  std::vector<double> step;  // [n] of finite differences in R^d
};

/// Chooses cells without a query. Of a pool of deep points that are sure of their pattern, with
/// steps so short that a random direction of R^d meets a hyperplane less than once in many fans,
/// those that tell most of W_1 .. W_k and the linear parts: greedily by log det of the information.
/// With one output k + 1 cells are needed; p outputs give p equations a cell, and cells are added
/// beyond (k + p + k (p - 1) / d) / p, the fewest that determine everything, until no neuron is
/// expected to be much worse than one fan makes it. Empty if cells that are sure do not suffice.
///
/// on_slice  the network on the slice
/// inputs    d
LiftCells choose_cells(Device& device, Random& random, const Hypothesis& on_slice,
                       const Slice& slice, Index inputs, const NoiseModel& noise);

/// One standard deviation of a component of a gradient measured with `step` around a point with
/// sqrt(1 + |x|^2) = rho.
double lift_noise(const NoiseModel& noise, double rho, double step, Index output);

struct Lift {
  std::optional<Hypothesis> network;  // none where the lift was given up, and then ...
  std::string reason;                 // ... why
  HostMatrix covariance;     // [k + p, k + p] of W_1 .. W_k, g_1 .. g_p, the same for every input
  double noise_ratio = 1;    // of the answers' noise, measured on mirrored points and spare
                             // equations, to what was assumed
  double largest_error = 0;  // of the entries of W, one standard deviation, over the largest |W_j|
};

/// Asks for a centre and d points in each cell, checks every gradient against the slice's (m
/// numbers each; a fan that fails is asked again with a quarter of the step, the other way), solves
/// for all W_j and g at once, takes planes crossed by single steps out of the answers, and measures
/// the noise on 16 mirrored points. Biases and constants are then linear in the answers at the
/// centres. With several outputs W and the directions of the outputs are fitted together, by
/// Gauss-Newton steps from the slice's directions on what no W explains.
///
/// Given up: too few cells, more than a tenth of the gradients unlike the slice's, neurons that the
/// cells do not tell apart, a solution that does not settle. n (d + 1) + 16 queries, n the cells.
/// Fans are kept where the Asker keeps what is paid for.
///
/// Source: one fan per unknown vector instead of one per kink; every neuron's activity in a cell is
/// known from the slice.
Lift lift_slice(Asker& asker, Random& random, const Hypothesis& on_slice, const Slice& slice,
                const NoiseModel& noise);

}  // namespace crease
