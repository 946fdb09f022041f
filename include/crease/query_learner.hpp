// Learn a network with one hidden ReLU layer from the answers of a black box.
#pragma once

#include <crease/network.hpp>
#include <crease/oracle.hpp>
#include <crease/run.hpp>

#include <optional>

namespace crease {

/// What the caller wants. Promises only tighten statement (B) of the certificate.
struct QueryProblem {
  double accuracy = 1e-8;           // wanted rms(F - F') / sd(F) under N(0, I); > 0
  double failure = 0.01;            // delta of the certificate; in (0, 1)
  std::optional<double> lipschitz;  // promise: F - F' is L-Lipschitz; > 0
  // Wanted largest error of |u| w and |u| bias of every neuron; in (0, 1), 2^-40 is a good one.
  // None: whatever the accuracy above needs.
  std::optional<double> polish;
};

/// Every number a run uses, with the reason of its default. Sources: Chen, Klivans, Meka 2021 ("the
/// paper") and the measurements in src/README.md.
struct QueryPlan {
  enum class Mode { adaptive, uniform };
  Mode mode = Mode::adaptive;

  // Certificate and looks
  Index certificate_points = 2048;  // 0: none, and then the outcome is never `reached`
  Index look_points = 256;          // fresh Gaussian points after each line
  double resolution = 0;            // > 0: slabs ("bumps") of this width are hunted
  double hunt_density =
      31.4;  // hunt points = hunt_density / resolution: ln(200) over the point density at 1.28

  // Line search
  double sigmas =
      10;  // every accept-or-reject test: |deviation| <= sigmas * its standard deviation
  Index first_cells = 64;     // cells of the first line; cost is flat from 16 to 256
  Index deflated_cells = 32;  // cells of later lines
  double reach =
      1000;  // lines go out to reach * sqrt(d): kinks are Cauchy distributed with scale sqrt(d)
  double cell_share = 0.05;  // a predicted kink this close to the end of its cell is not trusted
  double cell_step = 0.25;  // query beside a predicted kink, this share towards the unverified side
  double flank = 1e-7;      // flank pairs stand this share of their gap from the kink
  // With p >= 2 outputs two lines that meet prove a single kink unless two kinks with parallel
  // jumps hide in one gap; flank pairs (2 queries a kink) see those too.
  bool flank_every_kink = true;
  double angle_resolution = 1e-4;  // angle at which noise may hide a kink of typical size
  Index line_rounds = 80;
  Index line_points = 400000;

  // Gradients
  double step_share =
      1.0 / 16;  // finite-difference step, share of the half width of a piece; 1/8 doubles retries
  double shrink = 8;  // a failed gradient is asked again with its step divided by this ...
  Index retries = 4;  // ... this often
  double gap_accuracy = 0x1p-26;  // pieces whose gradient would be worse than this times the
                                  // typical jump are left to later lines
  double gap_relax = 0x1p7;       // the same, times this after every line without progress
  double neuron_accuracy = 0.05;  // largest relative error of a neuron's weights that is accepted
  double group_conditioning =
      0.05;  // least singular value of a group of jumps that share one gradient

  // Loop
  Index lines = 14;           // at most, in one run
  Index idle_lines = 6;       // in a row that add no neuron: the search gives up
  bool least_squares = true;  // the regression stage (Section 4.4 of the paper), on the residual

  // Answers that are not exact
  Index noisy_lines = 4;  // at most; one is enough where its neurons explain the function
  double noisy_rows =
      2.5;  // rows of the fit per unknown: the best fit's error is 0.8 of an answer's
  Index noisy_rounds = 14;    // of adding neurons and fitting again that gain less than a fifth
  Index noisy_steps = 40;     // of Levenberg and Marquardt in one fit
  double noisy_queries = 20;  // per k (d + 1) of the widest network so far: no round beyond that

  // Slice and lift: F on a few-dimensional slice first, then one gradient for each neuron
  Index slice_from = 200;        // inputs from which on a run begins that way
  Index slice_size = 0;          // coordinates of a slice; 0: inputs / 40, from 4 to 32
  Index slice_look_points = 64;  // of each look at a slice: what it misses shows in the lift

