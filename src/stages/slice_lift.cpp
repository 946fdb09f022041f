// The lift: fans in chosen cells, checked against the slice, and one solve for all neurons.
#include "src/stages/slice_lift.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/output_turns.hpp"
#include "src/stages/paid.hpp"

namespace crease {
namespace {

constexpr double kUnlike = 20;       // standard deviations that a gradient may differ by ...
constexpr int kRetries = 3;          // ... before it is asked again with ...
constexpr double kSmaller = -0.25;   // ... this times its step
constexpr double kMostUnlike = 0.1;  // of all gradients, after the first retry
constexpr double kMostUnlikeAtOnce = 1.0 / 3;
constexpr double kUndetermined = 1e-6;  // smallest over largest singular value of the patterns
constexpr double kSignificant = 10;     // standard deviations of a linear part that is one
constexpr int kSweeps = 6;
constexpr double kSettled = 8 * kRounding;  // relative change of the last sweep
constexpr double kUnsettled = 1e-9;         // a change above this must not grow
constexpr int kTurns = 6;                   // Gauss-Newton steps of the output directions
constexpr double kExplained = 2;     // residual in standard deviations that needs no more of them
constexpr double kUnturned = 4;      // times the typical angle
constexpr Index kMirrored = 16;      // points that measure the noise ...
constexpr Index kLeastMirrored = 4;  // ... of which so many must lie in one cell with their mirror
constexpr double kUnknownNoise = 3;  // ratio where they do not
constexpr double kNoiseMargin = 1.2;
constexpr double kLeastNoise = 0.1;

HostMatrix times(Device& device, const HostMatrix& a, ConstDeviceView b, Transpose transpose_b) {
  const Index cols = transpose_b == Transpose::yes ? b.rows : b.cols;
  if (a.rows() == 0 || cols == 0) return HostMatrix(a.rows(), cols);
  DeviceMatrix out(device, a.rows(), cols);
  multiply(device, upload(device, a), Transpose::no, b, transpose_b, 1.0, 0.0, out);
  return download(device, out);
}

double largest(const HostMatrix& a) {
  double most = 0;
  for (Index i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a.data()[i]));
  return most;
}

double length(const double* row, Index n) {
  return std::sqrt(dot(row, row, n));
}

/// The fans that were asked.
struct LiftFans {
  HostMatrix directions;      // [d, d] orthonormal rows, shared
  HostMatrix centers;         // [n, d]
  HostMatrix center_answers;  // [n, p]
  HostMatrix steps;           // [n, d]
  HostMatrix answers;         // [n d, p]
};

class Lifting {
 public:
  Lifting(Asker& asker, Random& random, const Hypothesis& traces, const Slice& slice,
          const NoiseModel& noise)
      : asker_(asker),
        device_(asker.device()),
        random_(random),
        traces_(traces),
        scales_before_(traces.scales),
        slice_(slice),
        noise_(noise),
        d_(asker.inputs()),
        p_(asker.outputs()),
        k_(traces.neurons()),
        m_(traces.inputs),
        frame_(upload(device_, slice.frame)) {
    for (Index j = 0; j < k_; ++j) trace_.push_back(length(traces.scales.row(j), p_));
  }

  Lift run() {
    Lift lift;
    cells_ = choose_cells(device_, random_, traces_, slice_, d_, noise_);
    if (cells_.step.empty()) {
      lift.reason = "too few cells of the slice are wide enough";
      return lift;
    }
    patterns_ = patterns(traces_, cells_.above);
    ask_all();
    lift.reason = check_against_slice();
    if (lift.reason.empty()) lift.reason = solve();
    if (lift.reason.empty()) lift.reason = finish(lift);
    keep_paid();
    return lift;
  }

 private:
  Index cells() const { return static_cast<Index>(cells_.step.size()); }

