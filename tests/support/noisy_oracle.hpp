// Answers with an error of a known size.
#pragma once

#include <crease/oracle.hpp>

namespace crease {

/// A network's values and a normal error of standard deviation sigma, a pure function of the point.
std::unique_ptr<Oracle> noisy_oracle(const ReluNetwork& truth, double sigma);

}  // namespace crease
