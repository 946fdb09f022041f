// A device that fails in the middle of a run, at every one of its operations in turn: what was paid
// for is never lost, and what is gone is left alone.
#include <crease/query_learner.hpp>

#include <gtest/gtest.h>

#include <new>
#include <ostream>

#include "src/families.hpp"
#include "tests/support/asking.hpp"
#include "tests/support/failing_device.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

struct Setting {
  std::string name;
  Index inputs = 2;
  Index neurons = 2;
  Index outputs = 1;
  RecordingOracle::Manner manner = RecordingOracle::Manner::structured;
  QueryProblem problem;
  QueryPlan plan;
  std::optional<Index> budget;
  std::optional<Index> stop_after;  // questions
  Index stride = 1;                 // of the operations that are tried
};

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.name;
}

Setting small(std::string name) {
  Setting s;
  s.name = std::move(name);
  s.plan.certificate_points = 16;
  s.plan.look_points = 16;
  return s;
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  all.push_back(small("adaptive"));

  all.push_back(small("opaque"));
  all.back().manner = RecordingOracle::Manner::opaque;
  all.back().inputs = 3;
  all.back().outputs = 2;

  all.push_back(small("several_lines"));
  all.back().inputs = 1;
  all.back().neurons = 5;

  all.push_back(small("hunt"));
  all.back().plan.resolution = 0.05;

  all.push_back(small("more_accurate_than_possible"));  // refines, and goes on after certificates
  all.back().problem.accuracy = 1e-16;
  all.back().plan.lines = 4;
  all.back().stride = 3;

  all.push_back(small("larger"));
  all.back().inputs = 4;
  all.back().neurons = 12;
  all.back().plan.look_points = 64;
  all.back().stride = 7;

  all.push_back(small("out_of_budget"));
  all.back().inputs = 4;
  all.back().neurons = 6;
  all.back().budget = 300;

  all.push_back(small("slice"));
  all.back().inputs = 6;
  all.back().neurons = 3;
  all.back().plan.slice_from = 1;
  all.back().stride = 3;

  all.push_back(small("stopped"));
  all.back().stop_after = 4;

  all.push_back(small("uniform"));
  all.back().plan.mode = QueryPlan::Mode::uniform;
  all.back().plan.uniform_lines = 2;
  all.back().plan.uniform_intervals = 16;
  all.back().plan.uniform_samples = 64;

  all.push_back(all.back());
  all.back().name = "uniform_stopped";
  all.back().stop_after = 5;
  return all;
}

struct Finished {
  std::optional<Learned<ReluNetwork>> learned;  // none where an error was thrown
  std::string error;
  Index answered = 0;
};

Finished learn(const Setting& s, FailingDevice& device) {
  RecordingOracle oracle(planted_network(s.inputs, s.neurons, s.outputs, 7), s.manner);
  RunControl control;
  control.budget.queries = s.budget;
  Index questions = 0;
  if (s.stop_after) control.stop = [&] { return ++questions > *s.stop_after; };
  Finished run;
  try {
    run.learned = learn_from_queries(device, oracle, s.problem, s.plan, control);
  } catch (const DeviceError& error) {
    run.error = error.what();
  }
  run.answered = oracle.points();
  return run;
}

class DeviceLostTest : public testing::TestWithParam<Setting> {};

TEST_P(DeviceLostTest, AtEveryOperationTheRunEndsWithABestNetwork) {
  const Setting& s = GetParam();
  FailingDevice whole;
  const Finished reference = learn(s, whole);
  ASSERT_TRUE(reference.learned.has_value()) << reference.error;
  const Index operations = whole.operations();
  ASSERT_GT(operations, 50);
  Index lost = 0;
  Index neurons = 0;
  for (Index last = 0; last < operations; last += s.stride) {
    SCOPED_TRACE(s.name + ": the last operation is " + std::to_string(last) + " of " +
                 std::to_string(operations));
    FailingDevice device(last);
    const Finished run = learn(s, device);

    EXPECT_EQ(device.touched_after(), 0);
    EXPECT_EQ(device.stats().bytes_in_use, 0);
    if (!run.learned) {
      EXPECT_EQ(lost, 0) << "thrown after a run that had kept its answers";
      EXPECT_EQ(run.error, FailingDevice::kText);
      continue;
    }
    ++lost;
    const RunReport& report = run.learned->report;
    EXPECT_EQ(to_string(report.outcome), "device_lost");
    EXPECT_EQ(report.message, FailingDevice::kText);
    EXPECT_NO_THROW(check(run.learned->network));
    EXPECT_EQ(run.learned->network.inputs(), s.inputs);
    EXPECT_EQ(run.learned->network.outputs(), s.outputs);
    EXPECT_EQ(report.neurons, run.learned->network.neurons());
    EXPECT_GE(report.neurons, neurons) << "a run that lasted longer found less";
    neurons = report.neurons;
    EXPECT_FALSE(report.certificate.has_value());
    EXPECT_FALSE(report.rms_error.has_value());
    EXPECT_FALSE(report.relative_error.has_value());
    EXPECT_GT(report.learning_queries, 0);
    EXPECT_LE(report.learning_queries + report.certificate_queries, run.answered);
  }
  EXPECT_GT(lost, operations / s.stride / 2);
}

std::string setting_name(const testing::TestParamInfo<Setting>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Runs, DeviceLostTest, testing::ValuesIn(settings()), setting_name);

// What was found before stays: a device that is lost at the certificate costs no neuron.
TEST(DeviceLostAtTheEndTest, EveryNeuronIsKept) {
  for (const Setting& s : settings()) {
    if (s.budget || s.stop_after) continue;
    SCOPED_TRACE(s.name);
    FailingDevice whole;
    const Finished reference = learn(s, whole);
    ASSERT_TRUE(reference.learned.has_value());
    FailingDevice device(whole.operations() - 1);
    const Finished run = learn(s, device);
    ASSERT_TRUE(run.learned.has_value()) << run.error;
    EXPECT_EQ(to_string(run.learned->report.outcome), "device_lost");
    EXPECT_EQ(run.learned->network.neurons(), reference.learned->network.neurons());
  }
}

// The host's memory ends like the device's: with the best network. The callback stands for any
// allocation of the learner's own.
TEST(HostMemoryTest, WhatIsPaidForIsKept) {
  const Setting s = small("memory");
  const auto device = make_cpu_device({.threads = 1, .poison = true});
  RecordingOracle oracle(planted_network(s.inputs, s.neurons, s.outputs, 7), s.manner);
  RunControl control;
  control.log = [&](const Event& event) {
    if (event.stage == "looks") throw std::bad_alloc();
  };
  const auto learned = learn_from_queries(*device, oracle, s.problem, s.plan, control);
  EXPECT_EQ(to_string(learned.report.outcome), "device_lost");
  EXPECT_NE(learned.report.message.find("memory"), std::string::npos);
  EXPECT_GT(learned.network.neurons(), 0);
}

TEST(HostMemoryTest, BeforeTheFirstAnswerItIsAnError) {
  const auto device = make_cpu_device({.threads = 1, .poison = true});
  RecordingOracle oracle(planted_network(2, 2, 1, 7), RecordingOracle::Manner::structured);
  RunControl control;
  control.stop = []() -> bool { throw std::bad_alloc(); };
  EXPECT_THROW(learn_from_queries(*device, oracle, {}, {}, control), std::bad_alloc);
  EXPECT_EQ(oracle.points(), 0);
}

}  // namespace
}  // namespace crease
