// Every backend as a test parameter, and matrices with a stride on it.
#pragma once

#include <crease/device.hpp>

#include <gtest/gtest.h>

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

namespace crease {

enum class Backend { cpu, cuda };

/// The backends of this build: the CPU always, CUDA where it is in.
std::vector<Backend> backends();

/// How GoogleTest prints the parameter.
void PrintTo(Backend backend, std::ostream* out);

/// The last part of a test's name.
std::string backend_name(const testing::TestParamInfo<Backend>& info);

/// A fresh poisoned device per test. Without a GPU a CUDA test is skipped, by name; with
/// CREASE_REQUIRE_GPU=1 it fails.
class EveryBackend : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override;

  Device& device() { return *device_; }

 private:
  std::unique_ptr<Device> device_;
};

/// Runs a test suite derived from EveryBackend on every backend.
#define CREASE_ON_EVERY_BACKEND(Suite)                                               \
  INSTANTIATE_TEST_SUITE_P(Backends, Suite, testing::ValuesIn(::crease::backends()), \
                           ::crease::backend_name)

/// A device matrix inside a wider and higher one: every row is followed and preceded by foreign
/// elements, which are NaN and must stay it.
class Padded {
 public:
  /// Elements are NaN where there is no `values`.
  Padded(Device& device, Index rows, Index cols);
  Padded(Device& device, ConstHostView values);

  DeviceView view() { return inside_; }
  operator DeviceView() { return inside_; }
  operator ConstDeviceView() const { return inside_; }

  /// The elements; fails the test if one of the foreign elements was written.
  HostMatrix read();

 private:
  Device& device_;
  DeviceMatrix all_;
  DeviceView inside_;
};

}  // namespace crease
