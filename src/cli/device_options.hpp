// --device and --threads.
#pragma once

#include <crease/device.hpp>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace crease {

struct DeviceOptions {
  std::string device = "auto";
  int threads = 0;  // 0: all cores
};

void add_device_options(CLI::App& verb, DeviceOptions& options);

/// auto: the first GPU where there is one, else the CPU; decided here, once. Throws DeviceError
/// where cuda was asked for and there is none.
std::unique_ptr<Device> open_device(const DeviceOptions& options);

}  // namespace crease
