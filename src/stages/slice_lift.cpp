// The lift: fans in chosen cells, checked against the slice, and one solve for all neurons.
#include "src/stages/slice_lift.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/stages/cells.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/output_turns.hpp"
#include "src/stages/product.hpp"
#include "src/stages/slice_fans.hpp"

namespace crease {
namespace {

constexpr double kUndetermined = 1e-6;  // smallest over largest singular value of the patterns
constexpr double kSignificant = 10;     // standard deviations of a linear part that is one
constexpr int kSweeps = 6;
constexpr double kSettled = 8 * kRounding;  // relative change of the last sweep
constexpr double kUnsettled = 1e-9;         // a change above this must not grow
constexpr int kTurns = 6;                   // Gauss-Newton steps of the output directions
constexpr double kExplained = 2;  // residual in standard deviations that needs no more of them
constexpr double kUnturned = 4;   // times the typical angle

double largest(const HostMatrix& a) {
  double most = 0;
  for (Index i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a.data()[i]));
  return most;
}

double length(const double* row, Index n) {
  return std::sqrt(dot(row, row, n));
}

class Lifting {
 public:
  Lifting(Asker& asker, Random& random, const Hypothesis& traces, const Slice& slice,
          const NoiseModel& noise, LiftCells cells)
      : device_(asker.device()),
        most_bytes_(asker.scratch_bytes()),
        random_(random),
        on_slice_(traces),
        slice_(slice),
        noise_(noise),
        d_(asker.inputs()),
        p_(asker.outputs()),
        k_(traces.neurons()),
        traces_(traces),
        fans_(asker, random, on_slice_, slice, noise, std::move(cells)),
        trace_(fans_.trace()) {}

  Lift run() {
    fans_.ask();
    patterns_ = patterns(traces_, fans_.above());
    Lift lift;
    lift.reason = fans_.hold_against_slice();
    if (lift.reason.empty()) lift.reason = solve();
    if (lift.reason.empty()) lift.reason = finish(lift);
    fans_.keep();
    return lift;
  }

