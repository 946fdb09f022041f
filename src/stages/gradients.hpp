// Gradients of the pieces of a line: which to measure, and measuring them.
#pragma once

#include <optional>

#include "src/device_network.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/line_search.hpp"
#include "src/stages/noise.hpp"

namespace crease {

/// A line that was searched, of F itself or of the residual F - F'.
struct SearchedLine {
  std::vector<double> origin;     // [d]
  std::vector<double> direction;  // [d], length 1
  LineResult result;
  KnownCrossings known;        // empty on the first line
  std::optional<double> base;  // t of the base point, where the line passes through it
  bool of_residual = false;    // of F - F'; otherwise of F itself

  std::vector<double> point(double t) const;
  double rho(double t) const;  // sqrt(1 + |point(t)|^2)
};

/// The pieces of a line with what is known of each, outputs in units of `scale`.
struct MeasuredPieces {
  std::vector<Piece> pieces;
  std::vector<Kink> kinks;
  std::vector<double> t;           // [n] where a piece is measured
  std::vector<double> half_width;  // [n] distance from there to the nearer end
  std::vector<double> step;        // [n] finite-difference step to take
  std::vector<double>
      quality;  // [n] expected error of a gradient with the full step / typical jump; small is good
  std::vector<double>
      noise;  // [n] largest noise of an answer at t over the outputs, in units of scale
  std::vector<double> scale;   // [p]
  HostMatrix values;           // [n, p] at t
  std::vector<bool> measured;  // [n]
  HostMatrix gradients;        // [n * p, d], rows of piece m are m * p ...
  HostMatrix gradient_noise;   // [n, p] one standard deviation of a component
  // Of crowded kinks (localize_crowded_kinks). Empty: none.
  std::vector<bool> local;  // [n] no known hyperplane crosses this piece
  std::vector<bool> seam;   // [n - 1] not a kink: what lies between is not looked into

  bool is_local(std::size_t m) const { return m < local.size() && local[m]; }
  bool is_seam(std::size_t j) const { return j < seam.size() && seam[j]; }
  std::size_t size() const { return pieces.size(); }
  const double* gradient(std::size_t m, std::size_t o) const {
    return gradients.row(static_cast<Index>(m * scale.size() + o));
  }
  double* gradient(std::size_t m, std::size_t o) {
    return gradients.row(static_cast<Index>(m * scale.size() + o));
  }
};

/// How narrow a piece may be and still be measured. A piece whose gradient would be worse than
/// `tolerance` times the typical jump is left to a later line, where the gaps are others; `last`
/// takes whatever can be had.
struct GapPolicy {
  double tolerance = 0;
  bool last() const { return tolerance >= 0.5; }
};

/// Where each piece would be measured, and how well. Two kinks of the same sign around a gap that
/// no gradient can resolve become one (Section 3 of Chen, Klivans, Meka 2021: the error is of order
/// gap^1.5).
///
/// known  the network so far, on a line of the residual: kinks that the errors of its hyperplanes
///        can feign are dropped, and its neurons say how large a typical jump is. Null on the first
///        line.
MeasuredPieces prepare_pieces(const SearchedLine& line, const NoiseModel& noise,
                              const QueryPlan& plan, const Hypothesis* known = nullptr);

/// The second half of prepare_pieces, for pieces and kinks that were changed since.
void assess_pieces(MeasuredPieces& pieces, const SearchedLine& line, const NoiseModel& noise,
                   const QueryPlan& plan, const Hypothesis* known = nullptr);

/// On a wide network's residual line hundreds of known hyperplanes lie between two pieces, and
/// their errors go into the jump of the gradient. Kinks whose jump would be worse for it than the
/// policy's tolerance are looked at again from nearby: two points on either side, nearer than the
/// next known hyperplane, and a flank pair, six queries in two rounds. Such a kink gets two pieces
/// of its own, with a seam to its neighbours', and two gradients instead of a share in two; one
/// that is not single after all is left to a later line.
///
/// ask      the residual on this line
/// pieces   from prepare_pieces; changed in place
void localize_crowded_kinks(const AskLine& ask, const SearchedLine& line, const NoiseModel& noise,
                            const Hypothesis& known, const GapPolicy& policy, const QueryPlan& plan,
                            MeasuredPieces& pieces);

/// The typical jump of a gradient, in units of scale: median over the known neurons, or, without
/// any, median jump of the slope on this line times sqrt(d). 1 without kinks.
double typical_jump(const MeasuredPieces& pieces, Index d, const Hypothesis* known = nullptr);

/// Pieces to measure: the cheapest chain, in which two neighbours enclose at most p kinks whose
/// jumps are independent enough to be told apart. Kinks between other neighbours are left to a
/// later line, at a price. Measured pieces cost nothing, excluded ones are not taken.
std::vector<std::size_t> plan_chain(const MeasuredPieces& pieces, const std::vector<bool>& excluded,
                                    const QueryPlan& plan);

/// The least singular value of the column-normalised jumps first..last-1 (p x count); 0 where a
/// jump vanishes.
double jump_conditioning(const MeasuredPieces& pieces, std::size_t first, std::size_t last);

/// Asks for the gradients of a chain of pieces: d queries each along one orthonormal basis shared
/// by the line, checked against the slope of the line, repaired without queries where known hinges
/// explain a failure, asked again with a smaller step where not. `current` is the network so far on
/// the device, null on the first line.
void measure_gradients(Asker& asker, const SearchedLine& line, const NoiseModel& noise,
                       const Hypothesis& hypothesis, const DeviceNetwork* current,
                       const GapPolicy& policy, const QueryPlan& plan, Random& random,
                       MeasuredPieces& pieces);

/// Neurons from measured neighbours: the jump of the gradient across one kink has rank one, and
/// across up to p kinks it is resolved by the jumps of the line's slopes. Adds to `hypothesis`
/// those that pass their checks; returns how many.
Index add_neurons(const MeasuredPieces& pieces, const SearchedLine& line, const NoiseModel& noise,
                  const GapPolicy& policy, const QueryPlan& plan,
                  const std::vector<double>& known_gradient_error, Hypothesis& hypothesis);

}  // namespace crease