  /// Centres, and d points around each, as one round.
  void ask_all() {
    basis_ = random_.gaussian_points(device_, Stream::directions, d_, d_);
    orthonormal_rows(device_, basis_);
    fans_.directions = download(device_, basis_);
    fans_.centers = times(device_, cells_.centers, frame_, Transpose::no);
    fans_.steps = HostMatrix(cells(), d_);
    fans_.answers = HostMatrix(cells() * d_, p_);
    gradients_ = HostMatrix(cells() * p_, d_);
    fans_.center_answers = download(device_, asker_.points(upload(device_, fans_.centers)));
    std::vector<Index> all;
    for (Index c = 0; c < cells(); ++c) all.push_back(c);
    ask_fans(all, Round::same);
  }

  void ask_fans(const std::vector<Index>& which, Round round) {
    const auto chunk = static_cast<std::size_t>(asker_.rows_at_once(3 * d_ * p_ + 2 * d_));
    for (std::size_t first = 0; first < which.size(); first += chunk) {
      const std::size_t count = std::min(chunk, which.size() - first);
      HostMatrix centers(0, d_);
      HostMatrix middle(0, p_);
      HostMatrix steps(static_cast<Index>(count), d_);
      for (std::size_t i = 0; i < count; ++i) {
        const Index c = which[first + i];
        centers.append_row(fans_.centers.row(c), d_);
        middle.append_row(fans_.center_answers.row(c), p_);
        std::fill_n(steps.row(static_cast<Index>(i)), d_, cells_.step[static_cast<std::size_t>(c)]);
      }
      const DeviceMatrix centers_there = upload(device_, centers);
      const DeviceMatrix steps_there = upload(device_, steps);
      const DeviceMatrix values =
          asker_.fan({centers_there, basis_, steps_there}, first == 0 ? round : Round::same);
      DeviceMatrix differences(device_, centers.rows() * p_, d_);
      divided_differences(device_, values, upload(device_, middle), steps_there, differences);
      DeviceMatrix gradients(device_, centers.rows() * p_, d_);
      multiply(device_, differences, Transpose::no, basis_, Transpose::no, 1.0, 0.0, gradients);
      const HostMatrix got = download(device_, gradients);
      const HostMatrix answers = download(device_, values);
      for (std::size_t i = 0; i < count; ++i) {
        const Index c = which[first + i];
        const auto from = static_cast<Index>(i);
        std::copy_n(steps.row(from), d_, fans_.steps.row(c));
        std::copy_n(answers.row(from * d_), d_ * p_, fans_.answers.row(c * d_));
        std::copy_n(got.row(from * p_), p_ * d_, gradients_.row(c * p_));
      }
    }
    asker_.report();
  }

  void keep_paid() const {
    if (asker_.paid() == nullptr) return;
    const auto directions = std::make_shared<const HostMatrix>(fans_.directions);
    for (Index c = 0; c < cells(); ++c) {
      PaidFan paid;
      paid.center.assign(fans_.centers.row(c), fans_.centers.row(c) + d_);
      paid.directions = directions;
      paid.steps.assign(fans_.steps.row(c), fans_.steps.row(c) + d_);
      paid.answers = HostMatrix(d_, p_);
      std::copy_n(fans_.answers.row(c * d_), d_ * p_, paid.answers.data());
      paid.center_answer.assign(fans_.center_answers.row(c), fans_.center_answers.row(c) + p_);
      for (Index o = 0; o < p_; ++o) paid.center_noise.push_back(noise_.sigma(rho(c), o));
      asker_.paid()->add_fan(std::move(paid));
    }
  }

  double rho(Index c) const { return std::hypot(1.0, length(fans_.centers.row(c), d_)); }
  double sigma(Index c, Index o) const {
    return lift_noise(noise_, rho(c), cells_.step[static_cast<std::size_t>(c)], o);
  }

