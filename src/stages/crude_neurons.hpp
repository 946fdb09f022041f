// Crude neurons from the lines of a function whose answers are noisy: hyperplanes that a fit can
// start from.
#pragma once

#include <optional>

#include "src/stages/gradients.hpp"

namespace crease {

/// Candidates for the hyperplanes {<v_i, x> + e_i = 0}, |v_i| = 1, of neurons c_i |<v_i, x> + e_i|.
struct CrudeNeurons {
  HostMatrix planes{0, 0};           // [n, d + 1] rows (v_i, e_i)
  HostMatrix scales{0, 0};           // [n, p] c_i
  std::vector<double> error;         // [n] of the normal: |v' - v|
  std::vector<double> offset_error;  // [n]
  std::vector<Index> votes;          // [n] lines that saw it

  Index size() const { return planes.rows(); }
  void add(const std::vector<double>& plane, const std::vector<double>& scale, double normal_error,
           double plane_offset_error, Index seen = 1);
};

/// What one line gave.
struct CrudeLine {
  CrudeNeurons found;
  Index kinks = 0;
  Index cleared = 0;  // candidates from two neighbouring pieces with an error below kClearError
  /// How far answers inside the widest pieces are off the chords of their neighbours, in units of
  /// what the noise model says, per output: the median over all of them. Empty where it was not
  /// asked for, or fewer than three pieces are wide enough.
  std::vector<double> noise_ratio;
  /// In one input, what the line asked within kLineReach of the origin: it lies close wherever
  /// kinks do, and a fit may see it. [n, 1], [n, p]
  HostMatrix points{0, 0};
  HostMatrix answers{0, 0};
};

inline constexpr double kLineReach = 4.5;

inline constexpr double kClearError = 0.1;

/// How far out lines may lie where the noise does not grow with the distance: kinks, gaps and
/// rises of F grow with the scale, the noise does not, so gradients are better by this factor. 1
/// where some output's noise grows; otherwise at most 1000, and so that the growing part stays
/// below a third of the constant one. Outputs that are exact say nothing; 1 where all are, and in
/// one input.
double line_scale(const NoiseModel& noise, Index d);

/// Searches one Gaussian line (origin and scale `scale` times those of N(0, I)) and measures the
/// gradient of every piece wide enough for it: the relative error of a jump must be below 0.7. Two
/// measured neighbours give a candidate (the leading singular vector of the jump in R^{p x d},
/// outputs in units of their noise); one unusable piece in between gives two, on both kinks, with
/// the normal of both jumps together and error 1. In one input the slopes of the pieces are their
/// gradients, and every kink gives a candidate whose normal is exact.
///
/// with_noise  also asks 72 points inside the widest pieces (noise_ratio)
///
/// Source: the lines of Chen, Klivans, Meka 2021, with tests wide enough for noise.
CrudeLine crude_neurons(Asker& asker, Random& random, const NoiseModel& noise,
                        const QueryPlan& plan, double scale, bool with_noise);

/// The same for a line through a point where a slab ("bump") of this width was met: cells around it
/// are small enough for the slab.
CrudeLine crude_neurons_through(Asker& asker, Random& random, const NoiseModel& noise,
                                const QueryPlan& plan, const std::vector<double>& point,
                                double width);

/// Adds what another line found: a candidate of another line that is the same neuron, to within
/// both errors, gets a vote, and the better of the two normals and of the two offsets stay. Of
/// several that may be the same the nearest counts, in units of the errors. Never merges two of one
/// line. Returns how many are new.
Index unite(CrudeNeurons& all, const CrudeNeurons& line);

/// Those that two lines saw; after one or two lines also those that one saw well (error below
/// 0.25): two kinks that a line could not tell apart look like one neuron, but never again on
/// another line. The others with `yes` = false.
CrudeNeurons trusted(const CrudeNeurons& all, Index lines, bool yes = true);

}  // namespace crease