  // Uniform mode, the paper's scan: every number of it is fixed before the first query.
  Index uniform_lines = 20;       // independent Gaussian lines. A kink lies on the part that is cut
                                  // up with probability 0.8, and not always apart from others: with
                                  // 10 lines a neuron was missed in 1 of 60 runs
  double uniform_span = 3;        // lines are cut up on [-span, span] in units of sqrt(d): tau
  Index uniform_intervals = 256;  // of each line, at least: kinks nearer than that stay unseen
  double uniform_density = 200;  // with a resolution: intervals over all lines = this / resolution.
                                 // A triangle of that width needs both halves hit on one line: it
                                 // is missed with probability 4e-4 (with 60: 0.5)
  double uniform_bias_share = 0.25;  // get_bias measures slopes on this share of each interval: the
                                     // shorter, the smaller the pieces that are seen
  double uniform_step = 1.0 / 32;    // finite-difference step, share of an interval: crosses a
                                     // hyperplane that get_bias did not see only if that is nearly
                                     // parallel to the line (alpha of Lemma 4.10)
  Index uniform_samples = 2048;     // fresh points of the regression, besides 4 (d + 1); they carry
                                    // 3/8 as many candidate neurons
  double uniform_closeness = 1e-9;  // (Delta, alpha) of candidates that become one, unless their
                                    // measured errors allow more
  std::optional<double> uniform_weight_bound;  // promise: |u| |w| <= R for every neuron
  std::optional<double> uniform_bias_bound;    // promise: |u| |bias| <= B for every neuron
};

/// Learns F(x) = sum_i u_i relu(<w_i, x> + b_i) + <g, x> + c from queries; the width is found, not
/// given.
///
/// d, p   the oracle's
/// plan   refused with BadInput where a number is out of its range
/// run    budget, seed, log, stop
///
/// Throws BadInput (bad problem or plan, or a plan larger than memory: device_bytes_needed, or a
/// certificate that the host cannot hold, with both numbers, before the first question),
/// OracleError (the first answer failed) or DeviceError before the first answer; after it every
/// ending is an Outcome and the best network so far is returned. Waits. The same seed, device and
/// thread count give the same bits. Source: Chen, Klivans, Meka 2021, made adaptive.
Learned<ReluNetwork> learn_from_queries(Device& device, Oracle& oracle, const QueryProblem& problem,
                                        const QueryPlan& plan = {}, const RunControl& run = {});

/// Queries that the uniform mode asks of a function of d inputs, to the last one, certificate
/// included: 40 for the noise, d + 3 per interval, uniform_samples + 4 (d + 1) for the regression.
/// Throws BadInput on a plan out of its range, d < 1, or a price beyond 2^62.
Index queries_needed(const QueryPlan& plan, Index d);

/// Bytes of device memory that every run of a plan holds at one time, whatever it finds: the
/// largest of
///   a gradient   [d, d] directions, and a chunk of the d points around one centre with its answers
///   a batch      of look_points, certificate_points or hunt points, or a chunk of it: points,
///                answers, and the network's own answers
/// Neurons come on top (8 k (d + p) bytes and more), and how many there are is not known before. An
/// oracle that knows fans needs no points, and is held to the same number.
///
/// d, p  inputs and outputs, at least 1
/// Throws BadInput on a plan out of its range. 2^62 stands for that and more.
Index device_bytes_needed(const QueryPlan& plan, Index d, Index p, const Budget& budget = {});

/// Bytes of device memory that the fit of answers that are not exact holds on top of that, for a
/// network of k neurons: rows of d inputs and p answers, noisy_rows (k (d + p) / p + d + 1) of them
/// but no more than the budget allows. Whether answers are exact, and k, is not known before:
/// a run that finds no memory for k = 0 ends with not_reached, after the probe of the noise.
///
/// d, p at least 1, k at least 0. Errors as above.
Index noisy_bytes_needed(const QueryPlan& plan, Index d, Index p, Index k,
                         const Budget& budget = {});

/// The least Budget::device_bytes that a plan can work with: one point with its answers; in uniform
/// mode one interval of the scan, and the factor of the regression. Errors as above.
Index chunk_bytes_needed(const QueryPlan& plan, Index d, Index p);

}  // namespace crease
