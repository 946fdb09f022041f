// Counts of neurons upwards, until a fit is exact.
#include <algorithm>
#include <cmath>
#include <utility>

#include "src/stages/counted_fit.hpp"
#include "src/stages/smooth_fit.hpp"

namespace crease {
namespace {

constexpr double kSettledNoise = 1.3;        // sigma: the rms of a fit as good as the answers
constexpr double kRoundingOfValues = 1e-14;  // of their mean
constexpr Index kRowsOfUnknown = 4;          // for every unknown, ...
constexpr Index kMoreRows = 50;              // ... and so many more
constexpr Index kFineCounts = 10;            // up to here one by one, then by a fifth
constexpr Index kFineCountsAboveLeast = 2;   // or up to here
constexpr std::size_t kMoreAtLeast = 2;      // fits: a known least count is nearly always the count
constexpr double kNearlySettled = 1e-2;      // of the deviation: there may be too many neurons
constexpr double kGood = 1e-3;   // likewise: what is left may be the answers' own error; ...
constexpr double kBetter = 0.5;  // ... so it only gives way to a clearly better one, in ...
constexpr int kMostInVain = 4;   // ... so many more tries

struct Try {
  Index neurons = 1;
  Index negative = 0;  // outputs
};

std::vector<Try> tries_of(const CountPlan& plan, bool symmetric) {
  std::vector<Index> counts;
  if (plan.neurons) {
    for (const Index more : {0, 0, 0, 1, 2, 0, 1, 3}) counts.push_back(*plan.neurons + more);
  } else {
    const Index least = std::min(plan.least_neurons, plan.most_neurons);
    if (least > 1) counts.assign(kMoreAtLeast, least);
    const Index fine = std::max(kFineCounts, least + kFineCountsAboveLeast);
    for (Index q = least; q <= plan.most_neurons; q += q < fine ? 1 : q / 5) counts.push_back(q);
  }
  std::vector<Try> tries;
  for (const Index q : counts) {
    std::vector<Index> negative = {0};
    if (!symmetric) negative = {0, q / 2, q / 4, q - q / 4, q};
    for (auto n = negative.begin(); n != negative.end(); ++n) {
      if (std::find(negative.begin(), n, *n) == n) tries.push_back({q, *n});
    }
  }
  return tries;
}

class CountSearch {
 public:
  CountSearch(Device& device, const CountProblem& problem, const CountPlan& plan)
      : device_(device), problem_(problem), plan_(plan) {}

  Counted run() {
    const bool symmetric = is_symmetric(problem_.last);
    Counted best;
    best.network = problem_.start(1, 0);
    grow(rows_for(best.network));
    best.network.output(0, 0) = 0;
    best.network.constant(0, 0) = mean_;
    best.rms = best.deviation = deviation_;
    best.settled = is_settled(best.rms);
    int in_vain = 0;  // tries since the best
    for (const Try& next : tries_of(plan_, symmetric)) {
      if (best.settled || (plan_.stop && plan_.stop())) break;
      if (is_good(best) && in_vain == kMostInVain) break;
      SmoothNetwork start = problem_.start(next.neurons, next.negative);
      if (free_numbers(start, {}) > plan_.most_unknowns) {
        best.cut = true;
        if (plan_.neurons) continue;  // a later try may have fewer
        break;
      }
      CountFit fit = fit_of(std::move(start));
      if (plan_.tried) plan_.tried(fit.network.neurons(fit.network.layers() - 1), fit.rms);
      ++in_vain;
      if (fit.rms < (is_good(best) ? kBetter : 1) * best.rms) {
        in_vain = 0;
        best.network = std::move(fit.network);
        best.rms = fit.rms;
        best.deviation = deviation_;
        best.settled = is_settled(best.rms);
      }
      if (fit.stopped) break;
    }
    return best;
  }

 private:
  double target() const {
    return std::max(
        {kSettled * deviation_, kSettledNoise * plan_.sigma, kRoundingOfValues * std::abs(mean_)});
  }
  static bool is_good(const Counted& best) { return best.rms < kGood * best.deviation; }
  bool is_settled(double rms) const { return rms <= target(); }

  static Index rows_for(const SmoothNetwork& start) {
    return kRowsOfUnknown * free_numbers(start, {}) + kMoreRows;
  }

  /// At least so many rows.
  void grow(Index rows) {
    if (rows <= rows_.points.rows()) return;
    const CountProblem::Rows fresh = problem_.ask(rows - rows_.points.rows());
    for (Index i = 0; i < fresh.points.rows(); ++i) {
      rows_.points.append_row(fresh.points.row(i), fresh.points.cols());
      rows_.values.append_row(fresh.values.row(i), 1);
    }
    double squares = 0;
    mean_ = 0;
    for (Index i = 0; i < rows; ++i) mean_ += rows_.values(i, 0) / static_cast<double>(rows);
    for (Index i = 0; i < rows; ++i) squares += std::pow(rows_.values(i, 0) - mean_, 2);
    deviation_ = std::sqrt(squares / static_cast<double>(rows));
  }

  CountFit fit_of(SmoothNetwork start) {
    const Index rows = rows_for(start);
    grow(rows);
    start.constant(0, 0) = mean_;
    const DeviceMatrix points = upload(device_, rows_.points.view().row_block(0, rows));
    const DeviceMatrix values = upload(device_, rows_.values.view().row_block(0, rows));
    const FitData data{points, values, deviation_, target(), plan_.stop};
    CountFit fit = fit_from_afar(device_, data, std::move(start));
    if (fit.rms > std::max(kNearlySettled * deviation_, target())) return fit;
    return thinned(device_, data, std::move(fit), plan_.neurons.value_or(1));
  }

  Device& device_;
  const CountProblem& problem_;
  const CountPlan& plan_;
  CountProblem::Rows rows_;
  double mean_ = 0;
  double deviation_ = 0;
};

}  // namespace

Counted fit_counted(Device& device, const CountProblem& problem, const CountPlan& plan) {
  require(!plan.neurons || *plan.neurons >= 1, "fit_counted: at least one neuron");
  require(plan.least_neurons >= 1, "fit_counted: at least one neuron");
  require(plan.sigma >= 0 && std::isfinite(plan.sigma), "fit_counted: sigma must be >= 0");
  return CountSearch(device, problem, plan).run();
}

}  // namespace crease
