// Sampling two networks at the same points.
#include "src/cli/sampled_error.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"

namespace crease {
namespace {

// Away from the learner's streams and those of planted networks.
constexpr std::uint64_t kStream = 0xfe000000;
constexpr Index kNumbersAtOnce = Index{1} << 22;
constexpr double kNormal99 = 2.5758293035489004;  // of both tails together 1 %

}  // namespace

SampledError sample_error(Device& device, const ReluNetwork& target, const ReluNetwork& learned,
                          Index samples, Seed seed) {
  require(samples >= 2, "sample_error: needs at least 2 samples");
  require(target.inputs() == learned.inputs() && target.outputs() == learned.outputs(),
          "sample_error: the networks must have the same inputs and outputs");
  const Index d = target.inputs();
  const Index p = target.outputs();
  const DeviceNetwork f(device, target);
  const DeviceNetwork g(device, learned);
  const Index most_rows = std::clamp(kNumbersAtOnce / std::max(d, p), Index{1}, samples);
  DeviceMatrix x(device, most_rows, d);
  DeviceMatrix y(device, most_rows, p);
  DeviceMatrix z(device, most_rows, p);

  std::vector<double> errors;
  errors.reserve(static_cast<std::size_t>(samples));
  for (Index first = 0; first < samples; first += most_rows) {
    const Index rows = std::min(most_rows, samples - first);
    const DeviceView points = x.view().row_block(0, rows);
    fill_gaussian(device, seed, kStream, first, 1.0, points);
    f.evaluate(points, y.view().row_block(0, rows));
    g.evaluate(points, z.view().row_block(0, rows));
    const HostMatrix of_target = download(device, y.view().row_block(0, rows));
    const HostMatrix of_learned = download(device, z.view().row_block(0, rows));
    for (Index i = 0; i < rows; ++i) {
      double error = 0;
      for (Index o = 0; o < p; ++o) error = std::hypot(error, of_target(i, o) - of_learned(i, o));
      errors.push_back(error);
    }
  }

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
