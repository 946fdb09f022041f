// The distance of two networks by fresh Gaussian samples.
#pragma once

#include <crease/network.hpp>

#include <cstdint>
#include <vector>

namespace crease {

/// Of e = |F(x) - F'(x)| (Euclidean norm over the outputs), x ~ N(0, I).
struct SampledError {
  double rms = 0;
  double rms_low = 0;   // root of the 99 % interval of the mean of e^2, by the normal theory: mean
  double rms_high = 0;  // +- 2.576 sd(e^2) / sqrt(n). It knows nothing of what no sample has seen.
  double largest = 0;
};

/// Of n >= 2 values of e >= 0.
SampledError summary_of(const std::vector<double>& errors);

/// Of Gaussian points: away from the learner's streams and those of planted networks.
inline constexpr std::uint64_t kVerifyStream = 0xfe000000;

/// n >= 2. Throws BadInput on networks of different inputs or outputs. Waits.
SampledError sample_error(Device& device, const ReluNetwork& target, const ReluNetwork& learned,
                          Index samples, Seed seed);

}  // namespace crease
