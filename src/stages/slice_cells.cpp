// Which cells of a slice to measure gradients in: chosen without a query.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/slice_lift.hpp"

namespace crease {
namespace {

constexpr double kQuantile = 7;  // of |<w, z>| sqrt(d) / |w| for a random direction z. With 3.5, 4
                                 // of 33 fans met a hyperplane; with 6, one lift in five was lost
constexpr double kWideQuantile = 8;  // from this many neurons on:
constexpr Index kWide = 500;
constexpr Index kPool = 2000;  // points that cells are chosen from ...
constexpr Index kWidePool = 3000;
constexpr Index kPoolShare = 4;       // ... and this often the neurons at least
constexpr double kMostNumbers = 4e7;  // in the rows of the pool: fewer points with many outputs
constexpr double kGuard = 30;         // errors of a plane that a centre keeps away from it
constexpr double kShortTrace = 0.3;   // of the median: shorter traces may belong to longer normals
constexpr double kPrior = 1e3;        // standard deviation of an unknown, in fans
constexpr double kMuchWorse = 8;      // than one fan, expected error of a neuron

/// log det(I + v), v symmetric positive [p, p], by elimination.
double log_det_one_plus(const double* v, Index p) {
  if (p == 1) return std::log1p(std::max(v[0], 0.0));
  std::vector<double> a(v, v + p * p);
  double sum = 0;
  for (Index i = 0; i < p; ++i) a[static_cast<std::size_t>(i * p + i)] += 1;
  for (Index i = 0; i < p; ++i) {
    const double* pivot_row = a.data() + i * p;
    const double pivot = std::max(pivot_row[i], 1.0);  // exact arithmetic gives no less
    sum += std::log(pivot);
    for (Index r = i + 1; r < p; ++r) {
      double* row = a.data() + r * p;
      const double factor = row[i] / pivot;
      for (Index c = i; c < p; ++c) row[c] -= factor * pivot_row[c];
    }
  }
  return sum;
}

/// What picked cells say of the unknowns, and what every other would add.
class Information {
 public:
  /// rows [n p, q] in units of their standard deviation, variance of every unknown to begin with
  Information(const HostMatrix& rows, Index outputs, double variance)
      : n_(rows.rows()),
        q_(rows.cols()),
        p_(outputs),
        transposed_(q_, n_),
        covariance_(q_, q_),
        block_(static_cast<std::size_t>(n_ * p_), 0.0),
        seen_(static_cast<std::size_t>(n_)) {
    for (Index i = 0; i < n_; ++i) {
      for (Index j = 0; j < q_; ++j) transposed_(j, i) = rows(i, j);
    }
    for (Index j = 0; j < q_; ++j) covariance_(j, j) = variance;
    for (Index i = 0; i < n_; ++i) {
      for (Index o = 0; o < p_; ++o) {
        block_[static_cast<std::size_t>(i * p_ + o)] =
            variance * dot(rows.row(i), rows.row(i / p_ * p_ + o), q_);
      }
    }
  }

  double gain(Index cell) const { return log_det_one_plus(block_.data() + cell * p_ * p_, p_); }
  double variance(Index j) const { return covariance_(j, j); }

  void pick(Index cell) {
    for (Index o = 0; o < p_; ++o) add_row(cell * p_ + o);
  }

 private:
  void add_row(Index row) {
    // toward = C r^T; seen = what every row of the pool shares with it.
    std::vector<double> toward(static_cast<std::size_t>(q_), 0.0);
    double denominator = 1;
    for (Index j = 0; j < q_; ++j) {
      const double entry = transposed_(j, row);
      if (entry == 0) continue;
      const double* from = covariance_.row(j);
      for (Index c = 0; c < q_; ++c) toward[static_cast<std::size_t>(c)] += entry * from[c];
    }
    for (Index j = 0; j < q_; ++j) {
      denominator += transposed_(j, row) * toward[static_cast<std::size_t>(j)];
    }
    std::fill(seen_.begin(), seen_.end(), 0.0);
    for (Index j = 0; j < q_; ++j) {
      const double factor = toward[static_cast<std::size_t>(j)];
      const double* column = transposed_.row(j);
      for (std::size_t i = 0; i < seen_.size(); ++i) seen_[i] += factor * column[i];
    }
    for (Index j = 0; j < q_; ++j) {
      const double factor = toward[static_cast<std::size_t>(j)] / denominator;
      double* to = covariance_.row(j);
      for (Index c = 0; c < q_; ++c) to[c] -= factor * toward[static_cast<std::size_t>(c)];
    }
    for (Index i = 0; i < n_; ++i) {
      const double factor = seen_[static_cast<std::size_t>(i)] / denominator;
      double* to = block_.data() + i * p_;
      const double* with = seen_.data() + i / p_ * p_;
      for (Index o = 0; o < p_; ++o) to[o] -= factor * with[o];
    }
  }

