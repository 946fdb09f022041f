// Where F varies: the span of its gradients.
#include <algorithm>
#include <cmath>

#include "src/learners/smooth_run.hpp"
#include "src/small_dense.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"

namespace crease {
namespace {

constexpr double kMoreGradients = 1.5;  // times as many at a time
constexpr Index kNoisyGradients = 4;  // per input: the least singular value must stand above noise
constexpr double kRank = 1e-5;        // of the largest singular value of the gradients
constexpr double kGap = 30;           // of singular values, with noise
constexpr double kNoiseRank = 2;      // of the largest that noise makes of them
constexpr double kExactGradient = 1e-5;  // step: rounding 2e-11, truncation 1e-10 |a|^3
constexpr Index kSpanPoints = 16;
constexpr double kSpanned = 1e-8;        // of the size of F: a change that is rounding ...
constexpr double kNearlySpanned = 1e-5;  // ... and, of steep neurons, truncation
constexpr double kFartherOut = 30;
constexpr double kNoisySpanned = 6;        // sigma, at least ...
constexpr double kSmallFartherOut = 0.02;  // ... so much of sd(F): what a tilted basis changes
constexpr int kBasisRounds = 4;

/// How much F changes where points of N(0, scale^2 I) lose what lies outside the basis.
std::vector<double> changes_outside(SmoothRun& run, double scale) {
  const HostMatrix& basis = run.basis;
  const Index d = run.asker.inputs();
  HostMatrix x = download(
      run.device, run.random.gaussian_points(run.device, Stream::looks, kSpanPoints, d, scale));
  const HostMatrix inside =
      product(run.device, product(run.device, x, Transpose::no, basis, Transpose::yes),
              Transpose::no, basis, Transpose::no);
  for (Index i = 0; i < kSpanPoints; ++i) x.append_row(inside.row(i), d);
  const HostMatrix y = download(run.device, run.asker.points(upload(run.device, x)));
  std::vector<double> changes;
  for (Index i = 0; i < kSpanPoints; ++i) {
    changes.push_back(std::fabs(y(i, 0) - y(kSpanPoints + i, 0)));
  }
  return changes;
}

/// Exact answers at random points tell of what is missing, steep neurons, that slope at few of
/// them, as well; the last time a basis is not refused for their truncation.
bool spans_exactly(SmoothRun& run, bool last) {
  const std::vector<double> changes = changes_outside(run, 1);
  return *std::max_element(changes.begin(), changes.end()) <=
         (last ? kNearlySpanned : kSpanned) * run.size;
}

/// Where noise hides bends, neurons that saturate show farther out, at most points: the errors of
/// the basis itself show at few.
bool spans_but_for_noise(SmoothRun& run) {
  return !saturates(run.problem.first) || median(changes_outside(run, kFartherOut)) <=
                                              std::max(kSmallFartherOut, kNoisySpanned * run.sigma);
}

/// Gradients at Gaussian points, growing, and what their singular values say of F.
class Gradients {
 public:
  explicit Gradients(SmoothRun& run)
      : run_(run),
        step_(run.sigma > 0 ? std::clamp(std::cbrt(3 * run.sigma), 1e-3, 0.3) : kExactGradient),
        rows_(0, run.asker.inputs()) {}

  void take(Index points) {
    const Index d = run_.asker.inputs();
    const HostMatrix centers =
        download(run_.device, run_.random.gaussian_points(run_.device, Stream::lines, points, d));
    const HostMatrix more = central_gradients(run_.asker, centers, identity(d), step_);
    for (Index i = 0; i < points; ++i) rows_.append_row(more.row(i), d);
    parts_ = svd(rows_);
  }

  Index points() const { return rows_.rows(); }

  Index rank() const {
    const Index d = run_.asker.inputs();
    // Noise of a gradient's number, and the largest singular value of a matrix of it.
    const double error = run_.sigma_or_rounding() / (std::sqrt(2.0) * step_);
    const double chance =
        error * (std::sqrt(static_cast<double>(points())) + std::sqrt(static_cast<double>(d)));
    const double floor = std::max(kRank * parts_.values.front(), kNoiseRank * chance);
    const auto above = std::count_if(parts_.values.begin(), parts_.values.end(),
                                     [&](double value) { return value > floor; });
    const auto r = static_cast<std::size_t>(above);
    // Noise may hide directions of little slope: without a gap all of them stay.
    const bool has_gap = above == 0 || above == d || run_.sigma == 0 ||
                         parts_.values[r - 1] >= kGap * parts_.values[r];
    return std::max<Index>(has_gap ? above : d, 1);
  }

  /// The leading `rank` directions.
  HostMatrix basis(Index rank) const { return HostMatrix(parts_.right.view().row_block(0, rank)); }

 private:
  SmoothRun& run_;
  double step_;
  HostMatrix rows_;
  Svd parts_;
};

}  // namespace

void find_basis(SmoothRun& run) {
  run.asker.enter("gradients");
  const Index d = run.asker.inputs();
  Gradients gradients(run);
  const bool exact = run.sigma == 0;
  gradients.take(exact ? std::min(kFirstGradients, d + kSpareGradients) : kNoisyGradients * d);
  for (int round = 0; round < kBasisRounds; ++round) {
    while (exact && gradients.rank() < d &&
           gradients.rank() + kSpareGradients > gradients.points()) {
      const auto more =
          static_cast<Index>((kMoreGradients - 1) * static_cast<double>(gradients.points()));
      gradients.take(std::min(more, d + kSpareGradients - gradients.rank()));
    }
    Index rank = gradients.rank();
    const bool two = run.problem.layers == 2 || run.problem.second_neurons;
    if (!exact && run.problem.neurons && two) {
      rank = std::min(*run.problem.neurons, d);
    }
    run.basis = gradients.basis(rank);
    const bool last = !exact || round + 1 == kBasisRounds;
    if (rank == d || (exact ? spans_exactly(run, last) : spans_but_for_noise(run))) return;
    if (last) break;
    gradients.take(gradients.points());
  }
  run.basis = identity(d);
}

}  // namespace crease