  /// What the slice says of gradients within it, and how exactly.
  bool like_slice(Index c, const HostMatrix& seen, const HostMatrix& expected) const {
    for (Index o = 0; o < p_; ++o) {
      const double* pattern = patterns_.row(c * p_ + o);
      const double of_piece = traces_.gradient_noise[static_cast<std::size_t>(o)];
      double square = of_piece * of_piece;
      for (Index j = 0; j < k_; ++j) {
        const auto jj = static_cast<std::size_t>(j);
        const double error = pattern[j] * traces_.normal_error[jj] * trace_[jj];
        square += error * error;
      }
      const double known = std::sqrt(square) + sigma(c, o) * slice_.stretch;
      const double tolerance = kUnlike * std::sqrt(static_cast<double>(m_)) * known;
      for (Index i = 0; i < m_; ++i) {
        if (!(std::abs(seen(c * p_ + o, i) - expected(c * p_ + o, i)) <= tolerance)) return false;
      }
    }
    return true;
  }

  std::string check_against_slice() {
    HostMatrix unknown(0, m_);
    for (Index j = 0; j < k_; ++j) {
      std::vector<double> w(traces_.normals.row(j), traces_.normals.row(j) + m_);
      for (double& value : w) value *= trace_[static_cast<std::size_t>(j)];
      unknown.append_row(w.data(), m_);
    }
    for (Index o = 0; o < p_; ++o) unknown.append_row(traces_.gradient.row(o), m_);
    const HostMatrix expected = times(device_, patterns_, upload(device_, unknown), Transpose::no);
    for (int attempt = 0;; ++attempt) {
      const HostMatrix seen = times(device_, gradients_, frame_, Transpose::yes);
      std::vector<Index> unlike;
      for (Index c = 0; c < cells(); ++c) {
        if (!like_slice(c, seen, expected)) unlike.push_back(c);
      }
      if (unlike.empty()) return {};
      const double share = attempt == 0 ? kMostUnlikeAtOnce : kMostUnlike;
      const double most = std::max(1.0, share * static_cast<double>(cells()));
      if (attempt == kRetries || static_cast<double>(unlike.size()) > most) {
        return std::to_string(unlike.size()) + " of " + std::to_string(cells()) +
               " gradients are unlike those of the slice";
      }
      for (const Index c : unlike) cells_.step[static_cast<std::size_t>(c)] *= kSmaller;
      ask_fans(unlike, Round::next);
    }
  }

  /// Gradients as they would be if no step had left its cell, by what the network so far says.
  HostMatrix without_crossings(const HostMatrix& unknown) const {
    HostMatrix corrected = gradients_;
    if (k_ == 0) return corrected;
    HostMatrix normals(0, d_);
    for (Index j = 0; j < k_; ++j) normals.append_row(unknown.row(j), d_);
    const HostMatrix slopes = times(device_, normals, basis_, Transpose::yes);
    std::vector<double> steepest;
    for (Index j = 0; j < k_; ++j) {
      double most = 0;
      for (Index l = 0; l < d_; ++l) most = std::max(most, std::abs(slopes(j, l)));
      steepest.push_back(most);
    }
    for (Index c = 0; c < cells(); ++c) {
      const double step = cells_.step[static_cast<std::size_t>(c)];
      for (Index j = 0; j < k_; ++j) {
        const auto jj = static_cast<std::size_t>(j);
        const double height = cells_.above(c, j) * trace_[jj];
        if (std::abs(step) * steepest[jj] <= std::abs(height)) continue;
        for (Index l = 0; l < d_; ++l) {
          const double after = height + step * slopes(j, l);
          if (after * height >= 0) continue;
          const double more = std::abs(after) / step;  // relu(after) - [height > 0] after
          for (Index o = 0; o < p_; ++o) {
            const double share = trace_[jj] > 0 ? traces_.scales(j, o) / trace_[jj] * more : 0.0;
            const double* direction = fans_.directions.row(l);
            double* to = corrected.row(c * p_ + o);
            for (Index i = 0; i < d_; ++i) to[i] -= share * direction[i];
          }
        }
      }
    }
    return corrected;
  }

