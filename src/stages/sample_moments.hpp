// Moments of examples: sums over rows, streamed, of labels times products of inputs.
#pragma once

#include <functional>
#include <vector>

#include "src/stages/examples.hpp"

namespace crease {

/// Means over the training rows.
struct SampleMeans {
  std::vector<double> inputs;   // E x [d]
  std::vector<double> answers;  // E y [p]
  HostMatrix input_squares;     // E x x^T [d, d]
  HostMatrix cross;             // E y x^T [p, d]
  HostMatrix answer_squares;    // E y y^T [p, p]
};

/// One pass. With `bounds` [2, p] every answer counts as the number between them next to it. Waits.
SampleMeans sample_means(Device& device, Examples& examples, ConstDeviceView bounds = {});

/// What a moment sees of an example.
struct SampleView {
  /// Rows of [d', d]: x is seen as z = turn x. Empty: as it is.
  HostMatrix turn;
  /// labels(z [m, d'], y [m, p], out [m, r]): r numbers an example.
  Index labels = 1;
  std::function<void(ConstDeviceView z, ConstDeviceView y, DeviceView out)> label;
  Index rows = 0;  // the first so many training rows; 0: all
};

/// Means over rows of l_s z z^T, l_s z and l_s, for every label s.
struct LabelMoments {
  HostMatrix second;           // [r d', d'], symmetric blocks
  HostMatrix first;            // [r, d']
  std::vector<double> zeroth;  // [r]

  /// E l_s (z z^T - I), the Hermite moment of order 2 for z ~ N(0, I): of sum_i lambda_i f(<u_i,
  /// z>) with unit u_i it is E f''(g) sum_i lambda_i u_i u_i^T.
  HostMatrix hermite(Index s) const;
};

/// One pass; z is read once for all labels (row_products). Waits.
LabelMoments label_moments(Device& device, Examples& examples, const SampleView& view);

/// E l_s z_a z_b z_c z_e for every label s: [r d'^2, d'^2], row (s, a, b), column (c, e). One pass.
/// Waits.
HostMatrix fourth_products(Device& device, Examples& examples, const SampleView& view);

/// Every row `by` on (at least one, modulo their number), the last ones first: labels that do not
/// belong to their inputs, for what chance makes of a moment.
void shift_rows(Device& device, Index by, DeviceView labels);

/// Contractions of the Hermite moment of order l along unit vectors g, l - 2 times each:
///   M_l(g) = E[F He_{l-2}(t) (z z^T - I)] - (l - 2) (q g^T + g q^T) + (l - 2)(l - 3) s g g^T,
///   t = <g, z>,  q = E[F He_{l-3}(t) z],  s = E[F He_{l-4}(t)],   terms of negative order vanish.
/// For F = sum_i lambda_i f(<u_i, z>), z ~ N(0, I), unit u_i: E f^(l)(g) sum_i lambda_i <g,
/// u_i>^(l-2) u_i u_i^T. F is each of the view's r labels.
///
/// order       l >= 2
/// directions  [R, d'] unit rows
/// Result [r R d', d'], one block a direction, label after label. One pass. BadInput on rows that
/// are not of unit length to 1e-9. Waits.
HostMatrix hermite_contractions(Device& device, Examples& examples, const SampleView& view,
                                Index order, const HostMatrix& directions);

}  // namespace crease
