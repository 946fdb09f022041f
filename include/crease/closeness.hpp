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
/// |b v' - b' v| <= alpha |v| |v'|. Throws BadInput on different sizes, a zero weight vector, or
/// negative bounds.
bool are_close(const Neuron& a, const Neuron& b, double delta, double alpha);

/// The network with every cluster of pairwise close neurons (same output direction up to sign and
/// size, or one output) replaced by at most two neurons on one hyperplane, or by an affine function
/// where their sum v* = sum of signed weights is at most (delta R)^(2/9) (Lemmas 3.6 to 3.9).
/// Clusters are formed greedily in order; neurons close to nobody stay as they are. Throws BadInput
/// as are_close() and check() do.
ReluNetwork merge_close(const ReluNetwork& network, double delta, double alpha);

}  // namespace crease
