// A row of the narrow learner.
#include "bench/samples/narrow_row.hpp"

#include <crease/sample_learners.hpp>

namespace crease::samples {

Learned<ReluNetwork> learn_narrow_row(Device& device, SampleSource& source, const Row& row,
                                      const RunControl& control) {
  NarrowProblem problem;
  problem.neurons = row.neurons;
  problem.biases = false;
  return learn_narrow(device, source, problem, {}, control);
}

}  // namespace crease::samples
