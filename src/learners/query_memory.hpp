// What a query learner needs of a device's memory, held against what there is.
#pragma once

#include <crease/query_learner.hpp>

namespace crease {

/// Bytes on the host that a certificate holds whatever is learned: of each of its points, or of as
/// many as the budget allows, the error, twice, the p answers and, where they are told, their p
/// standard deviations. 2^62 stands for that and more.
Index certificate_bytes_needed(const QueryPlan& plan, Index p, bool with_sigmas,
                               const Budget& budget);

/// Throws BadInput, naming what is needed and what there is, where the machine's memory is below
/// certificate_bytes_needed. Nothing where the machine does not tell.
void check_certificate(const QueryPlan& plan, Index p, bool with_sigmas, const Budget& budget);

/// Throws BadInput, naming both, where the device's free memory is below noisy_bytes_needed of a
/// function without neurons: for a run whose answers turned out not to be exact.
void check_noisy_memory(const Device& device, const QueryPlan& plan, Index d, Index p,
                        const Budget& budget);

/// Throws BadInput, naming what is needed and what there is, where `budget.device_bytes` is below
/// chunk_bytes_needed or the device's free memory below device_bytes_needed. A device that does not
/// know its free memory is not asked to.
void check_memory(const Device& device, const QueryPlan& plan, Index d, Index p,
                  const Budget& budget);

}  // namespace crease