  /// Biases and constants, in units of W: with all gradients known, what is left of F at the
  /// centres is linear in them by the same patterns. The slice's own biases carry the errors of its
  /// gradients out to where its lines met the hyperplanes, and are some hundred times worse.
  void solve_levels() {
    HostMatrix left(cells() * p_, 1);
    std::vector<double> sigmas;
    const HostMatrix gradients =
        times(device_, patterns_, upload(device_, unknown_), Transpose::no);
    const HostMatrix spread =
        times(device_, patterns_, upload(device_, covariance_), Transpose::no);
    for (Index row = 0; row < left.rows(); ++row) {
      const Index c = row / p_;
      const double* x = fans_.centers.row(c);
      left(row, 0) = fans_.center_answers(c, row % p_) - dot(gradients.row(row), x, d_);
      const double of_gradient =
          std::sqrt(std::max(0.0, dot(spread.row(row), patterns_.row(row), k_ + p_)));
      sigmas.push_back(std::max(
          std::hypot(noise_.sigma(rho(c), row % p_), of_gradient * length(x, d_)), 1e-300));
    }
    const WeightedFit fit(device_, patterns_, std::move(sigmas), ones());
    levels_ = fit.solve(left);
    const HostMatrix covariance = fit.covariance();
    for (Index j = 0; j < k_ + p_; ++j) {
      level_error_.push_back(std::sqrt(std::max(0.0, covariance(j, j))));
    }
  }

  /// W_1 .. W_k so far, [k, d].
  HostMatrix normals() const {
    HostMatrix w(k_, d_);
    std::copy_n(unknown_.data(), w.size(), w.data());
    return w;
  }

  std::vector<double> ones() const {
    return std::vector<double>(static_cast<std::size_t>(k_ + p_), 1.0);
  }

  std::string solve() {
    for (Index c = 0; c < cells(); ++c) {
      for (Index o = 0; o < p_; ++o) sigmas_.push_back(std::max(sigma(c, o), 1e-300));
    }
    const Index spare = cells() * p_ - k_ - p_;  // equations for every input
    for (int turn = 0;; ++turn) {
      const WeightedFit fit(device_, patterns_, sigmas_, ones());
      if (!(fit.conditioning() >= kUndetermined)) {
        return "the cells do not tell all neurons apart";
      }
      std::string failed = solve_all(fit);
      if (!failed.empty()) return failed;
      covariance_ = fit.covariance();
      if (spare <= 0) break;
      if (p_ > 1) certainty_ = turn_certainty(fit, traces_, cells_.above);
      const HostMatrix left = fit.unexplained(without_crossings(unknown_));
      const double before = misfit_;
      misfit_ = length(left.data(), left.size()) / std::sqrt(static_cast<double>(spare * d_));
      if ((misfit_ <= kExplained && turn > 0) || turn == kTurns ||
          (turn > 0 && misfit_ > 0.5 * before))
        break;
      if (!turn_outputs(device_, fit, cells_.above, normals(), left, traces_)) break;
      patterns_ = patterns(traces_, cells_.above);
    }
    solve_levels();
    return {};
  }

  /// W_1 .. W_k and g_1 .. g_p for the patterns as they are, with crossings taken out.
  std::string solve_all(const WeightedFit& fit) {
    unknown_ = fit.solve(gradients_);
    const double size = std::max(largest(unknown_), 1e-300);
    double before = 0;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      HostMatrix left = without_crossings(unknown_);
      const HostMatrix known = times(device_, patterns_, upload(device_, unknown_), Transpose::no);
      for (Index i = 0; i < left.size(); ++i) left.data()[i] -= known.data()[i];
      const HostMatrix change = fit.solve(left);
      for (Index i = 0; i < change.size(); ++i) unknown_.data()[i] += change.data()[i];
      const double relative = largest(change) / size;
      if (!std::isfinite(relative) || (sweep > 0 && relative > kUnsettled && relative > before)) {
        return "the solution does not settle";
      }
      if (relative <= kSettled || (sweep > 0 && relative > 0.5 * before)) break;
      before = relative;
    }
    return {};
  }

