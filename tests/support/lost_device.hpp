// A learner from samples whose device is lost, at places spread over all it does.
#pragma once

#include <crease/run.hpp>
#include <crease/samples.hpp>

#include <gtest/gtest.h>

#include "tests/support/failing_device.hpp"

namespace crease {

/// learn(device, source) on devices that are lost at some forty places: before the first fit it
/// throws DeviceError, after that it ends with device_lost and touches the device no more; check()
/// sees what it ended with.
template <class Learn, class Check>
void expect_loss_to_be_an_outcome(SampleSource& source, const Learn& learn, const Check& check) {
  FailingDevice whole;
  learn(whole, source);
  Index lost = 0, thrown = 0;
  for (Index last = 1; last < whole.operations(); last += whole.operations() / 40) {
    FailingDevice device(last);
    source.rewind();
    try {
      const auto result = learn(device, source);
      EXPECT_EQ(result.report.outcome, Outcome::device_lost);
      EXPECT_EQ(result.report.message, FailingDevice::kText);
      EXPECT_EQ(device.touched_after(), 0);
      check(result);
      ++lost;
    } catch (const DeviceError&) {
      ++thrown;
    }
  }
  EXPECT_GT(lost, 0);
  EXPECT_GT(thrown, 0);
}

}  // namespace crease
