// Plans that are larger than memory: refused before the first question, with both numbers.
#include <crease/query_learner.hpp>

#include <gmock/gmock.h>

#include <limits>

#include "src/learners/query_memory.hpp"
#include "src/stages/bounded_fit.hpp"
#include "tests/support/failing_device.hpp"
#include "tests/support/noisy_oracle.hpp"
#include "tests/support/planted_network.hpp"

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

TEST(QueryMemoryTest, ACertificateTakesItsErrorsTwiceAndItsAnswers) {
  QueryPlan plan = plan_of(QueryPlan::Mode::adaptive);
  EXPECT_EQ(certificate_bytes_needed(plan, 3, false, {}), 8 * 64 * 5);
  EXPECT_EQ(certificate_bytes_needed(plan, 3, true, {}), 8 * 64 * 8);
  Budget budget;
  budget.queries = 10;
  EXPECT_EQ(certificate_bytes_needed(plan, 3, false, budget), 8 * 10 * 5);
  plan.certificate_points = std::numeric_limits<Index>::max();
  EXPECT_EQ(certificate_bytes_needed(plan, 3, false, {}), Index{1} << 62);
  EXPECT_NO_THROW(check_certificate(plan, 3, false, budget));
  EXPECT_THROW(check_certificate(plan, 3, false, {}), BadInput);
}

TEST(QueryMemoryTest, RowsOfANoisyFitWorkedByHand) {
  QueryPlan plan = plan_of(QueryPlan::Mode::adaptive);
  plan.noisy_rows = 2.5;
  // 11 unknowns without a neuron: 27 rows of 10 inputs and an answer.
  EXPECT_EQ(noisy_bytes_needed(plan, 10, 1, 0), 8 * 27 * 11);
  // Four neurons: 4 (10 + 1) + 11 = 55, 137 rows.
  EXPECT_EQ(noisy_bytes_needed(plan, 10, 1, 4), 8 * 137 * 11);
  // Five outputs: (4 (10 + 5) + 5 * 11) / 5 = 23 each, 57 rows.
  EXPECT_EQ(noisy_bytes_needed(plan, 10, 5, 4), 8 * 57 * 15);
  Budget budget;
  budget.queries = 20;
  EXPECT_EQ(noisy_bytes_needed(plan, 10, 1, 4, budget), 8 * 20 * 11);
  EXPECT_EQ(noisy_bytes_needed(plan, std::numeric_limits<Index>::max() / 4, 1, 1), Index{1} << 62);
  EXPECT_THROW(noisy_bytes_needed(plan, 10, 1, -1), BadInput);
  EXPECT_THROW(noisy_bytes_needed(plan, 0, 1, 1), BadInput);
}

TEST(QueryMemoryTest, NoMemoryForNoisyRowsEndsTheRunWithBothNumbers) {
  QueryPlan plan = plan_of(QueryPlan::Mode::adaptive);
  plan.certificate_points = plan.look_points = 16;
  const Index need = noisy_bytes_needed(plan, 40, 1, 0);
  ASSERT_GT(need, device_bytes_needed(plan, 40, 1));  // else nothing would be asked
  const ReluNetwork affine = planted_network(40, 0, 1, 3);
  FailingDevice device;
  device.claim_free(need - 1);
  const auto oracle = noisy_oracle(affine, 1e-3);
  const RunReport report = learn_from_queries(device, *oracle, {}, plan, {}).report;
  EXPECT_EQ(to_string(report.outcome), "not_reached");
  EXPECT_EQ(report.method, "noisy");
  EXPECT_THAT(report.message,
              HasSubstr("the rows of a fit need " + std::to_string(need) + " bytes at one time"));
  EXPECT_THAT(report.message, HasSubstr("has " + std::to_string(need - 1) + " free"));
  EXPECT_EQ(report.queries.size(), 1U);  // the noise, and nothing after it
  // No noisy run holds less: the same with as much as that comes to a fit.
  device.claim_free(need);
  const auto again = noisy_oracle(affine, 1e-3);
  EXPECT_GT(learn_from_queries(device, *again, {}, plan, {}).report.queries.at("least_squares"), 0);
  EXPECT_GE(device.stats().peak_bytes, need);
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
