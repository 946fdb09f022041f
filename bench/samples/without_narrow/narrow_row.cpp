// Without a narrow learner in the library.
#include "bench/samples/narrow_row.hpp"

namespace crease::samples {

Learned<ReluNetwork> learn_narrow_row(Device&, SampleSource&, const Row&, const RunControl&) {
  throw BadInput("there is no learner of narrow networks in this build");
}

}  // namespace crease::samples
