// What a query learner needs of a device's memory, held against what there is.
#pragma once

#include <crease/query_learner.hpp>

namespace crease {

/// Throws BadInput, naming what is needed and what there is, where `budget.device_bytes` is below
/// chunk_bytes_needed or the device's free memory below device_bytes_needed. A device that does not
/// know its free memory is not asked to.
void check_memory(const Device& device, const QueryPlan& plan, Index d, Index p,
                  const Budget& budget);

}  // namespace crease