 private:
  /// Gradients as they would be if no step had left its cell, by what the network so far says.
  HostMatrix without_crossings(const HostMatrix& unknown) const {
    HostMatrix corrected = fans_.gradients();
    if (k_ == 0) return corrected;
    HostMatrix normals(0, d_);
    for (Index j = 0; j < k_; ++j) normals.append_row(unknown.row(j), d_);
    const HostMatrix slopes =
        product(device_, normals, Transpose::no, fans_.basis(), Transpose::yes);
    std::vector<double> steepest;
    for (Index j = 0; j < k_; ++j) {
      double most = 0;
      for (Index l = 0; l < d_; ++l) most = std::max(most, std::abs(slopes(j, l)));
      steepest.push_back(most);
    }
    for (Index c = 0; c < fans_.size(); ++c) {
      const double step = fans_.step(c);
      for (Index j = 0; j < k_; ++j) {
        const auto jj = static_cast<std::size_t>(j);
        const double height = fans_.height(c, j);
        if (std::abs(step) * steepest[jj] <= std::abs(height)) continue;
        for (Index l = 0; l < d_; ++l) {
          const double after = height + step * slopes(j, l);
          if (after * height >= 0) continue;
          const double more = std::abs(after) / step;  // relu(after) - [height > 0] after
          for (Index o = 0; o < p_; ++o) {
            const double share = trace_[jj] > 0 ? traces_.scales(j, o) / trace_[jj] * more : 0.0;
            const double* direction = fans_.directions().row(l);
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
    HostMatrix left(fans_.size() * p_, 1);
    std::vector<double> sigmas;
    const HostMatrix gradients =
        product(device_, patterns_, Transpose::no, unknown_, Transpose::no);
    const HostMatrix spread =
        product(device_, patterns_, Transpose::no, covariance_, Transpose::no);
    for (Index row = 0; row < left.rows(); ++row) {
      const Index c = row / p_;
      const double* x = fans_.centers().row(c);
      left(row, 0) = fans_.center_answers()(c, row % p_) - dot(gradients.row(row), x, d_);
      const double of_gradient =
          std::sqrt(std::max(0.0, dot(spread.row(row), patterns_.row(row), k_ + p_)));
      sigmas.push_back(std::max(
          std::hypot(noise_.sigma(fans_.rho(c), row % p_), of_gradient * length(x, d_)), 1e-300));
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
    for (Index c = 0; c < fans_.size(); ++c) {
      for (Index o = 0; o < p_; ++o) sigmas_.push_back(std::max(fans_.sigma(c, o), 1e-300));
    }
    const Index spare = fans_.size() * p_ - k_ - p_;  // equations for every input
    for (int turn = 0;; ++turn) {
      const WeightedFit fit(device_, patterns_, sigmas_, ones());
      if (!(fit.conditioning() >= kUndetermined)) {
        return "the cells do not tell all neurons apart";
      }
      std::string failed = solve_all(fit);
      if (!failed.empty()) return failed;
      covariance_ = fit.covariance();
      if (spare <= 0) break;
      if (p_ > 1) certainty_ = turn_certainty(fit, traces_, fans_.above());
      const HostMatrix left = fit.unexplained(without_crossings(unknown_));
      const double before = misfit_;
      misfit_ = length(left.data(), left.size()) / std::sqrt(static_cast<double>(spare * d_));
      if ((misfit_ <= kExplained && turn > 0) || turn == kTurns ||
          (turn > 0 && misfit_ > 0.5 * before))
        break;
      if (!turn_outputs(device_, fit, fans_.above(), normals(), left, most_bytes_, traces_)) break;
      patterns_ = patterns(traces_, fans_.above());
    }
    solve_levels();
    return {};
  }

  /// W_1 .. W_k and g_1 .. g_p for the patterns as they are, with crossings taken out.
  std::string solve_all(const WeightedFit& fit) {
    unknown_ = fit.solve(fans_.gradients());
    const double size = std::max(largest(unknown_), 1e-300);
    double before = 0;
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      HostMatrix left = without_crossings(unknown_);
      const HostMatrix known = product(device_, patterns_, Transpose::no, unknown_, Transpose::no);
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
            (traces_.scales(j, o) - on_slice_.scales(j, o)) / trace_[static_cast<std::size_t>(j)];
        square += change * change;
      }
      angles.push_back(std::sqrt(square));
    }
    return median(angles);
  }

  std::string finish(Lift& lift) {
    noise_ratio_ = lift.noise_ratio = std::max(fans_.measured_noise(random_, normals()), misfit_);
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

  Device& device_;
  Index most_bytes_;
  Random& random_;
  const Hypothesis& on_slice_;
  const Slice& slice_;
  const NoiseModel& noise_;
  Index d_;
  Index p_;
  Index k_;
  Hypothesis traces_;  // the network on the slice; directions of the outputs are improved
  SliceFans fans_;
  const std::vector<double>& trace_;  // [k] |scale|: about |W_j|
  HostMatrix patterns_;               // [n p, k + p]
  HostMatrix unknown_;                // [k + p, d] W_1 .. W_k, g_1 .. g_p
  std::vector<double> sigmas_;        // [n p] of a component of a gradient
  double misfit_ = 0;                 // root mean square of what is left, in units of sigmas_
  double noise_ratio_ = 1;
  double turned_ = 0;              // typical angle
  std::vector<double> certainty_;  // [k] of the directions of the outputs; empty for one output
  HostMatrix covariance_;
  HostMatrix levels_;  // [k + p, 1] biases in units of W, constants
  std::vector<double> level_error_;
};

}  // namespace

Lift lift_slice(Asker& asker, Random& random, const Hypothesis& on_slice, const Slice& slice,
                const NoiseModel& noise) {
  asker.enter("lift");
  LiftCells cells = choose_cells(asker.device(), random, on_slice, slice, asker.inputs(), noise);
  if (cells.step.empty()) {
    Lift none;
    none.reason = "too few cells of the slice are wide enough";
    return none;
  }
  return Lifting(asker, random, on_slice, slice, noise, std::move(cells)).run();
}

}  // namespace crease
