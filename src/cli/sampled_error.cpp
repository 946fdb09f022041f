// Sampling two networks at the same points.
#include "src/cli/sampled_error.hpp"

#include <algorithm>
#include <cmath>

#include "src/sampled_pair.hpp"

namespace crease {
namespace {

constexpr double kNormal99 = 2.5758293035489004;  // of both tails together 1 %

}  // namespace

SampledError summary_of(const std::vector<double>& errors) {
  require(errors.size() >= 2, "sampled error: needs at least 2 samples");
  SampledError result;
  result.largest = *std::max_element(errors.begin(), errors.end());
  if (result.largest == 0) return result;
  // In units of the largest, so that no fourth power over- or underflows.
  const double n = static_cast<double>(errors.size());
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

SampledError sample_error(Device& device, const ReluNetwork& target, const ReluNetwork& learned,
                          Index samples, Seed seed) {
  require(samples >= 2, "sample_error: needs at least 2 samples");
  std::vector<double> errors;
  errors.reserve(static_cast<std::size_t>(samples));
  SampledPair(device, target, learned, seed, kVerifyStream, samples).errors(0, samples, errors);
  return summary_of(errors);
}

}  // namespace crease
