// Gaussian points with their answers, and seeds from a residual.
#include "src/stages/fit_rows.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kPool = 10;
constexpr Index kLargePool = 60;    // in few inputs, where ten say little and cost nothing
constexpr Index kJudged = 4000;     // rows that choose among the pool
constexpr Index kMoments = 100000;  // rows of the moments
constexpr Index kSmall = 8;         // inputs up to which the span of eigenvectors is everything
constexpr Index kLeastSpan = 4;
constexpr int kPowerSteps = 8;  // of subspace iteration: seeds need a span, not eigenvectors
constexpr double kOffset = 0.5;

/// Orthonormal rows by Gram and Schmidt, twice; a row that vanishes is left zero.
void orthonormalize(HostMatrix& rows) {
  for (Index i = 0; i < rows.rows(); ++i) {
    for (int pass = 0; pass < 2; ++pass) {
      for (Index j = 0; j < i; ++j) {
        const double along = dot(rows.row(i), rows.row(j), rows.cols());
        for (Index c = 0; c < rows.cols(); ++c) rows(i, c) -= along * rows(j, c);
      }
    }
    const double norm = std::sqrt(dot(rows.row(i), rows.row(i), rows.cols()));
    for (Index c = 0; c < rows.cols(); ++c) rows(i, c) = norm > 0 ? rows(i, c) / norm : 0.0;
  }
}

}  // namespace

HostMatrix leading_span(Device& device, ConstDeviceView x, const std::vector<double>& weights,
                        Index count, Random& random, Index most_bytes) {
  const Index d = x.cols;
  double mean = 0;
  for (const double w : weights) mean += w / static_cast<double>(weights.size());
  DeviceMatrix moment(device, d, d);
  const Index chunk = std::max<Index>(1, most_bytes / (d * kDoubleBytes));
  for (Index first = 0; first < x.rows; first += chunk) {
    const Index n = std::min(chunk, x.rows - first);
    DeviceMatrix weighted(device, n, d);
    copy(device, x.row_block(first, n), weighted);
    scale_rows(device, upload(device, {weights.data() + first, n, 1, 1}), weighted);
    multiply(device, weighted, Transpose::yes, x.row_block(first, n), Transpose::no,
             1.0 / static_cast<double>(x.rows), first == 0 ? 0.0 : 1.0, moment);
  }
  HostMatrix basis(count, d);
  for (Index i = 0; i < count; ++i) {
    const std::vector<double> row = random.normals(d);
    std::copy(row.begin(), row.end(), basis.row(i));
  }
  for (int step = 0; step < kPowerSteps; ++step) {
    orthonormalize(basis);
    const DeviceMatrix before = upload(device, basis);
    DeviceMatrix after(device, count, d);
    multiply(device, before, Transpose::no, moment, Transpose::no, 1.0, 0.0, after);
    HostMatrix next = download(device, after);
    for (Index i = 0; i < next.size(); ++i) next.data()[i] -= mean * basis.data()[i];
    basis = std::move(next);
  }
  orthonormalize(basis);
  return basis;
}

std::vector<double> main_residual(Device& device, const FitRows& rows, const Hyperplanes& network,
                                  Index most_bytes) {
  DeviceMatrix known(device, rows.x.rows, network.outputs());
  evaluate(device, network, rows.x, most_bytes, known);
  DeviceMatrix left(device, rows.x.rows, network.outputs());
  copy(device, rows.y, left);
  subtract(device, known, left);
  const HostMatrix residual = download(device, left);
  const Index p = residual.cols();
  std::vector<double> main(static_cast<std::size_t>(p), 1.0);
  if (p > 1) {
    HostMatrix second(p, p);
    for (Index i = 0; i < residual.rows(); ++i) {
      for (Index a = 0; a < p; ++a) {
        for (Index b = 0; b < p; ++b) second(a, b) += residual(i, a) * residual(i, b);
      }
    }
    const Svd parts = svd(second);
    std::copy_n(parts.right.row(0), p, main.begin());
  }
  std::vector<double> result;
  double mean = 0;
  for (Index i = 0; i < residual.rows(); ++i) {
    result.push_back(dot(residual.row(i), main.data(), p));
    mean += result.back() / static_cast<double>(residual.rows());
  }
  for (double& value : result) value -= mean;
  return result;
}

