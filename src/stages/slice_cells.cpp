// Which cells of a slice to measure gradients in: chosen without a query.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/output_turns.hpp"
#include "src/stages/slice_lift.hpp"

namespace crease {
namespace {

// |<w, z>| sqrt(d) / |w| of a random direction z that a step allows for: of k (k + 1) d such
// products hardly one lies beyond, and the fan that meets it is asked again.
constexpr double kQuantile = 7;
constexpr double kWideQuantile = 8;  // from this many neurons on:
constexpr Index kWide = 500;
constexpr Index kPool = 2000;  // points that cells are chosen from ...
constexpr Index kWidePool = 3000;
constexpr Index kPoolShare = 2;       // ... and this often the neurons at least
constexpr double kMostNumbers = 4e6;  // in the rows of the pool: fewer points with many outputs
constexpr double kGuard = 30;         // errors of a plane that a centre keeps away from it
constexpr double kShortTrace = 0.3;   // of the median: shorter traces may belong to longer normals
constexpr double kPrior = 1e3;        // standard deviation of an unknown, in fans
constexpr double kMuchWorse = 8;      // than one fan, expected error of a neuron
constexpr Index kExtraShare = 4;      // cells for the output directions, at most: one in four more
constexpr Index kExtra = 2;           // ... and so many
constexpr double kKeptGain = 1e-3;  // share of the information that counts once only these are left

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

/// Neurons that were active in the same cells so far, or in just the others: with several outputs
/// gradients tell the sum of their s_j W_j^T, but not which output directions belong to which.
class Twins {
 public:
  explicit Twins(Index neurons) : group_(static_cast<std::size_t>(neurons), 0) {}

  /// Pairs of twins that a cell would separate, as a share of those there are; 0 if there are none.
  double separated(const double* above) const {
    std::vector<double> members(group_.size(), 0.0);
    std::vector<double> turned(group_.size(), 0.0);
    for (std::size_t j = 0; j < group_.size(); ++j) {
      ++members[group_[j]];
      if (differs(above, j)) ++turned[group_[j]];
    }
    double pairs = 0;
    double apart = 0;
    for (std::size_t g = 0; g < group_.size(); ++g) {
      pairs += members[g] * (members[g] - 1) / 2;
      apart += turned[g] * (members[g] - turned[g]);
    }
    return pairs > 0 ? apart / pairs : 0.0;
  }

  void separate(const double* above) {
    if (reference_.empty()) {
      for (std::size_t j = 0; j < group_.size(); ++j) reference_.push_back(above[j] > 0);
      return;
    }
    std::map<std::pair<std::size_t, bool>, std::size_t> groups;
    for (std::size_t j = 0; j < group_.size(); ++j) {
      const auto key = std::pair(group_[j], differs(above, j));
      group_[j] = groups.emplace(key, groups.size()).first->second;
    }
  }

 private:
  /// Since the first cell: so neurons active in just the others stay together.
  bool differs(const double* above, std::size_t j) const {
    return !reference_.empty() && (above[j] > 0) != reference_[j];
  }

  std::vector<std::size_t> group_;
  std::vector<bool> reference_;  // active in the first cell
};

Index pool_size(Index k, Index p) {
  const Index least = kPoolShare * ((k + p) / p + 1);
  const auto most =
      static_cast<Index>(kMostNumbers / (static_cast<double>(p) * static_cast<double>(k + 2 * p)));
  return std::max(least, std::min(k >= kWide ? kWidePool : kPool, most));
}

/// Equations n p d, unknowns k d for the W_j, p d for the linear parts and k (p - 1) for the
/// directions of the outputs, which a slice knows less well than a lift does; with p > 1 one cell
/// more, so that there is something left to hold the solution against.
Index least_cells(Index k, Index d, Index p) {
  const double unknowns = static_cast<double>(k + p) + static_cast<double>(k) *
                                                           static_cast<double>(p - 1) /
                                                           static_cast<double>(d);
  return static_cast<Index>(std::ceil(unknowns / static_cast<double>(p))) + (p > 1 ? 1 : 0);
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
  const Index most = k + 1;
  const Index least = std::min(most, least_cells(k, inputs, p));
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
  Twins twins(k);
  const Index enough = p == 1 ? most : std::min(most, least + least / kExtraShare + kExtra);
  std::vector<double> chosen_noise;
  const auto good = [&] {
    for (const Index j : all) {
      if (!(information.variance(j) <= kMuchWorse * kMuchWorse * typical * typical)) return false;
    }
    // An angle counts once, an error of W in every input.
    if (p == 1 || k * (p - 1) > kMostTurned) return true;
    const WeightedFit fit(device, patterns(on_slice, cells.above), chosen_noise,
                          std::vector<double>(static_cast<std::size_t>(k + p), 1.0));
    const std::vector<double> certainty = turn_certainty(fit, on_slice, cells.above);
    return std::all_of(certainty.begin(), certainty.end(),
                       [&](double known) { return known * typical * root >= 1; });
  };
  for (Index picked = 0; picked < std::min(count, most); ++picked) {
    if (picked >= least && (picked >= enough || good())) break;
    Index best = -1;
    double most_gained = -1;
    for (Index c = 0; c < count; ++c) {
      if (taken[static_cast<std::size_t>(c)]) continue;
      double gain = information.gain(c);
      if (p > 1) {
        const double apart = twins.separated(above.row(c));
        gain *= picked < least ? 1 + apart : kKeptGain + apart;
      }
      if (!(gain > most_gained)) continue;
      most_gained = gain;
      best = c;
    }
    if (best < 0) break;
    taken[static_cast<std::size_t>(best)] = true;
    information.pick(best);
    if (p > 1) twins.separate(above.row(best));
    cells.centers.append_row(pool.points.row(sure[static_cast<std::size_t>(best)]),
                             on_slice.inputs);
    cells.above.append_row(above.row(best), k);
    cells.step.push_back(steps[static_cast<std::size_t>(best)]);
    for (Index o = 0; o < p; ++o) {
      chosen_noise.push_back(std::max(noises[static_cast<std::size_t>(best * p + o)], 1e-300));
    }
  }
  return cells;
}

}  // namespace crease
