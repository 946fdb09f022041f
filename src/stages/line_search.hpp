// The pieces and kinks of a piecewise linear function along one line.
#pragma once

#include <crease/query_learner.hpp>

#include <functional>
#include <vector>

#include "src/stages/random.hpp"

namespace crease {

/// Rounding of an answer at x is at least this times sqrt(d) * slope range along a line * |x| * u:
/// the weights are about sqrt(d) times as large as what a random line sees of them. Measured: 0.04
/// to 0.7, most often 0.1.
inline constexpr double kSlopeRounding = 0.1;

/// A straight line in R^p fitted to points of one piece: value + slope * (t - center), per output.
struct LineFit {
  double center = 0;
  std::vector<double> value, slope;        // [p]
  std::vector<double> value_sd, slope_sd;  // [p] one standard deviation

  double at(double t, std::size_t o) const { return value[o] + slope[o] * (t - center); }
  double sd_at(double t, std::size_t o) const {
    return std::hypot(value_sd[o], slope_sd[o] * (t - center));
  }
};

/// Where two lines in R^p come closest, every output in units of its scale; NaN for parallel lines.
double intersection(const LineFit& a, const LineFit& b, const std::vector<double>& scale);

/// A stretch of the line on which the function was verified to be affine.
struct Piece {
  LineFit fit;
  double low = 0;  // first and last verified point
  double high = 0;
  std::vector<double> sigma = {};  // [p] median noise of its answers, where the oracle tells it
};

/// What separates pieces j and j + 1.
struct Kink {
  double t = 0;
  std::vector<double> jump;  // [p] slope after minus slope before
  bool exact = false;        // one kink, located; otherwise a cluster somewhere in [low, high]
  double low = 0;
  double high = 0;
};

struct LineResult {
  std::vector<Piece> pieces;
  std::vector<Kink> kinks;  // one fewer than pieces
  std::vector<double>
      scale;  // [p] noise of an answer near the origin: outputs are compared in this unit
  std::vector<double> slope_range;  // [p] largest minus smallest slope seen
  double low = 0;                   // first and last point asked (of those that said something)
  double high = 0;
  Index points = 0;
};

/// Hyperplanes already known that cross the line: their own errors leave a small step and bend
/// there.
struct KnownCrossings {
  std::vector<double> t;
  std::vector<double> step;  // [n * p] row-major: left-over step in every output
  std::vector<double> bend;  // [n * p] left-over slope jump
};

/// Answers on the line: values and their standard deviations, both [n * p] row-major. A point with
/// an infinite one says nothing, whatever its value.
struct LineAnswers {
  std::vector<double> values;
  std::vector<double> sigmas;
  bool enough = false;  // this search cannot use such answers: it asks no more
};
using AskLine = std::function<LineAnswers(const std::vector<double>& t)>;

struct LineSearchInput {
  double scale = 1;           // c: kinks are Cauchy distributed with about this scale
  Index cells = 64;           // of the first grid, uniform in atan(t / c)
  std::vector<double> extra;  // points to ask with the first grid
  const KnownCrossings* known = nullptr;
  bool told = false;           // the oracle tells the noise of each answer, which may be infinite
  bool meetings_prove = true;  // outputs that add up to 0 have one equation less
};

/// What a line may ask, beside QueryPlan::line_points: so many points, and so many more for every
/// piece that was verified. A kink takes about 6. Lines with 20,000 kinks show thousands of pieces
/// long before, and noise that was underestimated is measured anew; a function that is nowhere
/// straight shows no piece.
inline constexpr Index kPointsWithoutPieces = 70000;
inline constexpr Index kPointsPerPiece = 64;

/// Rounds in which the ends of the stretch that says something are halved.
inline constexpr int kBisections = 7;

/// Finds the pieces of a piecewise linear function R -> R^p in batches, one per round.
///
/// Three points that are straight to within their noise, on cells small enough for that to mean
/// something, verify a piece; two verified pieces that are neighbours predict their kink, and a
/// pair of points close to its two sides proves that nothing hides between (never the predicted
/// point itself: it lies on both lines by construction). With two outputs or more, two lines meet
/// only at a single kink, and meeting is the proof. Cells not yet explained are asked beside the
/// kink that their neighbours predict, or halved in angle. Returns no piece where nothing straight
/// was found.
///
/// Answers may say nothing far out (LineSearchInput::told): the search then keeps to the stretch
/// around the middle where they all do, whose ends it bisects kBisections times and which it cuts
/// up into cells anew where few of the first grid are left. A point within the stretch that says
/// nothing settles its cell: it is not asked again there.
LineResult search_line(const AskLine& ask, Index outputs, const LineSearchInput& input,
                       const QueryPlan& plan, Random& random);

}  // namespace crease
