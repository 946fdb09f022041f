// A known network as a learner would hold it.
#pragma once

#include "src/stages/hypothesis.hpp"

namespace crease {

/// The same function, every neuron turned inactive at the base, with these errors of its unit
/// normals and of its offsets.
Hypothesis hypothesis_of(const ReluNetwork& network, const std::vector<double>& base,
                         double normal_error, double offset_error);

/// Normals, biases, scales and the affine part moved by Gaussian errors of these standard
/// deviations (relative for scales); what the hypothesis says of its errors stays.
Hypothesis disturbed(Hypothesis hypothesis, double by, std::uint64_t seed);

}  // namespace crease
