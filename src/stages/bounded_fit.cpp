// The norm-bounded regression over ReLU features.
#include "src/stages/bounded_fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kHeldOutShare = 4;  // every fourth point
constexpr double kGain = 0.9;       // of the held-out mean square: less improvement is chance
constexpr int kBounds = 12;
constexpr Index kElement = static_cast<Index>(sizeof(double));

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

/// The ridge solutions of one least-squares problem, from its singular value decomposition.
class RidgePath {
 public:
  RidgePath(const HostMatrix& r, const std::vector<Index>& columns, Index features, Index outputs)
      : projected_(0, outputs) {
    const auto q = static_cast<Index>(columns.size());
    HostMatrix z(r.rows(), q);
    for (Index i = 0; i < r.rows(); ++i) {
      for (Index j = 0; j < q; ++j) z(i, j) = r(i, columns[static_cast<std::size_t>(j)]);
    }
    parts_ = svd(std::move(z));
    const double cutoff =
        parts_.values.empty() ? 0 : 2 * kRounding * static_cast<double>(q) * parts_.values[0];
    while (rank_ < static_cast<Index>(parts_.values.size()) && value(rank_) > cutoff) ++rank_;
    projected_ = HostMatrix(rank_, outputs);
    for (Index i = 0; i < r.rows(); ++i) {
      for (Index s = 0; s < rank_; ++s) {
        for (Index o = 0; o < outputs; ++o) {
          projected_(s, o) += parts_.left(i, s) * r(i, features + o);
        }
      }
    }
  }

  Index rank() const { return rank_; }
  double condition() const { return rank_ > 0 ? value(0) / value(rank_ - 1) : 0; }

  double norm(double ridge) const {
    double sum = 0;
    for (Index s = 0; s < rank_; ++s) {
      const double factor = value(s) / (value(s) * value(s) + ridge);
      for (Index o = 0; o < projected_.cols(); ++o) {
        sum += factor * projected_(s, o) * factor * projected_(s, o);
      }
    }
    return std::sqrt(sum);
  }

  /// The root of the secular equation, by bisection of log(ridge); the norm falls as it grows.
  double ridge_of(double bound) const {
    if (norm(0) <= bound) return 0;
    double low = value(rank_ - 1) * value(rank_ - 1) * kRounding;
    double high = value(0) * value(0);
    while (norm(high) > bound) high *= 4;
    while (high > low * (1 + 1e-6)) {
      const double middle = std::sqrt(low) * std::sqrt(high);
      (norm(middle) > bound ? low : high) = middle;
    }
    return high;
  }

  HostMatrix solution(double ridge) const {
    HostMatrix v(parts_.right.cols(), projected_.cols());
    for (Index s = 0; s < rank_; ++s) {
      const double factor = value(s) / (value(s) * value(s) + ridge);
      for (Index j = 0; j < v.rows(); ++j) {
        for (Index o = 0; o < v.cols(); ++o) {
          v(j, o) += parts_.right(s, j) * (factor * projected_(s, o));
        }
      }
    }
    return v;
  }

 private:
  double value(Index s) const { return parts_.values[static_cast<std::size_t>(s)]; }

  Svd parts_;
  Index rank_ = 0;
  HostMatrix projected_;  // left^T y, [rank, p]
};

}  // namespace

Index reduction_columns(Index most_bytes) {
  // Twice the square for the stacked factor, as much again for the chunk and its features.
  return static_cast<Index>(std::sqrt(static_cast<double>(most_bytes / kElement) / 4));
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

BoundedFit fit_norm_bounded(const ReducedRows& rows, const std::vector<Index>& columns,
                            double largest_bound) {
  require(largest_bound > 0, "fit_norm_bounded: the bound must be above 0");
  const RidgePath path(rows.fit, columns, rows.features, rows.outputs);
  struct Choice {
    double bound;
    double ridge;
    double held_out;
    HostMatrix v;
  };
  std::vector<Choice> choices;
  double bound = std::min(largest_bound, path.norm(0));
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kBounds; ++i) {
    const double ridge = i == 0 && bound < largest_bound ? 0 : path.ridge_of(bound);
    HostMatrix v = path.solution(ridge);
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
