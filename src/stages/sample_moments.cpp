// Moments of examples, chunk by chunk.
#include "src/stages/sample_moments.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

/// [x, y, 1] of the rows of a chunk.
void put_side_by_side(Device& device, ConstDeviceView x, ConstDeviceView y, ConstDeviceView bounds,
                      DeviceView out) {
  const DeviceView answers = out.col_block(x.cols, y.cols);
  copy(device, x, out.col_block(0, x.cols));
  copy(device, y, answers);
  if (bounds.rows > 0) clip_columns(device, bounds, answers);
  fill(device, 1.0, out.col_block(x.cols + y.cols, 1));
}

Index rows_of(const Examples& examples, const SampleView& view) {
  return view.rows > 0 ? std::min(view.rows, examples.rows()) : examples.rows();
}

Index seen_inputs(const Examples& examples, const SampleView& view) {
  return view.turn.empty() ? examples.inputs() : view.turn.rows();
}

/// use(z, labels, beta) for blocks of rows that need so many numbers of scratch a row; beta is 0
/// the first time and 1 from then on.
template <class Use>
void for_blocks(Device& device, Examples& examples, const SampleView& view, Index numbers,
                const Use& use, Index bytes = 0) {
  const Index seen = seen_inputs(examples, view);
  numbers += seen + view.labels;
  const Index most = examples.block_rows(numbers, bytes);
  DeviceMatrix turn;
  DeviceMatrix turned;
  if (!view.turn.empty()) {
    turn = upload(device, view.turn);
    turned = DeviceMatrix(device, most, seen);
  }
  DeviceMatrix labels(device, most, view.labels);
  double beta = 0;
  const auto visit = [&](ConstDeviceView x, ConstDeviceView y) {
    ConstDeviceView z = x;
    if (!turn.empty()) {
      const DeviceView out = turned.view().row_block(0, x.rows);
      multiply(device, x, Transpose::no, turn, Transpose::yes, 1.0, 0.0, out);
      z = out;
    }
    const DeviceView values = labels.view().row_block(0, x.rows);
    view.label(z, y, values);
    use(z, values, beta);
    beta = 1;
  };
  examples.pass_in_blocks(rows_of(examples, view), numbers, visit, bytes);
}

DeviceMatrix ones(Device& device, Index rows) {
  DeviceMatrix column(device, rows, 1);
  fill(device, 1.0, column);
  return column;
}

}  // namespace

SampleMeans sample_means(Device& device, Examples& examples, ConstDeviceView bounds) {
  const Index d = examples.inputs();
  const Index p = examples.outputs();
  const Index width = d + p + 1;
  DeviceMatrix squares(device, width, width);
  fill(device, 0.0, squares);
  DeviceMatrix block(device, examples.block_rows(width), width);
  double beta = 0;
  examples.pass_in_blocks(examples.rows(), width, [&](ConstDeviceView x, ConstDeviceView y) {
    const DeviceView rows = block.view().row_block(0, x.rows);
    put_side_by_side(device, x, y, bounds, rows);
    gram(device, rows, beta, squares);
    beta = 1;
  });
  const HostMatrix sums = download(device, squares);
  const auto n = static_cast<double>(examples.rows());
  const auto mean = [&](Index i, Index j) { return sums(std::max(i, j), std::min(i, j)) / n; };
  SampleMeans means;
  means.input_squares = HostMatrix(d, d);
  means.cross = HostMatrix(p, d);
  means.answer_squares = HostMatrix(p, p);
  for (Index j = 0; j < d; ++j) {
    means.inputs.push_back(mean(width - 1, j));
    for (Index i = 0; i < d; ++i) means.input_squares(i, j) = mean(i, j);
    for (Index o = 0; o < p; ++o) means.cross(o, j) = mean(d + o, j);
  }
  for (Index o = 0; o < p; ++o) {
    means.answers.push_back(mean(width - 1, d + o));
    for (Index i = 0; i < p; ++i) means.answer_squares(i, o) = mean(d + i, d + o);
  }
  return means;
}

HostMatrix LabelMoments::hermite(Index s) const {
  const Index d = second.cols();
  HostMatrix moment(d, d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      // Exactly symmetric, which a product of two different matrices is not.
      moment(i, j) = 0.5 * (second(s * d + i, j) + second(s * d + j, i));
    }
    moment(i, i) -= zeroth[static_cast<std::size_t>(s)];
  }
  return moment;
}

LabelMoments label_moments(Device& device, Examples& examples, const SampleView& view) {
  const Index d = seen_inputs(examples, view);
  const Index r = view.labels;
  require(r >= 1 && view.label && (view.turn.empty() || view.turn.cols() == examples.inputs()),
          "label_moments: the view does not fit the examples");
  DeviceMatrix second(device, r * d, d);
  DeviceMatrix first(device, r, d);
  DeviceMatrix zeroth(device, r, 1);
  DeviceMatrix products;
  DeviceMatrix one;
  for_blocks(device, examples, view, r * d + 1,
             [&](ConstDeviceView z, DeviceView labels, double beta) {
               if (products.rows() < z.rows) {
                 products = DeviceMatrix(device, z.rows, r * d);
                 one = ones(device, z.rows);
               }
               const DeviceView wide = products.view().row_block(0, z.rows);
               row_products(device, labels, z, wide);
               multiply(device, wide, Transpose::yes, z, Transpose::no, 1.0, beta, second);
               multiply(device, labels, Transpose::yes, z, Transpose::no, 1.0, beta, first);
               multiply(device, labels, Transpose::yes, one.view().row_block(0, z.rows),
                        Transpose::no, 1.0, beta, zeroth);
             });
  const auto n = static_cast<double>(rows_of(examples, view));
  LabelMoments moments{download(device, second), download(device, first), {}};
  for (Index i = 0; i < moments.second.size(); ++i) moments.second.data()[i] /= n;
  for (Index i = 0; i < moments.first.size(); ++i) moments.first.data()[i] /= n;
  const HostMatrix sums = download(device, zeroth);
  for (Index s = 0; s < r; ++s) moments.zeroth.push_back(sums(s, 0) / n);
  return moments;
}

