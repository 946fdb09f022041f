// Sampling two networks at the same points.
#include "src/cli/sampled_error.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/sampled_pair.hpp"

namespace crease {
namespace {

// Away from the learner's streams and those of planted networks.
constexpr std::uint64_t kStream = 0xfe000000;
constexpr double kNormal99 = 2.5758293035489004;  // of both tails together 1 %

}  // namespace

SampledError sample_error(Device& device, const ReluNetwork& target, const ReluNetwork& learned,
                          Index samples, Seed seed) {
  require(samples >= 2, "sample_error: needs at least 2 samples");
  std::vector<double> errors;
  errors.reserve(static_cast<std::size_t>(samples));
  SampledPair(device, target, learned, seed, kStream, samples).errors(0, samples, errors);

  SampledError result;
  result.largest = *std::max_element(errors.begin(), errors.end());
  if (result.largest == 0) return result;
  // In units of the largest, so that no fourth power over- or underflows.
  const double n = static_cast<double>(samples);
  double mean = 0;
  for (const double error : errors) mean += std::pow(error / result.largest, 2) / n;
  double variance = 0;
  for (const double error : errors) {
    variance += std::pow(std::pow(error / result.largest, 2) - mean, 2) / (n - 1);
  }
  const double half = kNormal99 * std::sqrt(variance / n);
  result.rms = result.largest * std::sqrt(mean);
  result.rms_low = result.largest * std::sqrt(std::max(0.0, mean - half));
  result.rms_high = result.largest * std::sqrt(mean + half);
  return result;
}

}  // namespace crease
