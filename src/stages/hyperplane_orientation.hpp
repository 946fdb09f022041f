// Which side of their hyperplanes the neurons of a sum without a linear part are on.
#pragma once

#include "src/stages/hyperplanes.hpp"

namespace crease {

/// sum_i c_i |<v_i, x> + e_i| + <w, x> + a is sum_i 2 c_i relu(s_i (<v_i, x> + e_i)) and a constant
/// for signs s with w = sum_i s_i c_i v_i. Takes those of least |w - sum s_i c_i v_i|: of all of
/// them up to 16 neurons, else the rounded solution of the equations, improved as long as turning
/// one or two helps.
///
/// network  one output; neurons of scale 0 are left out
struct OrientedNeurons {
  ReluNetwork network;  // unit weights, no linear part
  double left = 0;  // |w - sum s_i c_i v_i|, the rms of what no orientation explains, over N(0, I)
};
OrientedNeurons orient_neurons(const Hyperplanes& network);

}  // namespace crease
