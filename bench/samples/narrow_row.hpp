// A row of the narrow learner.
#pragma once

#include <crease/run.hpp>
#include <crease/samples.hpp>

#include "bench/samples/planted.hpp"

namespace crease::samples {

/// Throws BadInput where the learner refuses the row.
Learned<ReluNetwork> learn_narrow_row(Device& device, SampleSource& source, const Row& row,
                                      const RunControl& control);

}  // namespace crease::samples