  /// The answers' noise, in units of what was assumed: second differences of points and their
  /// mirrors, where both lie in the cell of the centre.
  double noise_ratio() {
    HostMatrix mirrored(0, d_);
    std::vector<std::pair<Index, Index>> fine;  // cell, direction
    std::vector<Index> row_of_fine;
    for (Index i = 0; i < kMirrored; ++i) {
      const auto c = std::min(
          cells() - 1, static_cast<Index>(random_.uniform(0, 1) * static_cast<double>(cells())));
      const auto l =
          std::min(d_ - 1, static_cast<Index>(random_.uniform(0, 1) * static_cast<double>(d_)));
      const double step = fans_.steps(c, l);
      const double* direction = fans_.directions.row(l);
      std::vector<double> x(fans_.centers.row(c), fans_.centers.row(c) + d_);
      for (Index e = 0; e < d_; ++e) x[static_cast<std::size_t>(e)] -= step * direction[e];
      bool inside = true;
      for (Index j = 0; j < k_ && inside; ++j) {
        const double height = cells_.above(c, j) * trace_[static_cast<std::size_t>(j)];
        inside = std::abs(step * dot(unknown_.row(j), direction, d_)) < std::abs(height);
      }
      if (!inside) continue;
      fine.emplace_back(c, l);
      mirrored.append_row(x.data(), d_);
    }
    if (static_cast<Index>(fine.size()) < kLeastMirrored) return kUnknownNoise;
    const HostMatrix answers = download(device_, asker_.points(upload(device_, mirrored)));
    double sum = 0;
    for (std::size_t i = 0; i < fine.size(); ++i) {
      const auto [c, l] = fine[i];
      for (Index o = 0; o < p_; ++o) {
        const double bend = fans_.answers(c * d_ + l, o) + answers(static_cast<Index>(i), o) -
                            2 * fans_.center_answers(c, o);
        const double ratio = bend / std::sqrt(6.0) / std::max(noise_.sigma(rho(c), o), 1e-300);
        sum += ratio * ratio;
      }
    }
    return std::max(kNoiseMargin * std::sqrt(sum / static_cast<double>(answers.size())),
                    kLeastNoise);
  }

  /// Error of |W_j| s_j across s_j, in units of the noise, which counts as an error of the height
  /// where |height| is 1. Where the cells do not determine it, s_j is as the slice left it: as
  /// wrong as those that were turned.
  double turn_error(std::size_t j) const {
    if (j >= certainty_.size()) return 0;
    const double unturned = kUnturned * turned_ * length(unknown_.row(static_cast<Index>(j)), d_);
    return std::min(1 / std::max(certainty_[j], 1e-300), unturned / noise_ratio_);
  }

  /// The angle by which an output direction was typically turned.
  double turned_by() const {
    std::vector<double> angles;
    for (Index j = 0; j < k_; ++j) {
      double square = 0;
      for (Index o = 0; o < p_; ++o) {
        const double change =
            (traces_.scales(j, o) - scales_before_(j, o)) / trace_[static_cast<std::size_t>(j)];
        square += change * change;
      }
      angles.push_back(std::sqrt(square));
    }
    return median(angles);
  }

  std::string finish(Lift& lift) {
    noise_ratio_ = lift.noise_ratio = std::max(noise_ratio(), misfit_);
    turned_ = turned_by();
    lift.covariance = covariance_;
    for (Index i = 0; i < lift.covariance.size(); ++i) {
      lift.covariance.data()[i] *= lift.noise_ratio * lift.noise_ratio;
    }
    const auto error = [&](Index j) { return std::sqrt(std::max(0.0, lift.covariance(j, j))); };
    Hypothesis whole(d_, p_);
    whole.base = slice_.whole(traces_.base);
    double longest = 0;
    for (Index j = 0; j < k_; ++j) {
      const auto jj = static_cast<std::size_t>(j);
      const double size = length(unknown_.row(j), d_);
      if (!(size > 0) || !std::isfinite(size)) return "a neuron vanishes";
      longest = std::max(longest, size);
      lift.largest_error = std::max(lift.largest_error, error(j));
      std::vector<double> direction(traces_.scales.row(j), traces_.scales.row(j) + p_);
      for (double& value : direction) value /= trace_[jj];
      whole.add({unknown_.row(j), unknown_.row(j) + d_}, levels_(j, 0), direction,
                std::hypot(lift.noise_ratio * std::hypot(level_error_[jj], turn_error(jj)),
                           error(j) * std::sqrt(static_cast<double>(d_))),
                error(j));
    }
    if (longest > 0) lift.largest_error /= longest;
    for (Index o = 0; o < p_; ++o) {
      const auto oo = static_cast<std::size_t>(o);
      whole.gradient_noise[oo] = error(k_ + o);
      // What is no more than noise is no linear part: else a constant would have a spread.
      if (length(unknown_.row(k_ + o), d_) >
          kSignificant * error(k_ + o) * std::sqrt(static_cast<double>(d_))) {
        std::copy_n(unknown_.row(k_ + o), d_, whole.gradient.row(o));
      }
      whole.constant(o, 0) = levels_(k_ + o, 0);
    }
    lift.network = std::move(whole);
    return {};
  }

