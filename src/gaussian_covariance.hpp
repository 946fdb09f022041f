// Covariances among the bundles of a network, less what their affine parts share.
#pragma once

#include <crease/device.hpp>

#include <limits>
#include <optional>

#include "src/gaussian_bundles.hpp"

namespace crease {

struct Covariance {
  double sum = 0;    // over all pairs of bundles, each counted twice
  double error = 0;  // bound on the rounding of what is added hinge by hinge: eps sum of |J| |J'|
};

/// Pairs of bundles that both cancel: their profiles against each other, so that rounding is that
/// of the profiles, where the sine of their angle is at least 0.3. All others: hinge by hinge, on
/// the device.
Covariance covariance_of(Device& device, std::vector<Bundle> bundles);

struct GaussianVariance {
  double value = 0;
  double error = 0;  // of Covariance
};

/// The variance of a network under N(0, I), with what its rounding is about; none where more than
/// `most_cancelling` bundles cancel (their pairs cost about a microsecond each).
std::optional<GaussianVariance> variance_of(
    Device& device, const ReluNetwork& network,
    std::size_t most_cancelling = std::numeric_limits<std::size_t>::max());

}  // namespace crease
