// What crease_samples learns from: planted networks, inputs of several kinds, answers with errors.
#pragma once

#include <cstdint>
#include <string>

#include "src/stages/rectified_sum.hpp"

namespace crease::samples {

/// One row of the tables, once.
struct Row {
  std::string family = "two-layer";  // or a narrow one: mixed same cancel blind2 blind4
  std::string input = "gaussian";    // covariance uniform laplace t5 signs shifted
  Index outputs = 1;
  Index neurons = 0;
  Index inputs = 0;
  Index rows = 0;
  double power = 1;
  double angle = 0;        // same, cancel: between the first two neurons
  double condition = 0;    // two-layer: singular values of U from 1 to 1 / this; 0: normals
  Index rank = 0;          // two-layer: of U; 0: normals
  double noise = 0;        // Gaussian, over the root mean square of the true answers
  double gross = 0;        // share of the numbers of y that get a gross error
  double gross_size = 10;  // standard deviation of those, over the same
  std::uint64_t seed = 0;
};

bool is_narrow(const Row& row);

/// The network of a row. two-layer: unit rows of V, U of normals. Narrow (one output, sizes in [.5,
/// 1.5]): mixed, both signs; same and cancel, the second neuron at `angle` from the first, of the
/// same or of the opposite output; blind2 (4 neurons) and blind4 (6), outputs +-1 in turn at
/// multiples of pi / k in a plane: moments of second, or second and fourth, order vanish. Throws
/// BadInput on an unknown family and on sizes that it cannot have.
RectifiedSum plant(const Row& row);

/// `rows` inputs of the row's kind: [rows, d]. Those of `fresh` are not those of the examples.
HostMatrix draw_inputs(const Row& row, Index rows, bool fresh);

struct Planted {
  HostMatrix x;     // [n, d]
  HostMatrix y;     // [n, p]
  double size = 0;  // root mean square of the true answers
};
Planted draw_examples(Device& device, const Row& row, const RectifiedSum& truth);

/// F at the rows of x.
HostMatrix values(Device& device, const RectifiedSum& sum, const HostMatrix& x);

/// The largest error of a component of V, or of one of U over the largest of the true U, unit rows
/// of V, neurons matched by the largest cosine first; infinity where their numbers differ. Signs of
/// directions count.
double parameter_error(const RectifiedSum& truth, RectifiedSum found);

}  // namespace crease::samples