  Asker& asker_;
  Device& device_;
  Random& random_;
  Hypothesis traces_;  // the network on the slice; directions of the outputs are improved
  HostMatrix scales_before_;
  const Slice& slice_;
  const NoiseModel& noise_;
  Index d_;
  Index p_;
  Index k_;
  Index m_;
  DeviceMatrix frame_;
  DeviceMatrix basis_;
  std::vector<double> trace_;  // [k] |scale|: about |W_j|
  LiftCells cells_;
  HostMatrix patterns_;  // [n p, k + p]
  LiftFans fans_;
  HostMatrix gradients_;        // [n p, d]
  HostMatrix unknown_;          // [k + p, d] W_1 .. W_k, g_1 .. g_p
  std::vector<double> sigmas_;  // [n p] of a component of a gradient
  double misfit_ = 0;           // root mean square of what is left, in units of sigmas_
  double noise_ratio_ = 1;
  double turned_ = 0;              // typical angle
  std::vector<double> certainty_;  // [k] of the directions of the outputs; empty for one output
  HostMatrix covariance_;
  HostMatrix levels_;  // [k + p, 1] biases in units of W, constants
  std::vector<double> level_error_;
};

}  // namespace

std::vector<double> Slice::whole(const std::vector<double>& t) const {
  std::vector<double> x(static_cast<std::size_t>(frame.cols()), 0.0);
  for (Index r = 0; r < frame.rows(); ++r) {
    const double factor = t[static_cast<std::size_t>(r)];
    for (Index i = 0; i < frame.cols(); ++i) {
      x[static_cast<std::size_t>(i)] += factor * frame(r, i);
    }
  }
  return x;
}

Slice random_slice(Random& random, Index m, Index d) {
  require(m >= 1 && m <= d, "random_slice: 1 <= m <= d");
  Slice slice{HostMatrix(0, d), std::sqrt(static_cast<double>(d) / static_cast<double>(m))};
  while (slice.frame.rows() < m) {
    std::vector<double> row = unit_vector(random.normals(d));
    for (int pass = 0; pass < 2; ++pass) {  // once leaves rounding over what was cancelled
      for (Index r = 0; r < slice.frame.rows(); ++r) {
        const double* other = slice.frame.row(r);
        const double along = dot(row.data(), other, d);
        for (Index i = 0; i < d; ++i) row[static_cast<std::size_t>(i)] -= along * other[i];
      }
      const double left = std::sqrt(dot(row, row));
      if (!(left > 0)) break;
      for (double& value : row) value /= left;
    }
    slice.frame.append_row(row.data(), d);
  }
  for (Index i = 0; i < slice.frame.size(); ++i) slice.frame.data()[i] *= slice.stretch;
  return slice;
}

NoiseModel noise_on_slice(NoiseModel noise, const Slice& slice) {
  for (double& value : noise.relative) value *= slice.stretch;
  return noise;
}

Lift lift_slice(Asker& asker, Random& random, const Hypothesis& on_slice, const Slice& slice,
                const NoiseModel& noise) {
  asker.enter("lift");
  return Lifting(asker, random, on_slice, slice, noise).run();
}

}  // namespace crease