void AnsweredPoints::put(ConstDeviceView fresh, DeviceView y,
                         const std::vector<double>& unit) const {
  std::vector<double> factors;
  for (const double u : unit) factors.push_back(1 / u);
  copy(*device_, fresh, y);
  scale_columns(*device_, upload(*device_, row_view(factors)), y);
}

void AnsweredPoints::grow_to(Index n, Asker& asker, Random& random,
                             const std::vector<double>& unit) {
  const Index have = drawn_;
  const Index more = n - have;
  if (more <= 0) return;
  const Index chosen = size() - have;
  DeviceMatrix x(*device_, n + chosen, asker.inputs());
  DeviceMatrix y(*device_, n + chosen, asker.outputs());
  fill_gaussian(*device_, random.seed(), static_cast<std::uint64_t>(stream_), 0, 1.0,
                x.view().row_block(0, n));
  const DeviceMatrix fresh = asker.points(x.view().row_block(have, more));
  // Only now are they used: a batch that nobody answered can be asked again.
  require(random.take_rows(stream_, more) == have, "AnsweredPoints: the stream is its own");
  put(fresh, y.view().row_block(have, more), unit);
  if (have > 0) copy(*device_, y_.view().row_block(0, have), y.view().row_block(0, have));
  if (chosen > 0) {
    copy(*device_, x_.view().row_block(have, chosen), x.view().row_block(n, chosen));
    copy(*device_, y_.view().row_block(have, chosen), y.view().row_block(n, chosen));
  }
  x_ = std::move(x);
  y_ = std::move(y);
  drawn_ = n;
}

void AnsweredPoints::ask(const HostMatrix& points, Asker& asker, const std::vector<double>& unit) {
  if (points.rows() == 0) return;
  const DeviceMatrix where = upload(*device_, points);
  append(where, asker.points(where), unit);
}

void AnsweredPoints::add(const HostMatrix& points, const HostMatrix& answers,
                         const std::vector<double>& unit) {
  if (points.rows() == 0) return;
  append(upload(*device_, points), upload(*device_, answers), unit);
}

void AnsweredPoints::append(ConstDeviceView where, ConstDeviceView fresh,
                            const std::vector<double>& unit) {
  const Index have = size();
  const Index more = where.rows;
  DeviceMatrix x(*device_, have + more, where.cols);
  DeviceMatrix y(*device_, have + more, fresh.cols);
  if (have > 0) {
    copy(*device_, x_, x.view().row_block(0, have));
    copy(*device_, y_, y.view().row_block(0, have));
  }
  copy(*device_, where, x.view().row_block(have, more));
  put(fresh, y.view().row_block(have, more), unit);
  x_ = std::move(x);
  y_ = std::move(y);
}

std::vector<Index> rarer_sides(Device& device, ConstDeviceView x, const HostMatrix& planes,
                               Index most_bytes) {
  const Index k = planes.rows();
  std::vector<Index> above(static_cast<std::size_t>(k), 0);
  if (k == 0) return above;
  const DeviceMatrix all = upload(device, planes);
  const Index chunk = std::max<Index>(1, most_bytes / (k * kDoubleBytes));
  for (Index first = 0; first < x.rows; first += chunk) {
    const Index n = std::min(chunk, x.rows - first);
    DeviceMatrix heights(device, n, k);
    multiply(device, x.row_block(first, n), Transpose::no, all.view().col_block(0, x.cols),
             Transpose::yes, 1.0, 0.0, heights);
    const HostMatrix z = download(device, heights);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < k; ++j) {
        above[static_cast<std::size_t>(j)] += z(i, j) + planes(j, x.cols) > 0 ? 1 : 0;
      }
    }
  }
  for (Index& count : above) count = std::min(count, x.rows - count);
  return above;
}

HostMatrix points_around(const double* plane, Index d, Index n, Random& random, double height) {
  HostMatrix points(0, d);
  for (Index i = 0; i < n; ++i) {
    std::vector<double> x = random.normals(d);
    const double shift = height * random.normals(1)[0] - plane[d] - dot(x.data(), plane, d);
    for (Index j = 0; j < d; ++j) x[static_cast<std::size_t>(j)] += shift * plane[j];
    points.append_row(x.data(), d);
  }
  return points;
}

