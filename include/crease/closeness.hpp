// Closeness of neurons and the merging of close ones (Section 3 of Chen, Klivans, Meka 2021).
#pragma once

#include <crease/network.hpp>

namespace crease {

/// A neuron as the paper writes it: x -> relu(<weights, x> - threshold).
struct Neuron {
  std::vector<double> weights;
  double threshold = 0;
};

/// (Delta, alpha)-closeness (Definition 3.1): |sin angle(v, v')| <= delta and
/// |b v' - b' v| <= alpha |v| |v'|. Free of the scale and of the orientation of either neuron; both
/// tests allow for their own rounding, (d + 4) eps, so that multiples of one neuron are (0,
/// 0)-close. Throws BadInput on different sizes, a zero weight vector, or bounds that are negative
/// or not finite.
bool are_close(const Neuron& a, const Neuron& b, double delta, double alpha);

/// The network with every cluster of pairwise close neurons replaced by at most two neurons on one
/// hyperplane, or by an affine function, whichever is nearer to the cluster under N(0, I) (Lemma
/// 3.9: at least one of the two is near; both distances are computed, not bounded).
///
/// Clusters are formed greedily in order: a neuron joins the first cluster to all of whose members
/// it is close, output directions included (|sin angle(u, u')| <= delta; nothing to ask with one
/// output). With o_i = +-1 the side of member i (Lemma 3.3), s_i = +-1 the sign of its output along
/// the first member's, v_i = |u_i| w_i and b_i = -|u_i| bias_i, the two replacements are
///   hinge   a+ relu(y) + a- relu(-y) + rest, y = <v*, x> - b*, v* = sum o_i s_i v_i and b* = sum
///           o_i s_i b_i (Lemma 3.9); a+, a- in R^p are the slopes along y of what the members of
///           either side add up to (Lemma 3.6), and the affine rest, which goes to the linear part,
///           makes it equal to the cluster wherever every member is on the same side as y. Hence,
///           with one output, n_i, c_i = o_i v_i / |v_i|, o_i b_i / |v_i| and n*, c* their mean
///           with weights s_i |v_i|:  rms error <= sum |v_i| hypot(|n_i - n*|, |c_i - c*|).
///   affine  the best under N(0, I): gradient sum Q(c_i) u_i w_i^T, and the mean.
/// Neurons close to nobody, dead neurons, and clusters that would not get smaller stay as they are.
/// Throws BadInput as check() does, on a power other than 1, and unless 0 <= delta < sqrt(1/2) and
/// 0 <= alpha < infinity.
ReluNetwork merge_close(const ReluNetwork& network, double delta, double alpha);

}  // namespace crease