  Index n_;
  Index q_;
  Index p_;
  HostMatrix transposed_;      // [q, n]
  HostMatrix covariance_;      // [q, q]
  std::vector<double> block_;  // [n / p, p, p] of every cell: rows C rows^T
  std::vector<double> seen_;
};

Index pool_size(Index k, Index p) {
  const Index least = kPoolShare * ((k + p) / p + 1);
  const auto most =
      static_cast<Index>(kMostNumbers / (static_cast<double>(p) * static_cast<double>(k + 2 * p)));
  return std::max(least, std::min(k >= kWide ? kWidePool : kPool, most));
}

}  // namespace

double lift_noise(const NoiseModel& noise, double rho, double step, Index output) {
  return std::sqrt(2.0) * noise.sigma(std::hypot(rho, step), output) / std::abs(step);
}

LiftCells choose_cells(Device& device, Random& random, const Hypothesis& on_slice,
                       const Slice& slice, Index inputs, const NoiseModel& noise) {
  const Index k = on_slice.neurons();
  const Index p = on_slice.outputs;
  const double root = std::sqrt(static_cast<double>(inputs));
  const double quantile = k >= kWide ? kWideQuantile : kQuantile;
  const double narrow = 1 + 1 / std::sqrt(static_cast<double>(on_slice.inputs));
  std::vector<double> trace;
  std::vector<Index> all(static_cast<std::size_t>(k));
  std::iota(all.begin(), all.end(), Index{0});
  for (const Index j : all) {
    const double* scale = on_slice.scales.row(j);
    trace.push_back(std::sqrt(dot(scale, scale, p)));
  }
  const double shortest = kShortTrace * median(trace);
  const CellPoints pool = deep_points(device, random, on_slice, pool_size(k, p), all);

  std::vector<Index> sure;
  std::vector<double> steps;
  std::vector<double> noises;  // [sure, p]
  for (Index i = 0; i < pool.points.rows(); ++i) {
    const double* t = pool.points.row(i);
    const double square = dot(t, t, on_slice.inputs);
    const double rho = std::sqrt(1 + slice.stretch * slice.stretch * square);
    double step = rho;
    for (const Index j : all) {
      const auto jj = static_cast<std::size_t>(j);
      const double room = std::abs(pool.above(i, j)) - kGuard * on_slice.offset_error[jj];
      const double wide = std::max(narrow, shortest / std::max(trace[jj], 1e-300));
      step = std::min(step, room / wide * root / quantile);
    }
    if (!(step > 0)) continue;
    sure.push_back(i);
    steps.push_back(step);
    for (Index o = 0; o < p; ++o) noises.push_back(lift_noise(noise, rho, step, o));
  }
  LiftCells cells;
  const auto count = static_cast<Index>(sure.size());
  const Index least = (k + p + p - 1) / p;
  if (count < least) return cells;
  HostMatrix above(0, k);
  for (const Index i : sure) above.append_row(pool.above.row(i), k);
  HostMatrix rows = patterns(on_slice, above);
  for (Index i = 0; i < rows.rows(); ++i) {
    const double own = std::max(noises[static_cast<std::size_t>(i)], 1e-300);
    for (Index j = 0; j < rows.cols(); ++j) rows(i, j) /= own;
  }
  const double typical = std::max(median(noises), 1e-300);
  Information information(rows, p, kPrior * kPrior * typical * typical);
  std::vector<bool> taken(sure.size(), false);
  cells.centers = HostMatrix(0, on_slice.inputs);
  cells.above = HostMatrix(0, k);
  const auto good = [&] {
    for (const Index j : all) {
      if (!(information.variance(j) <= kMuchWorse * kMuchWorse * typical * typical)) return false;
    }
    return true;
  };
  for (Index picked = 0; picked < std::min(count, k + 1); ++picked) {
    if (picked >= least && good()) break;
    Index best = -1;
    double most = -1;
    for (Index c = 0; c < count; ++c) {
      if (taken[static_cast<std::size_t>(c)]) continue;
      const double gain = information.gain(c);
      if (!(gain > most)) continue;
      most = gain;
      best = c;
    }
    if (best < 0) break;
    taken[static_cast<std::size_t>(best)] = true;
    information.pick(best);
    cells.centers.append_row(pool.points.row(sure[static_cast<std::size_t>(best)]),
                             on_slice.inputs);
    cells.above.append_row(above.row(best), k);
    cells.step.push_back(steps[static_cast<std::size_t>(best)]);
  }
  return cells;
}

}  // namespace crease
