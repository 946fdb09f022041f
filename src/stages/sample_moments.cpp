// Moments of examples, chunk by chunk.
#include "src/stages/sample_moments.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kNumber = sizeof(double);

/// [x, y, 1] of the rows of a chunk.
void put_side_by_side(Device& device, ConstDeviceView x, ConstDeviceView y, ConstDeviceView bounds,
                      DeviceView out) {
  const DeviceView answers = out.col_block(x.cols, y.cols);
  copy(device, x, out.col_block(0, x.cols));
  copy(device, y, answers);
  if (bounds.rows > 0) clip_columns(device, bounds, answers);
  fill(device, 1.0, out.col_block(x.cols + y.cols, 1));
}

/// Blocks of rows with their z and labels.
template <class Use>
void for_blocks(Device& device, Examples& examples, const SampleView& view, Index numbers_a_row,
                const Use& use) {
  const Index rows = view.rows > 0 ? std::min(view.rows, examples.rows()) : examples.rows();
  const Index seen = view.turn.empty() ? examples.inputs() : view.turn.rows();
  const Index row_bytes = (numbers_a_row + seen + view.labels) * kNumber;
  const Index most =
      std::clamp<Index>(device.ops().block_bytes() / row_bytes, 1, examples.chunk_rows());
  DeviceMatrix turn;
  DeviceMatrix turned;
  if (!view.turn.empty()) {
    turn = upload(device, view.turn);
    turned = DeviceMatrix(device, most, seen);
  }
  DeviceMatrix labels(device, most, view.labels);
  Index done = 0;
  examples.pass_over(rows, [&](Index, ConstDeviceView all_x, ConstDeviceView all_y) {
    for (Index top = 0; top < all_x.rows; top += most) {
      const Index count = std::min(most, all_x.rows - top);
      const ConstDeviceView y = all_y.row_block(top, count);
      ConstDeviceView z = all_x.row_block(top, count);
      if (!turn.empty()) {
        multiply(device, z, Transpose::no, turn, Transpose::yes, 1.0, 0.0,
                 turned.view().row_block(0, count));
        z = turned.view().row_block(0, count);
      }
      const DeviceView values = labels.view().row_block(0, count);
      view.label(z, y, values);
      use(z, values, done == 0 ? 0.0 : 1.0);
      done += count;
    }
  });
}

DeviceMatrix ones(Device& device, Index rows) {
  DeviceMatrix column(device, rows, 1);
  fill(device, 1.0, column);
  return column;
}

Index rows_of(const Examples& examples, const SampleView& view) {
  return view.rows > 0 ? std::min(view.rows, examples.rows()) : examples.rows();
}

}  // namespace

SampleMeans sample_means(Device& device, Examples& examples, ConstDeviceView bounds) {
  const Index d = examples.inputs();
  const Index p = examples.outputs();
  const Index width = d + p + 1;
  DeviceMatrix squares(device, width, width);
  fill(device, 0.0, squares);
  const Index most =
      std::clamp<Index>(device.ops().block_bytes() / (width * kNumber), 1, examples.chunk_rows());
  DeviceMatrix block(device, most, width);
  bool any = false;
  examples.pass([&](Index, ConstDeviceView x, ConstDeviceView y) {
    for (Index top = 0; top < x.rows; top += most) {
      const Index count = std::min(most, x.rows - top);
      const DeviceView rows = block.view().row_block(0, count);
      put_side_by_side(device, x.row_block(top, count), y.row_block(top, count), bounds, rows);
      gram(device, rows, any ? 1.0 : 0.0, squares);
      any = true;
    }
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
  const Index d = view.turn.empty() ? examples.inputs() : view.turn.rows();
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

HostMatrix hermite_contractions(Device& device, Examples& examples, const SampleView& view,
                                Index order, const HostMatrix& directions) {
  const Index count = directions.rows();
  const Index d = directions.cols();
  require(view.labels == 1 && view.label, "hermite_contractions: one label an example");
  require(order >= 2 && order - 2 <= kMostHermite, "hermite_contractions: the order is at least 2");
  require(d == (view.turn.empty() ? examples.inputs() : view.turn.rows()) && count >= 1,
          "hermite_contractions: directions must be as wide as what is seen of the inputs");
  for (Index r = 0; r < count; ++r) {
    require(std::abs(dot(directions.row(r), directions.row(r), d) - 1) < 2e-9,
            "hermite_contractions: directions must be of unit length");
  }
  const DeviceMatrix along = upload(device, directions);
  DeviceMatrix second(device, count * d, d);
  DeviceMatrix first(device, count, d);
  DeviceMatrix weights_sum(device, count, 1), lowest(device, count, 1);
  DeviceMatrix products, weights, lower, one;
  for_blocks(device, examples, view, count * (d + 2) + 1,
             [&](ConstDeviceView z, DeviceView label, double beta) {
               if (products.rows() < z.rows) {
                 products = DeviceMatrix(device, z.rows, count * d);
                 weights = DeviceMatrix(device, z.rows, count);
                 lower = DeviceMatrix(device, z.rows, count);
                 one = ones(device, z.rows);
               }
               const DeviceView wide = products.view().row_block(0, z.rows);
               const DeviceView w = weights.view().row_block(0, z.rows);
               const DeviceView v = lower.view().row_block(0, z.rows);
               const ConstDeviceView each = one.view().row_block(0, z.rows);
               const auto polynomial = [&](Index degree, DeviceView out) {
                 multiply(device, z, Transpose::no, along, Transpose::yes, 1.0, 0.0, out);
                 hermite(device, degree, out);
                 scale_rows(device, label, out);
               };
               polynomial(order - 2, w);
               row_products(device, w, z, wide);
               multiply(device, wide, Transpose::yes, z, Transpose::no, 1.0, beta, second);
               multiply(device, w, Transpose::yes, each, Transpose::no, 1.0, beta, weights_sum);
               if (order < 3) return;
               polynomial(order - 3, v);
               multiply(device, v, Transpose::yes, z, Transpose::no, 1.0, beta, first);
               if (order < 4) return;
               polynomial(order - 4, v);
               multiply(device, v, Transpose::yes, each, Transpose::no, 1.0, beta, lowest);
             });
  const HostMatrix blocks = download(device, second);
  const HostMatrix sums = download(device, weights_sum);
  const HostMatrix mixed = order >= 3 ? download(device, first) : HostMatrix(count, d);
  const HostMatrix last = order >= 4 ? download(device, lowest) : HostMatrix(count, 1);
  const auto n = static_cast<double>(rows_of(examples, view));
  const auto l = static_cast<double>(order);
  HostMatrix moments(count * d, d);
  for (Index r = 0; r < count; ++r) {
    const double* g = directions.row(r);
    const double* q = mixed.row(r);
    for (Index i = 0; i < d; ++i) {
      for (Index j = 0; j < d; ++j) {
        double value = 0.5 * (blocks(r * d + i, j) + blocks(r * d + j, i));
        if (i == j) value -= sums(r, 0);
        value -= (l - 2) * (q[i] * g[j] + g[i] * q[j]);
        value += (l - 2) * (l - 3) * last(r, 0) * g[i] * g[j];
        moments(r * d + i, j) = value / n;
      }
    }
  }
  return moments;
}

}  // namespace crease