void shift_rows(Device& device, Index by, DeviceView labels) {
  if (labels.rows < 2) return;
  const Index n = labels.rows;
  by = std::max<Index>(by % n, 1);
  DeviceMatrix whole(device, n, labels.cols);
  copy(device, labels, whole);
  copy(device, whole.view().row_block(0, n - by), labels.row_block(by, n - by));
  copy(device, whole.view().row_block(n - by, by), labels.row_block(0, by));
}

HostMatrix fourth_products(Device& device, Examples& examples, const SampleView& view) {
  const Index q = seen_inputs(examples, view);
  const Index r = view.labels;
  DeviceMatrix sums(device, r * q * q, q * q);
  const Index numbers = (r + 1) * q * q;
  const Index most = examples.block_rows(numbers + q + r, kChunkBytes);
  DeviceMatrix squares(device, most, q * q), wide(device, most, r * q * q);
  const auto add = [&](ConstDeviceView z, DeviceView labels, double beta) {
    const DeviceView square = squares.view().row_block(0, z.rows);
    const DeviceView product = wide.view().row_block(0, z.rows);
    row_products(device, z, z, square);
    row_products(device, labels, square, product);
    multiply(device, product, Transpose::yes, square, Transpose::no, 1.0, beta, sums);
  };
  for_blocks(device, examples, view, numbers, add, kChunkBytes);
  HostMatrix means = download(device, sums);
  const auto n = static_cast<double>(rows_of(examples, view));
  for (Index i = 0; i < means.size(); ++i) means.data()[i] /= n;
  return means;
}

HostMatrix hermite_contractions(Device& device, Examples& examples, const SampleView& view,
                                Index order, const HostMatrix& directions) {
  const Index r = view.labels;
  const Index count = directions.rows();
  const Index d = directions.cols();
  require(r >= 1 && view.label, "hermite_contractions: there must be labels");
  require(order >= 2 && order - 2 <= kMostHermite, "hermite_contractions: the order is at least 2");
  require(d == seen_inputs(examples, view) && count >= 1,
          "hermite_contractions: directions must be as wide as what is seen of the inputs");
  for (Index i = 0; i < count; ++i) {
    require(std::abs(dot(directions.row(i), directions.row(i), d) - 1) < 2e-9,
            "hermite_contractions: directions must be of unit length");
  }
  const DeviceMatrix along = upload(device, directions);
  // Of the labels times He_{order - 2}, He_{order - 3} and He_{order - 4}, label by label.
  DeviceMatrix second(device, r * count * d, d);
  DeviceMatrix first(device, r * count, d);
  DeviceMatrix zeroth(device, r * count, 1), lowest(device, r * count, 1);
  const Index numbers = r * count * (d + 1) + count + 1;
  const Index most = examples.block_rows(numbers + d + r);
  DeviceMatrix products(device, most, r * count * d), weights(device, most, r * count);
  DeviceMatrix polynomials(device, most, count);
  const DeviceMatrix one = ones(device, most);
  const auto add = [&](ConstDeviceView z, DeviceView labels, double beta) {
    const DeviceView w = weights.view().row_block(0, z.rows);
    const ConstDeviceView each = one.view().row_block(0, z.rows);
    const auto weigh = [&](Index degree) {
      const DeviceView t = polynomials.view().row_block(0, z.rows);
      multiply(device, z, Transpose::no, along, Transpose::yes, 1.0, 0.0, t);
      hermite(device, degree, t);
      row_products(device, labels, t, w);
    };
    weigh(order - 2);
    const DeviceView wide = products.view().row_block(0, z.rows);
    row_products(device, w, z, wide);
    multiply(device, wide, Transpose::yes, z, Transpose::no, 1.0, beta, second);
    multiply(device, w, Transpose::yes, each, Transpose::no, 1.0, beta, zeroth);
    if (order < 3) return;
    weigh(order - 3);
    multiply(device, w, Transpose::yes, z, Transpose::no, 1.0, beta, first);
    if (order < 4) return;
    weigh(order - 4);
    multiply(device, w, Transpose::yes, each, Transpose::no, 1.0, beta, lowest);
  };
  for_blocks(device, examples, view, numbers, add);
  const HostMatrix blocks = download(device, second);
  const HostMatrix sums = download(device, zeroth);
  const HostMatrix mixed = order >= 3 ? download(device, first) : HostMatrix(r * count, d);
  const HostMatrix last = order >= 4 ? download(device, lowest) : HostMatrix(r * count, 1);
  const auto n = static_cast<double>(rows_of(examples, view));
  const auto l = static_cast<double>(order);
  HostMatrix moments(r * count * d, d);
  for (Index block = 0; block < r * count; ++block) {
    const double* g = directions.row(block % count);
    const double* q = mixed.row(block);
    for (Index i = 0; i < d; ++i) {
      for (Index j = 0; j < d; ++j) {
        double value = 0.5 * (blocks(block * d + i, j) + blocks(block * d + j, i));
        if (i == j) value -= sums(block, 0);
        value -= (l - 2) * (q[i] * g[j] + g[i] * q[j]);
        value += (l - 2) * (l - 3) * last(block, 0) * g[i] * g[j];
        moments(block * d + i, j) = value / n;
      }
    }
  }
  return moments;
}

}  // namespace crease
