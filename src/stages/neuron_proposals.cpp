// Matching pursuit, joint eigenvectors, and the two halves of a neuron.
#include "src/stages/neuron_proposals.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/hyperplanes.hpp"
#include "src/stages/joint_diagonal.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/sample_moments.hpp"

namespace crease {
namespace {

constexpr double kExplained = 1e-6;  // of a feature's square: the others explain it

/// The lower triangle, of what is left of features once feature `by` is taken out of all.
void eliminate(Index by, HostMatrix& gram) {
  const double pivot = gram(by, by);
  if (!(pivot > 0)) return;
  const Index q = gram.rows();
  std::vector<double> column(static_cast<std::size_t>(q));
  for (Index i = 0; i < q; ++i) {
    column[static_cast<std::size_t>(i)] = i < by ? gram(by, i) : gram(i, by);
  }
  for (Index i = 0; i < q; ++i) {
    const double factor = column[static_cast<std::size_t>(i)] / pivot;
    for (Index j = 0; j <= i; ++j) gram(i, j) -= factor * column[static_cast<std::size_t>(j)];
  }
}

}  // namespace

HostMatrix matched_neurons(Device& device, ConstDeviceView z, ConstDeviceView r,
                           const HostMatrix& kept, Index count, Random& random, Index net) {
  const Index m = z.cols;
  HostMatrix found = kept.empty() ? HostMatrix(0, m) : kept;
  const Index old = found.rows();
  HostMatrix planes(0, m + 1);  // kept ones, then the net; all through 0
  const auto add_plane = [&](const double* v) {
    std::vector<double> plane(v, v + m);
    plane.push_back(0);
    planes.append_row(plane.data(), m + 1);
  };
  for (Index i = 0; i < old; ++i) add_plane(found.row(i));
  for (Index i = 0; i < net; ++i) add_plane(unit_vector(random.normals(m)).data());
  const HyperplaneFeatures features(device, planes, 0.0);
  const Index all = features.cols();  // the last one is 0
  DeviceMatrix rows(device, z.rows, all), gram_there(device, all, all);
  features.rows(z, rows.view());
  copy(device, r, rows.view().col_block(all - 1, 1));
  fill(device, 0.0, gram_there);
  gram(device, rows, 0.0, gram_there);
  HostMatrix left = download(device, gram_there);
  std::vector<double> whole;
  for (Index i = 0; i < all; ++i) whole.push_back(left(i, i));
  for (Index j = 0; j < m; ++j) eliminate(old + net + j, left);
  for (Index i = 0; i < old; ++i) eliminate(i, left);
  for (Index c = 0; c < count; ++c) {
    Index best = old;
    double most = -1;
    for (Index i = old; i < old + net; ++i) {
      const double own = std::max(left(i, i), kExplained * whole[static_cast<std::size_t>(i)]);
      const double gain = left(all - 1, i) * left(all - 1, i) / own;
      if (gain > most) {
        most = gain;
        best = i;
      }
    }
    found.append_row(planes.row(best), m);
    eliminate(best, left);
  }
  return found;
}

std::optional<HostMatrix> joint_eigenvectors(Device& device, ConstDeviceView z, ConstDeviceView r,
                                             Random& random) {
  const Index m = z.cols;
  const auto source = make_matrix_samples(download(device, z), download(device, r));
  Examples::Plan plan;
  plan.rows = z.rows;
  Examples examples(device, *source, plan);
  SampleView view;
  view.label = [&device](ConstDeviceView, ConstDeviceView y, DeviceView out) {
    copy(device, y, out);
  };
  HostMatrix along(0, m);
  for (int i = 0; i < 2; ++i) along.append_row(unit_vector(random.normals(m)).data(), m);
  const HostMatrix moments = hermite_contractions(device, examples, view, 4, along);
  HostMatrix first(m, m), second(m, m);
  std::copy(moments.row(0), moments.row(0) + m * m, first.data());
  std::copy(moments.row(m), moments.row(m) + m * m, second.data());
  const std::optional<HostMatrix> vectors = pencil_eigenvectors(first, second, 1e-12);
  if (!vectors) return std::nullopt;
  for (Index i = 0; i < vectors->size(); ++i) {
    if (!std::isfinite(vectors->data()[i])) return std::nullopt;
  }
  return vectors;
}

HostMatrix split_neuron(Device& device, ConstDeviceView z, ConstDeviceView r, const double* v,
                        double width) {
  const Index m = z.cols;
  const HostMatrix points = download(device, z);
  const HostMatrix rest = download(device, r);
  const Index n = points.rows();
  // Two weighted moments: r K and K; w is linear in them.
  HostMatrix weights(n, 2);
  double sum_of_products = 0, sum = 0;
  for (Index i = 0; i < n; ++i) {
    const double at = dot(points.row(i), v, m) / width;
    const double window = std::exp(-0.5 * at * at);
    weights(i, 0) = rest(i, 0) * window;
    weights(i, 1) = window;
    sum_of_products += weights(i, 0);
    sum += window;
  }
  const double mean = sum > 0 ? sum_of_products / sum : 0;
  for (Index i = 0; i < n; ++i) weights(i, 0) -= mean * weights(i, 1);
  DeviceMatrix scaled(device, n, m), moment_there(device, m, m);
  copy(device, z, scaled);
  scale_rows(device, upload(device, ConstHostView{weights.data(), n, 1, 2}), scaled);
  multiply(device, scaled, Transpose::yes, z, Transpose::no, 1.0, 0.0, moment_there);
  HostMatrix moment = download(device, moment_there);
  // (I - v v^T) M (I - v v^T)
  for (const bool rows : {true, false}) {
    for (Index i = 0; i < m; ++i) {
      double along = 0;
      for (Index j = 0; j < m; ++j) along += v[j] * (rows ? moment(i, j) : moment(j, i));
      for (Index j = 0; j < m; ++j) (rows ? moment(i, j) : moment(j, i)) -= along * v[j];
    }
  }
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < i; ++j) moment(i, j) = 0.5 * (moment(i, j) + moment(j, i));
  }
  const SymmetricEigen eigen = symmetric_eigen(std::move(moment));
  const Index top = -eigen.values.front() > eigen.values.back() ? 0 : m - 1;
  HostMatrix halves(0, m);
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> half(v, v + m);
    for (Index j = 0; j < m; ++j) {
      half[static_cast<std::size_t>(j)] += sign * width * eigen.vectors(top, j);
    }
    halves.append_row(unit_vector(half).data(), m);
  }
  return halves;
}

}  // namespace crease
