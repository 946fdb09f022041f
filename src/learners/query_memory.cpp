// How much device memory a plan needs, before anything is asked.
#include "src/learners/query_memory.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "src/learners/query_plan.hpp"
#include "src/stages/look.hpp"

namespace crease {
namespace {

constexpr long double kElement = sizeof(double);

/// Sizes are multiplied in long double, whose 64 bits count every Index exactly: products of
/// numbers that nobody has memory for do not overflow.
Index in_bytes(long double count) {
  return count * kElement < 0x1p62L ? static_cast<Index>(count * kElement) : Index{1} << 62;
}

/// The rows of a batch that are in memory at one time.
long double rows_at_once(Index rows, long double row_elements, const Budget& budget) {
  const long double fit =
      std::max(1.0L, static_cast<long double>(budget.device_bytes) / (row_elements * kElement));
  const Index asked = budget.queries ? std::min(rows, *budget.queries) : rows;
  return static_cast<long double>(static_cast<Index>(
      std::min({fit, static_cast<long double>(asked), static_cast<long double>(rows)})));
}

/// The scan's regression: 4 (d + 2 + p)^2 numbers in half of the budget (reduction_columns).
long double uniform_chunk(long double d, long double p) {
  const long double columns = d + 2 + p;
  return std::max(8 * columns * columns, 4 * (d + 2 * p * (d + 1)));
}

}  // namespace

Index device_bytes_needed(const QueryPlan& plan, Index d, Index p, const Budget& budget) {
  require(d >= 1 && p >= 1, "device_bytes_needed: at least one input and one output");
  check({}, plan, {.budget = budget, .seed = {}, .log = {}, .stop = {}});
  const auto wide = static_cast<long double>(d);
  const auto out = static_cast<long double>(p);
  // In one dimension a gradient is a slope of the line.
  long double need = 0;
  if (d > 1) need = wide * wide + rows_at_once(d, wide + out, budget) * wide + wide * out;
  std::vector<Index> batches = {plan.certificate_points};
  if (plan.mode == QueryPlan::Mode::adaptive) {
    batches.insert(batches.end(), {plan.look_points, Hunt(plan).largest_batch()});
  }
  for (const Index points : batches) {
    const long double row = wide + 2 * out;
    need = std::max(need, rows_at_once(points, row, budget) * row);
  }
  return in_bytes(need);
}

Index chunk_bytes_needed(const QueryPlan& plan, Index d, Index p) {
  require(d >= 1 && p >= 1, "chunk_bytes_needed: at least one input and one output");
  check({}, plan, {});
  const auto wide = static_cast<long double>(d);
  const auto out = static_cast<long double>(p);
  return in_bytes(plan.mode == QueryPlan::Mode::uniform ? uniform_chunk(wide, out) : wide + out);
}

Index noisy_bytes_needed(const QueryPlan& plan, Index d, Index p, Index k, const Budget& budget) {
  require(d >= 1 && p >= 1 && k >= 0,
          "noisy_bytes_needed: at least one input and one output, and no fewer than 0 neurons");
  check({}, plan, {.budget = budget, .seed = {}, .log = {}, .stop = {}});
  const auto wide = static_cast<long double>(d);
  const auto out = static_cast<long double>(p);
  const auto neurons = static_cast<long double>(k);
  const long double unknowns = neurons * (wide + out) + out * (wide + 1);
  long double rows = plan.noisy_rows * unknowns / out;
  if (budget.queries) rows = std::min(rows, static_cast<long double>(*budget.queries));
  return in_bytes(std::floor(rows) * (wide + out));
}

Index certificate_bytes_needed(const QueryPlan& plan, Index p, bool with_sigmas,
                               const Budget& budget) {
  const Index points =
      budget.queries ? std::min(plan.certificate_points, *budget.queries) : plan.certificate_points;
  const auto answers = static_cast<long double>(p) * (with_sigmas ? 2 : 1);
  return in_bytes(static_cast<long double>(points) * (2 + answers));
}

void check_certificate(const QueryPlan& plan, Index p, bool with_sigmas, const Budget& budget) {
  const std::optional<Index> there = make_cpu_device({.threads = 1})->free_bytes();
  const Index need = certificate_bytes_needed(plan, p, with_sigmas, budget);
  require(!there || need <= *there, "the certificate is larger than memory: its " +
                                        std::to_string(plan.certificate_points) + " points take " +
                                        std::to_string(need) + " bytes, this machine has " +
                                        std::to_string(there.value_or(0)));
}

void check_noisy_memory(const Device& device, const QueryPlan& plan, Index d, Index p,
                        const Budget& budget) {
  const std::optional<Index> free = device.free_bytes();
  const Index need = noisy_bytes_needed(plan, d, p, 0, budget);
  require(!free || need <= *free,
          "answers that are not exact take more than memory: the rows of a fit need " +
              std::to_string(need) + " bytes at one time, and more for every neuron, " +
              device.name() + " has " + std::to_string(free.value_or(0)) + " free (" +
              std::to_string(d) + " inputs, " + std::to_string(p) + " outputs)");
}

void check_memory(const Device& device, const QueryPlan& plan, Index d, Index p,
                  const Budget& budget) {
  const std::string size = " (" + std::to_string(d) + " inputs, " + std::to_string(p) + " outputs)";
  const Index chunk = chunk_bytes_needed(plan, d, p);
  require(chunk <= budget.device_bytes,
          "the plan is larger than memory: its smallest chunk needs " + std::to_string(chunk) +
              " bytes, device_bytes allows " + std::to_string(budget.device_bytes) + size);
  const std::optional<Index> free = device.free_bytes();
  if (!free) return;
  const Index need = device_bytes_needed(plan, d, p, budget);
  require(need <= *free, "the plan is larger than memory: it needs " + std::to_string(need) +
                             " bytes at one time, " + device.name() + " has " +
                             std::to_string(*free) + " free" + size);
}

}  // namespace crease
