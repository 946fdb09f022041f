// Plans that are larger than memory: refused before the first question, with both numbers.
#include <crease/query_learner.hpp>

#include <gmock/gmock.h>

#include <limits>

#include "src/stages/bounded_fit.hpp"
#include "tests/support/failing_device.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

QueryPlan plan_of(QueryPlan::Mode mode) {
  QueryPlan plan;
  plan.mode = mode;
  plan.certificate_points = 64;
  plan.look_points = 32;
  plan.uniform_lines = 1;
  plan.uniform_intervals = 16;
  plan.uniform_samples = 64;
  return plan;
}

constexpr QueryPlan::Mode kModes[] = {QueryPlan::Mode::adaptive, QueryPlan::Mode::uniform};

/// A constant: no network asks less of memory. Counts what it was asked.
class Constant final : public Oracle {
 public:
  Constant(Index d, Index p) : d_(d), p_(p) {}
  Index input_dim() const override { return d_; }
  Index output_dim() const override { return p_; }
  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    asked += x.rows;
    device.copy_in(HostMatrix(y.rows, y.cols, 3.0), y);
  }
  Index asked = 0;

 private:
  Index d_;
  Index p_;
};

/// The text of the refusal, or "ran".
std::string refusal(FailingDevice& device, Constant& oracle, const QueryPlan& plan,
                    const Budget& budget) {
  RunControl run;
  run.budget = budget;
  try {
    learn_from_queries(device, oracle, {}, plan, run);
    return "ran";
  } catch (const BadInput& error) {
    return error.what();
  }
}

TEST(QueryMemoryTest, ADeviceWithLessThanThePlanNeedsIsRefusedWithBothNumbers) {
  for (const QueryPlan::Mode mode : kModes) {
    const QueryPlan plan = plan_of(mode);
    const Index need = device_bytes_needed(plan, 20, 2);
    FailingDevice device;
    Constant oracle(20, 2);
    device.claim_free(need - 1);
    const std::string text = refusal(device, oracle, plan, {});
    EXPECT_THAT(text, HasSubstr("the plan is larger than memory"));
    EXPECT_THAT(text, HasSubstr("needs " + std::to_string(need) + " bytes"));
    EXPECT_THAT(text, HasSubstr("has " + std::to_string(need - 1) + " free"));
    EXPECT_EQ(oracle.asked, 0);
    EXPECT_EQ(device.operations(), 0);

    device.claim_free(need);
    EXPECT_EQ(refusal(device, oracle, plan, {}), "ran");
    device.claim_free(std::nullopt);
    EXPECT_EQ(refusal(device, oracle, plan, {}), "ran");
  }
}

TEST(QueryMemoryTest, ABudgetTooSmallForOneChunkIsRefusedWithBothNumbers) {
  for (const QueryPlan::Mode mode : kModes) {
    const QueryPlan plan = plan_of(mode);
    const Index need = chunk_bytes_needed(plan, 5, 2);
    FailingDevice device;
    Constant oracle(5, 2);
    Budget budget;
    budget.device_bytes = need - 1;
    const std::string text = refusal(device, oracle, plan, budget);
    EXPECT_THAT(text, HasSubstr("needs " + std::to_string(need) + " bytes"));
    EXPECT_THAT(text, HasSubstr("device_bytes allows " + std::to_string(need - 1)));
    EXPECT_EQ(oracle.asked, 0);

    budget.device_bytes = need;
    EXPECT_EQ(refusal(device, oracle, plan, budget), "ran");
  }
}

// A plan that would have fitted must not be refused: no run holds less than the number says.
TEST(QueryMemoryTest, NoRunHoldsLessThanWhatItIsSaidToNeed) {
  for (const QueryPlan::Mode mode : kModes) {
    for (const auto& [d, p] : {std::pair<Index, Index>{1, 1}, {2, 3}, {10, 1}, {40, 7}}) {
      for (const double resolution : {0.0, 0.5}) {
        for (const bool little : {false, true}) {
          QueryPlan plan = plan_of(mode);
          plan.resolution = resolution;
          Budget budget;
          if (little) budget.device_bytes = chunk_bytes_needed(plan, d, p);
          FailingDevice device;
          Constant oracle(d, p);
          ASSERT_EQ(refusal(device, oracle, plan, budget), "ran");
          EXPECT_GE(device.stats().peak_bytes, device_bytes_needed(plan, d, p, budget))
              << "d=" << d << " p=" << p << " resolution=" << resolution << " little=" << little
              << (mode == QueryPlan::Mode::uniform ? " uniform" : " adaptive");
        }
      }
    }
  }
}

TEST(QueryMemoryTest, NumbersWorkedByHand) {
  QueryPlan plan = plan_of(QueryPlan::Mode::adaptive);
  // 64 points of 10 inputs with two answers each, twice: 64 * (10 + 4) = 896 > 100 + 100 + 20.
  EXPECT_EQ(device_bytes_needed(plan, 10, 2), 8 * 896);
  // Directions, the points around one centre, and their answers: 100^2 + 100^2 + 100.
  EXPECT_EQ(device_bytes_needed(plan, 100, 1), 8 * 20100);
  Budget budget;
  budget.device_bytes = 8 * 101 * 7;  // seven points with their answers
  EXPECT_EQ(device_bytes_needed(plan, 100, 1, budget), 8 * 10800);
  budget = {};
  budget.queries = 5;
  EXPECT_EQ(device_bytes_needed(plan, 1, 1, budget), 8 * 15);
  plan.resolution = 0.01;  // 3140 points of the hunt
  EXPECT_EQ(device_bytes_needed(plan, 10, 2), 8 * 3140 * 14);
  EXPECT_EQ(chunk_bytes_needed(plan, 10, 2), 8 * 12);
}

TEST(QueryMemoryTest, TheUniformChunkIsWhatItsRegressionCanWorkWith) {
  const QueryPlan plan = plan_of(QueryPlan::Mode::uniform);
  for (const auto& [d, p] : {std::pair<Index, Index>{1, 1}, {10, 2}, {100, 10}}) {
    const Index chunk = chunk_bytes_needed(plan, d, p);
    EXPECT_GE(reduction_columns(chunk / 2), d + 2 + p);  // one neuron at least
  }
}

TEST(QueryMemoryTest, NumbersBeyondCountingAreNumbersToo) {
  constexpr Index kHuge = std::numeric_limits<Index>::max() / 4;
  const QueryPlan plan = plan_of(QueryPlan::Mode::adaptive);
  EXPECT_EQ(device_bytes_needed(plan, kHuge, 1), Index{1} << 62);
  EXPECT_EQ(chunk_bytes_needed(plan, kHuge, kHuge), Index{1} << 62);
  EXPECT_THROW(device_bytes_needed(plan, 0, 1), BadInput);
  EXPECT_THROW(device_bytes_needed(plan, 1, 0), BadInput);
  EXPECT_THROW(chunk_bytes_needed(plan, 0, 1), BadInput);
}

TEST(QueryMemoryTest, TheCpuKnowsItsMemory) {
  const auto device = make_cpu_device({.threads = 1});
  const auto before = device->free_bytes();
  ASSERT_TRUE(before.has_value());
  EXPECT_GT(*before, Index{1} << 20);
  const DeviceMatrix held(*device, 1000, 1000);
  EXPECT_EQ(*before - *device->free_bytes(), 8000000);
}

}  // namespace
}  // namespace crease
