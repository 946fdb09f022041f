// What fans say about a network whose neurons are all known: rows of a linear problem.
#pragma once

#include "src/stages/noise.hpp"
#include "src/stages/paid.hpp"
#include "src/stages/unit_network.hpp"

namespace crease {

/// A fan as p rows of the problem
///   gradient of output o at the centre = sum over active j of outputs_j[o] weights_j + gradient_o.
struct FanRows {
  const PaidFan* fan = nullptr;
  std::vector<bool> active;   // [k] at the centre
  std::vector<double> sigma;  // [p] one standard deviation of a component of the measured gradient
};

/// The fans whose centres are certain to lie on one side of every known hyperplane. A direction
/// that crosses known hyperplanes is as good as these are known:
///   sigma_o^2 = mean over j of (noise_o(point j)^2 + noise_o(centre)^2
///                               + sum over crossed i of (offset_error_i outputs_i[o])^2) /
///                               step_j^2.
///
/// fans  must outlive the result; a fan without as many directions as inputs is left out
std::vector<FanRows> fan_rows(Device& device, const UnitNetwork& network, const NoiseModel& noise,
                              const std::vector<const PaidFan*>& fans);

/// The gradients that the fans measured, less what `network` says they are: [n p, d], rows of fan m
/// are m p ...
///
/// From y - f the affine piece of F' at the centre is subtracted, and what the hinges crossed on
/// the way add: not two values of F', whose roundings would be seen.
HostMatrix gradient_residuals(Device& device, const UnitNetwork& network,
                              const std::vector<FanRows>& rows);

/// The coefficients of weights_1 .. weights_k, gradient_1 .. gradient_p in the gradients of the
/// fans: [n p, k + p].
HostMatrix coefficients(const UnitNetwork& network, const std::vector<FanRows>& rows);

/// Heights of one point above every hyperplane, in units of its outputs: <weights_j, x> + bias_j.
std::vector<double> heights_at(const UnitNetwork& network, const std::vector<double>& x);

}  // namespace crease
