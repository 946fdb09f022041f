// The paper's uniform scan: Algorithms 1, 2 and 3 of Chen, Klivans, Meka 2021 under their own
// names, over several lines and in blocks. Bias sign of the paper in comments: relu(<w, x> - b).
#pragma once

#include <crease/query_learner.hpp>

#include <functional>

#include "src/stages/ask.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/random.hpp"

namespace crease {

/// Where the lines are cut: `intervals` of length r on [-tau, tau], tau = span.
struct UniformGrid {
  Index lines = 0;
  Index intervals = 0;
  double span = 0;       // in units of t
  double length = 0;     // r = 2 span / intervals
  double bias_half = 0;  // half of what get_bias measures a slope on
  double step = 0;       // of get_gradient
  double middle(Index interval) const {
    return -span + (static_cast<double>(interval) + 0.5) * length;
  }
};

/// The grid of a plan for d inputs. Throws BadInput where it is too fine to count.
UniformGrid uniform_grid(const QueryPlan& plan, Index d);

/// What get_gradient measures.
struct Gradients {
  HostMatrix values;     // [m, p] F(x)
  HostMatrix gradients;  // [m p, d], row i p + o that of output o at centre i
};

/// Algorithm 2, GetGradient(x, step) for every centre: d + 1 queries each, one batch.
///
/// The paper draws d independent unit vectors z_j and solves <w, z_j> = (F(x + step z_j) - F(x)) /
/// step. Here each z_j is such a vector too, but they are orthonormal, so that the solution is
/// sum_j z_j (...): independent ones have a condition of order d, and cost a digit. One basis
/// serves all centres of a line. F(x) belongs to the same batch: asked along the line, it would be
/// rounded alike at all centres, and no average over them would help.
///
/// centers [m, d], basis [d, d] with orthonormal rows. Exact if no hyperplane is nearer than `step`
/// (6): then each component is off by sqrt(2) sigma / step (one standard deviation).
Gradients get_gradient(Asker& asker, const DeviceMatrix& centers, ConstDeviceView basis,
                       double step);

/// The queries of Algorithm 1, GetBias(L, [t - half, t + half]), for every t of every line: 2 each,
/// one batch. t [n], those of line l at first[l] .. first[l + 1]; slopes of F along the lines
/// [n, p].
HostMatrix get_slopes(Asker& asker, const Lines& lines, const std::vector<double>& t, double half);

/// What Algorithm 1 makes of them: b_L = value - slope * t, the intercept of the piece at t = 0.
/// The values at the midpoints, [m, p], are get_gradient's; the slopes are rows first_slope .. of
/// get_slopes. b_L is right where F is affine on the interval, up to sigma (1 + |t| / (half
/// sqrt(2))).
HostMatrix get_bias(const HostMatrix& values, const HostMatrix& slopes, Index first_slope,
                    const std::vector<double>& t);

/// Neighbouring intervals on which F is one affine function, gradient (x - x0) + bias.
struct UniformPiece {
  Index count = 0;                     // intervals
  double first = 0, last = 0;          // midpoints
  std::vector<double> first_value;     // [p] of F there
  std::vector<double> last_value;      // [p]
  HostMatrix gradient;                 // [p, d]
  std::vector<double> bias;            // [p] b_L
  std::vector<double> gradient_noise;  // [p] one standard deviation of a component
  std::vector<double> bias_noise;      // [p]
};

/// A line with its distinct pieces, in order.
struct ScannedLine {
  std::vector<double> origin;
  std::vector<double> direction;  // length 1
  std::vector<UniformPiece> pieces;
  Index rejected = 0;  // intervals that are not straight, or whose gradient does not fit the slope
};

/// Lines 2 to 10 of Algorithm 3 for all lines of the grid: a Gaussian line, get_bias and
/// get_gradient at every midpoint, within `most_bytes`. Lines that fit together get their slopes in
/// one batch; a line that does not fit alone goes in blocks. An interval counts only if its
/// gradient along the line is the slope that get_bias saw; the gradient then takes over that slope,
/// which is better known. Equal pieces become one at once, so that what is kept grows with the
/// kinks and not with the intervals. Raises `noise` where a line is steeper than the probe saw;
/// hands over every line as soon as it is scanned.
void scan_lines(Asker& asker, Random& random, const UniformGrid& grid, const QueryPlan& plan,
                Index most_bytes, NoiseModel& noise,
                const std::function<void(ScannedLine)>& scanned);

/// A pair (w, b) of the list S with what is known of it, as relu(<normal, x> + bias), |normal| = 1,
/// not active at the origin.
struct CandidateNeuron {
  std::vector<double> normal;  // [d]
  double bias = 0;
  double size = 0;           // of the jump of the gradient: |coefficient|, if it is one neuron
  double normal_error = 0;   // one standard deviation of a component of the normal
  double offset_error = 0;   // of <normal, x> + bias where it was measured
  Index separation = 0;      // 1: of neighbouring pieces
  std::vector<Index> lines;  // on which lines it was met
};

struct NeuronList {
  std::vector<CandidateNeuron> neurons;
  Index pairs = 0;     // that were formed
  Index left_out = 0;  // pairs not formed because the list was full
};

/// Lines 11 to 15 of Algorithm 3: all pairs of distinct pieces i, j of a line give w = gradient_i -
/// gradient_j and b = <w, x0> - (b_L,i - b_L,j) (the b_L of Definition 4.5 are intercepts of the
/// line: the paper's list leaves out <w, x0>). With several outputs the difference is a matrix [p,
/// d]; its leading rank-one part is the candidate, unless it is clearly of higher rank. Pairs
/// outside the promised bounds (5) are dropped: |w| <= k R, |b| <= k B, k the kinks of the line.
/// Candidates that are (Delta, alpha)-close (Definition 3.1, either orientation) with Delta = alpha
/// = plan.uniform_closeness, or closer than their errors explain, become one: the best measured.
///
/// Neighbours come first, then pairs ever further apart, until `most` candidates are listed. No
/// queries. Memory on the device below `most_bytes`, on the host `most` (d + p) numbers.
NeuronList get_neurons(Device& device, const std::vector<ScannedLine>& lines,
                       const NoiseModel& noise, const QueryPlan& plan, Index most,
                       Index most_bytes);

}  // namespace crease
