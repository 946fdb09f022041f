// Planted networks: the kinds of targets that tests, benchmarks and `crease make` draw from a seed.
#pragma once

#include <crease/network.hpp>

#include <optional>
#include <string>
#include <vector>

namespace crease {

/// A family and its numbers; a family reads only the numbers that name it.
struct FamilyPlan {
  std::string family = "gaussian";  // one of family_names(), or several, separated by commas: a mix
  Index inputs = 0;                 // d >= 1
  Index neurons = 0;                // k of the network, dead ones included; >= 0
  Index outputs = 1;                // p >= 1

  double spread = 0.5;          // gaussian: standard deviation of the biases; >= 0
  std::optional<double> power;  // gaussian: max(<w, x>, 0)^power, no biases, no constant; > 0
  double width = 0.1;           // bump: distance between its outer hyperplanes; > 0
  double offset = 0.7;          // bump: distance of its first hyperplane from the origin
  std::optional<double> gap;    // clusters (1e-4), cancelling (1e-3): relative distance; > 0
  Index size = 2;               // clusters: neurons that lie close together; >= 2
  Index biases = 4;             // parallel: neurons that share their weights; >= 2
  double distance = 4;          // rare: distance of a hyperplane from the origin; >= 0
};

/// gaussian    w ~ N(0, I/d), bias ~ N(0, spread^2), u ~ N(0, I/k), constant ~ N(0, 1/100); where a
///             power is given, also 1: the same weights and outputs, no biases, no constant
/// bump        a slab where F is a triangle of height width / 2 (three neurons with |w| = 1, 1, 2),
///             on top of the other k - 3 neurons, which are gaussian; k >= 3
/// clusters    groups of `size` neurons, at relative distance `gap` from the first of the group
/// cancelling  pairs at relative distance `gap`, the second with -0.9 times the output of the first
/// parallel    groups of `biases` neurons with the same weights w, their hyperplanes 0.3 apart
/// rare        gaussian, but the last k/8 (rounded up) hyperplanes lie at `distance`, on either
/// side dead        gaussian, but the last k/4 neurons (rounded up) do nothing, in turn for want of
///             weights and of outputs, and the last d/4 inputs (rounded down) are read by nobody
/// affine      a linear part ~ N(0, I/d) and a constant; its neurons, if any, have no output
/// constant    a constant; its neurons, if any, have no output
/// mix         all of the above but constant, in that order
std::vector<std::string> family_names();

/// The network of a plan: a function of plan and seed alone, bit for bit, on every machine. In a
/// mix a bump takes three neurons, affine and constant none, and the others share the rest (the
/// first ones get what is left over; gaussian neurons where there are no others); outputs, linear
/// parts and constants add up.
///
/// Throws BadInput on an unknown family, a number out of its range, too few neurons for the family,
/// or a power with another family than gaussian alone.
ReluNetwork make_family(const FamilyPlan& plan, Seed seed);

}  // namespace crease
