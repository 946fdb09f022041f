// Where the two-layer learner begins: directions from Hermite moments of the examples.
#pragma once

#include <vector>

#include "src/stages/joint_diagonal.hpp"
#include "src/stages/rectified_sum.hpp"
#include "src/stages/sample_moments.hpp"

namespace crease {

/// Linear functions of an example: out = from_y clip(y) + from_x x + constant.
struct LinearLabels {
  HostMatrix from_y;             // [r, p]
  HostMatrix from_x;             // [r, d]
  std::vector<double> constant;  // [r]

  Index count() const { return from_y.rows(); }
};

/// Answers less their best affine approximation, of unit variance each; only the `most` principal
/// components where there are more outputs. Of y = U relu(V x) what is even in x is left: relu(z) =
/// z / 2 + |z| / 2. `means` are those of inputs with E x x^T = I.
LinearLabels even_labels(const SampleMeans& means, Index most);

/// The r labels of every example; `bounds` [2, p] clips y first (empty: not), `shift` moves labels
/// that many rows on (within what is seen at once), which makes them independent of x.
SampleView view_of(Device& device, const LinearLabels& labels, ConstDeviceView bounds, Index shift);

/// span = B^T B + 1/2 sum_l M_l^2 from the first and second Hermite moments B = E y x^T, M_l = E
/// l (x x^T - I), over the first `rows` rows (0: all): its range is the span of V.
struct SpanMoments {
  HostMatrix second;  // M_l [r d, d], one above the other
  HostMatrix span;    // [d, d]
};
SpanMoments span_moments(Device& device, Examples& examples, const SampleMeans& means,
                         const LinearLabels& labels, ConstDeviceView bounds, Index rows = 0);

/// Eigenvalues of that matrix above 1.1 times the largest of three whose labels were shifted
/// against x: the dimension of the span of V that these examples show, at least 0.
Index visible_dimensions(Device& device, Examples& examples, const SampleMeans& means,
                         const SpanMoments& moments, ConstDeviceView bounds);

/// Candidates for V [k, d], unit rows of any signs, the best first: T_l = P^T M_l P, P the span's k
/// leading eigenvectors, diagonalised jointly; with `fourth`, slices of the fourth Hermite moments
/// in these k dimensions besides (one output: its M alone gives the span and no more). Candidates
/// with two rows nearly parallel, and near doubles, are left out; there may be none.
struct StartPlan {
  int tries = 4;
  int iterations = 50;
  int most = 4;
  bool agree = true;    // tries end once two of them agree
  bool fourth = false;  // for powers other than 1, third ones instead
};
std::vector<HostMatrix> two_layer_starts(Device& device, Examples& examples,
                                         const LinearLabels& labels, const SpanMoments& moments,
                                         ConstDeviceView bounds, Index neurons, double power,
                                         Random& random, const StartPlan& plan);

}  // namespace crease
