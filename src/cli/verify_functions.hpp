// `crease verify` where one of the networks is smooth: as functions, not neuron by neuron.
#pragma once

#include <string>

#include "src/cli/any_network.hpp"
#include "src/cli/device_options.hpp"

namespace crease {

struct VerifyOptions {
  std::string target;
  std::string learned;
  Index samples = 100000;
  Seed seed;
  bool json = false;
  bool softmax = false;
  DeviceOptions device;
};

/// Prints how far they are apart. Inputs and outputs agree.
void verify_functions(const VerifyOptions& options, Device& device, const AnyNetwork& target,
                      const AnyNetwork& learned);

}  // namespace crease