std::vector<double> deviations_of_answers(Device& device, const FitRows& rows) {
  const HostMatrix y = download(device, rows.y);
  const auto n = static_cast<double>(std::max<Index>(1, y.rows()));
  std::vector<double> deviations;
  for (Index o = 0; o < y.cols(); ++o) {
    double mean = 0;
    double variance = 0;
    for (Index i = 0; i < y.rows(); ++i) mean += y(i, o) / n;
    for (Index i = 0; i < y.rows(); ++i) variance += (y(i, o) - mean) * (y(i, o) - mean) / n;
    deviations.push_back(std::sqrt(variance));
  }
  return deviations;
}

HostMatrix residual_seeds(Device& device, const FitRows& all, const Hyperplanes& network,
                          Index count, Random& random, Index most_bytes) {
  const Index d = network.inputs();
  const Index pool_size = d > kSmall ? kPool : kLargePool;
  const Index n = std::min(kMoments, all.x.rows);
  const FitRows rows = {all.x.row_block(0, n), all.y.row_block(0, n)};
  const std::vector<double> residual = main_residual(device, rows, network, most_bytes);
  const Index span = std::min(d, std::max(2 * count, kLeastSpan));
  std::vector<HostMatrix> spans;
  if (d > kSmall && count > 0) {
    std::vector<double> size(residual.size());
    double mean = 0;
    for (const double r : residual) mean += std::abs(r) / static_cast<double>(n);
    for (std::size_t i = 0; i < size.size(); ++i) size[i] = std::abs(residual[i]) - mean;
    spans.push_back(leading_span(device, rows.x, residual, span, random, most_bytes));
    spans.push_back(leading_span(device, rows.x, size, span, random, most_bytes));
  }
  HostMatrix pool(count * pool_size, d + 1);
  for (Index i = 0; i < pool.rows(); ++i) {
    const auto kind = static_cast<std::size_t>(i / pool_size % 3);
    const std::vector<double> draw = random.normals(kind < spans.size() ? span : d);
    std::vector<double> normal(static_cast<std::size_t>(d), 0.0);
    if (kind < spans.size()) {
      for (Index r = 0; r < span; ++r) {
        for (Index c = 0; c < d; ++c) {
          normal[static_cast<std::size_t>(c)] +=
              draw[static_cast<std::size_t>(r)] * spans[kind](r, c);
        }
      }
    } else {
      normal = draw;
    }
    // Nothing is left, so that no span is distinguished.
    if (!(dot(normal, normal) > 0)) normal = random.normals(d);
    normal = unit_vector(std::move(normal));
    std::copy(normal.begin(), normal.end(), pool.row(i));
    pool(i, d) = kOffset * random.normals(1)[0];
  }
  // heights [judged, pool] = x normals^T; offsets on the host
  const Index judged = std::min(kJudged, n);
  const DeviceMatrix planes = upload(device, pool);
  HostMatrix seeds(0, d + 1);
  for (Index s = 0; s < count; ++s) {
    DeviceMatrix heights(device, judged, pool_size);
    multiply(device, rows.x.row_block(0, judged), Transpose::no,
             planes.view().row_block(s * pool_size, pool_size).col_block(0, d), Transpose::yes, 1.0,
             0.0, heights);
    const HostMatrix z = download(device, heights);
    Index best = 0;
    double largest = -1;
    for (Index j = 0; j < pool_size; ++j) {
      const double offset = pool(s * pool_size + j, d);
      double mean = 0;
      for (Index i = 0; i < judged; ++i) {
        mean += std::abs(z(i, j) + offset) / static_cast<double>(judged);
      }
      double product = 0;
      double square = 0;
      for (Index i = 0; i < judged; ++i) {
        const double feature = std::abs(z(i, j) + offset) - mean;
        product += feature * residual[static_cast<std::size_t>(i)];
        square += feature * feature;
      }
      const double correlation = std::abs(product) / std::sqrt(std::max(square, 1e-300));
      if (correlation > largest) {
        largest = correlation;
        best = j;
      }
    }
    seeds.append_row(pool.row(s * pool_size + best), d + 1);
  }
  return seeds;
}

}  // namespace crease
