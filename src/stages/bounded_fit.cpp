// The norm-bounded regression over ReLU features.
#include "src/stages/bounded_fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/trust_region.hpp"

namespace crease {
namespace {

constexpr Index kHeldOutShare = 4;  // every fourth point
constexpr double kGain = 0.9;       // of the held-out mean square: less improvement is chance
constexpr int kBounds = 12;

/// R <- R of [R; rows], rows given a chunk at a time.
class Reducer {
 public:
  Reducer(Device& device, Index columns, Index most_rows)
      : device_(device), columns_(columns), stacked_(device, columns + most_rows, columns) {
    restart();
  }

  void restart() { fill(device_, 0.0, stacked_); }

  /// Where the next `count` rows go.
  DeviceView rows(Index count) { return stacked_.view().row_block(columns_, count); }

  void absorb(Index count) {
    triangularize(device_, stacked_.view().row_block(0, columns_ + count));
  }

  HostMatrix factor() { return download(device_, stacked_.view().row_block(0, columns_)); }

 private:
  Device& device_;
  Index columns_;
  DeviceMatrix stacked_;
};

/// |z v - right|^2 of a factor [z | right], over the outputs.
double residual_square(const HostMatrix& factor, const std::vector<Index>& columns,
                       const HostMatrix& v) {
  const Index features = factor.cols() - v.cols();
  double sum = 0;
  for (Index i = 0; i < factor.rows(); ++i) {
    const double* row = factor.row(i);
    for (Index o = 0; o < v.cols(); ++o) {
      double residual = -row[features + o];
      for (std::size_t j = 0; j < columns.size(); ++j) {
        residual += row[columns[j]] * v(static_cast<Index>(j), o);
      }
      sum += residual * residual;
    }
  }
  return sum;
}

/// [z | right] of the chosen columns, triangular again.
DeviceMatrix chosen_factor(Device& device, const ReducedRows& rows,
                           const std::vector<Index>& columns) {
  const auto q = static_cast<Index>(columns.size());
  HostMatrix chosen(rows.fit.rows(), q + rows.outputs);
  for (Index i = 0; i < chosen.rows(); ++i) {
    for (Index j = 0; j < q; ++j) chosen(i, j) = rows.fit(i, columns[static_cast<std::size_t>(j)]);
    for (Index o = 0; o < rows.outputs; ++o) chosen(i, q + o) = rows.fit(i, rows.features + o);
  }
  DeviceMatrix factor = upload(device, chosen);
  triangularize(device, factor);
  return factor;
}

}  // namespace

Index reduction_columns(Index most_bytes) {
  // Twice the square for the stacked factor, as much again for the chunk and its features.
  return static_cast<Index>(std::sqrt(static_cast<double>(most_bytes / kDoubleBytes) / 4));
}

ReducedRows reduce_rows(Device& device, ConstDeviceView weights, ConstDeviceView bias,
                        FeatureRows::Points points, ConstDeviceView answers, const KnownRows& known,
                        Index most_bytes) {
  const Index k = weights.rows;
  const Index d = weights.cols;
  const Index p = answers.cols;
  FeatureRows z(device, points, weights, bias, true, most_bytes / 4);
  const Index q = z.cols();
  const Index chunk = std::min(z.chunk_rows(), std::max(Index{1}, points.count));
  const Index held = points.count / kHeldOutShare;
  ReducedRows reduced{{}, {}, points.count - held + known.x.rows(), held, q, p};
  Reducer reducer(device, q + p, chunk);
  const auto absorb = [&](Index first, Index last) {
    for (Index row = first; row < last; row += chunk) {
      const Index count = std::min(chunk, last - row);
      const DeviceView to = reducer.rows(count);
      copy(device, z.chunk(row, count), to.col_block(0, q));
      copy(device, answers.row_block(row, count), to.col_block(q, p));
      reducer.absorb(count);
    }
  };
  absorb(0, reduced.held_rows);
  reduced.held_out = reducer.factor();
  reducer.restart();
  absorb(reduced.held_rows, points.count);
  for (Index row = 0; row < known.x.rows(); row += chunk) {
    const Index count = std::min(chunk, known.x.rows() - row);
    const DeviceMatrix x = upload(device, known.x.view().row_block(row, count));
    const DeviceView to = reducer.rows(count);
    relu_features(device, x, weights, bias, to.col_block(0, k));
    copy(device, x, to.col_block(k, d));
    fill(device, 1.0, to.col_block(k + d, 1));
    copy(device, upload(device, known.y.view().row_block(row, count)), to.col_block(q, p));
    reducer.absorb(count);
  }
  reduced.fit = reducer.factor();
  return reduced;
}

BoundedFit fit_norm_bounded(Device& device, const ReducedRows& rows,
                            const std::vector<Index>& columns, double largest_bound) {
  require(largest_bound > 0, "fit_norm_bounded: the bound must be above 0");
  const auto q = static_cast<Index>(columns.size());
  DeviceMatrix factor = chosen_factor(device, rows, columns);
  SvdRidge path(device, factor.view().row_block(0, q).col_block(0, q),
                factor.view().row_block(0, q).col_block(q, rows.outputs));
  const double free_norm = path.at(0)->norm;
  struct Choice {
    double bound;
    double ridge;
    double held_out;
    HostMatrix v;
  };
  std::vector<Choice> choices;
  double bound = std::min(largest_bound, free_norm);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kBounds; ++i) {
    const double ridge = free_norm <= bound ? 0 : ridge_of(path, bound);
    HostMatrix v = download(device, *path.solution(ridge));
    const double square = residual_square(rows.held_out, columns, v);
    best = std::min(best, square);
    choices.push_back({bound, ridge, square, std::move(v)});
    bound *= std::sqrt(0.5);
    if (!(bound > 0)) break;
  }
  const auto chosen = std::find_if(choices.begin(), choices.end(), [best](const Choice& choice) {
    return kGain * choice.held_out <= best;
  });
  BoundedFit fit;
  fit.coefficients = HostMatrix(rows.features, rows.outputs);
  fit.bound = chosen->bound;
  fit.ridge = chosen->ridge;
  fit.rank = path.rank();
  fit.condition = path.condition();
  for (std::size_t j = 0; j < columns.size(); ++j) {
    for (Index o = 0; o < rows.outputs; ++o) {
      fit.coefficients(columns[j], o) = chosen->v(static_cast<Index>(j), o);
    }
  }
  const auto rms = [](double square, Index count) {
    return std::sqrt(square / static_cast<double>(std::max<Index>(1, count)));
  };
  fit.fit_rms = rms(residual_square(rows.fit, columns, chosen->v), rows.fit_rows);
  fit.held_out_rms = rms(chosen->held_out, rows.held_rows);
  return fit;
}

}  // namespace crease
