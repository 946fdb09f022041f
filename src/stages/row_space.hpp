// Exact directions of y = U f(V x) from the row space of the answers.
#pragma once

#include "src/stages/rectified_sum.hpp"
#include "src/stages/sample_moments.hpp"

namespace crease {

struct RowSpacePlan {
  double margin = 0.6;  // first |<v_i, x>| beyond which the side of neuron i is taken as known
  double least_margin = 1e-9;
  double rank = 1e-7;  // of the largest singular value of Y: U has full column rank above
  // Step of a direction that ends the iterations: with sides known beyond a margin of that order,
  // null vectors and regressions are exact.
  double still = 1e-7;
  Index iterations = 12;
  Index most_bytes = Index{1} << 30;
};

/// Where U [p, k] has full column rank and answers have no errors, the k rows of f(V X) span the
/// row space of Y. On the points where neuron i is off, row i vanishes: q_i is the null vector of
/// the Gram matrix of an orthonormal basis Z of that space over these points, h_i = q_i^T Z = c
/// f(<v_i, x>), and v_i follows by regression of h_i^(1/power) over the points where it is on. Both
/// sides are known beyond a margin, which shrinks with the step. (Step of Bakshi, Jayaram, Woodruff
/// 2019; the repetition is ours.) The result says nothing of itself: only the residual of the
/// network with these directions does. 4 k d rows are looked at, 2000 at least.
///
/// means  of the examples, whose inputs have E x x^T = I
/// start  [k, d] directions, right to some degrees but for their sign
/// No value where the answers have rank below k, too few points are on one side of a neuron, or a
/// step is not a tenth of the one before: answers with errors.
std::optional<HostMatrix> directions_from_row_space(Device& device, Examples& examples,
                                                    const SampleMeans& means,
                                                    const HostMatrix& start, double power,
                                                    const RowSpacePlan& plan = {});

}  // namespace crease
