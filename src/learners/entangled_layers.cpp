// Two hidden layers from the span of Hessians near the origin, the path of Fornasier, Klock and
// Rauchensteiner: rank-one matrices of both layers, told apart where neurons saturate.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

#include "kernels/activations.hpp"
#include "kernels/ops_smooth.hpp"
#include "src/learners/smooth_run.hpp"
#include "src/small_dense.hpp"
#include "src/stages/attribution.hpp"
#include "src/stages/central_differences.hpp"
#include "src/stages/counted_fit.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/product.hpp"
#include "src/stages/rank_one_search.hpp"
#include "src/stages/scalar_fit.hpp"
#include "src/stages/smooth_fit.hpp"
#include "src/stages/symmetric_span.hpp"

namespace crease {
namespace {

constexpr double kRadii[] = {0.3, 1, 0.5, 1.5};  // of the Hessians' sphere
constexpr double kWideRadii[] = {3, 1, 2, 0.3};  // where g does not saturate
constexpr double kSigmoid = 2;                   // times as wide as tanh
constexpr Index kHessians = 3;                   // a direction
constexpr Index kStartsPerDirection = 6;         // of the rank-one search
constexpr int kSearchRounds = 3;
constexpr double kFirstLayer = 3e-4;   // of sd(F): least saturation score of a first neuron ...
constexpr double kNoisyFirst = 10;     // ... or so many deviations of an answer
constexpr double kIndependent = 0.05;  // least singular value of the first layer's directions
constexpr Index kScalarRows = 10;      // an unknown of the scalar fit
constexpr Index kRows = 3;             // an unknown of the fits after it
constexpr Index kSecondSteps = 30;     // while the first layer's directions stay
constexpr Index kSteps = 150;
constexpr double kLittle = 1e-4;       // gain of a step of a start that is believed in ...
constexpr double kLittleTried = 1e-2;  // ... and of one among many
constexpr double kTarget = 1e-8;       // of sd(F): rms of a fit that is settled
constexpr double kNoisyTarget = 1.3;   // deviations of an answer, likewise
constexpr double kLabelingWork = 1e8;  // unknowns cubed, times labelings tried
constexpr Index kMostLabelings = 20;
constexpr Index kLeastLabelings = 4;  // where there is no other way
constexpr double kNeuron = 0.5;       // of the slopes at 0: about the deviation of a second neuron
constexpr double kPlausible = 4;      // times what gives F its deviation: unit outputs are taken

Index first_neurons(const SmoothRun& run) {
  return run.problem.neurons.value_or(run.basis.rows());
}

/// Of the fit of all parameters.
Index unknowns_of(const SmoothRun& run) {
  const Index m0 = first_neurons(run);
  const Index m1 = *run.problem.second_neurons;
  return m0 * (run.asker.inputs() + 1) + m1 * (m0 + 2) + 1;
}

double radius_of(Activation first, int attempt) {
  const auto at = static_cast<std::size_t>(attempt) % std::size(kRadii);
  return saturates(first) ? kRadii[at] : kWideRadii[at];
}

std::vector<Index> descending(const std::vector<double>& scores) {
  std::vector<Index> order(scores.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return order;
}

class EntangledLayers {
 public:
  EntangledLayers(SmoothRun& run, int attempt)
      : run_(run),
        device_(run.device),
        first_(run.problem.first),
        second_(run.problem.second),
        width_(first_ == Activation::sigmoid ? kSigmoid : 1),
        radius_(width_ * radius_of(first_, attempt)),
        dims_(run.basis.rows()),
        m0_(first_neurons(run)),
        m1_(*run.problem.second_neurons) {}

  SmoothAttempt learn() {
    const Index unknowns = unknowns_of(run_);
    if (unknowns > run_.plan.most_unknowns) {
      return {{},
              because(reason::kTooManyUnknowns,
                      "what the Hessians show of two layers has to be fitted in all " +
                          std::to_string(unknowns) + " parameters, and at most " +
                          std::to_string(run_.plan.most_unknowns) + " are (most_unknowns)")};
    }
    const HostMatrix candidates = rank_ones();
    run_.asker.enter("least_squares");
    points_ = run_.gaussian_points(kRows * unknowns);
    if (saturates(first_)) fit_attributed(candidates);
    const Index most = labelings(static_cast<double>(unknowns));
    for (Index i = 0; i < most && !is_settled(); ++i) {
      if (has_network() && run_.asker.would_end()) break;
      fit_labeling(candidates, i);
    }
    run_.asker.report();
    if (!has_network())
      return {{}, because(reason::kResidualTooLarge, "no fit of two layers came to anything")};
    return {best_, ""};
  }

 private:
  bool has_network() const { return rms_ < HUGE_VAL; }
  bool is_settled() const { return rms_ <= std::max(kTarget, kNoisyTarget * run_.sigma); }

  /// Tried in all; more where a fit takes no time.
  Index labelings(double unknowns) const {
    const double affordable = kLabelingWork / std::pow(unknowns, 3);
    const auto most = static_cast<Index>(std::min(affordable, static_cast<double>(kMostLabelings)));
    return saturates(first_) ? most : std::max(most, kLeastLabelings);
  }

  /// Unit directions [found, D] of matrices of rank one in the span of Hessians, or near it.
  HostMatrix rank_ones() {
    run_.asker.enter("hessians");
    const Index m = m0_ + m1_;
    HostMatrix along(0, dims_);
    for (Index i = 0; i < kHessians * m; ++i) {
      std::vector<double> point = unit_vector(run_.random.normals(dims_));
      for (double& value : point) value *= radius_;
      along.append_row(point.data(), dims_);
    }
    const DeviceMatrix rows =
        hessians(run_.asker, in_inputs(along), run_.basis, hessian_step(run_.sigma, run_.size));
    run_.asker.report();
    const SymmetricSpan span = symmetric_span(device_, rows, std::min(m, symmetric_size(dims_)));
    RankOnePlan plan;
    plan.accept = 0;  // truncation leaves none of them quite in the span
    plan.starts = kStartsPerDirection * m;
    plan.rounds = kSearchRounds;
    plan.stop = [this] { return run_.asker.would_end(); };
    if (run_.plan.ascent) plan.method = RankOnePlan::Method::ascent;
    return rank_one_search(device_, span.basis, m, run_.random, plan).directions;
  }

  HostMatrix in_inputs(const HostMatrix& along) const {
    return product(device_, along, Transpose::no, run_.basis, Transpose::no);
  }

  /// The paper's way: layers told apart by saturation, scalars, the second layer, everything.
  void fit_attributed(const HostMatrix& candidates) {
    const TwoLayerDirections directions = attributed(candidates);
    run_.asker.enter("least_squares");
    const SmoothRun::Points points = run_.gaussian_points(kScalarRows * (m0_ + 2 * m1_));
    ScalarFitPlan plan;
    plan.output = output_size();
    plan.exact = std::max(kTarget, kNoisyTarget * run_.sigma);
    plan.stop = [this] { return run_.asker.would_end(); };
    ScalarFit scalars = fit_scalars(device_, run_.random, download(device_, points.x),
                                    download(device_, points.y), directions, first_, second_, plan);
    SmoothFitPlan fit = fit_plan();
    fit.output = fit.first_weights = false;
    fit.most_steps = kSecondSteps;
    SmoothNetwork network = fitted(std::move(scalars.network), fit).network;
    fit.first_weights = true;
    fit.most_steps = kSteps;
    keep(fitted(std::move(network), fit), kLittle);
  }

  /// Candidates by their layers, in inputs; what is missing made up.
  TwoLayerDirections attributed(const HostMatrix& candidates) {
    TwoLayerDirections directions{HostMatrix(0, dims_), HostMatrix(0, dims_)};
    const std::vector<double> scores = scores_of(candidates);
    const double least = std::max(kFirstLayer, kNoisyFirst * run_.sigma);
    for (const Index k : descending(scores)) {
      // Mixtures may score too: those in the span of better ones belong to no layer.
      if (scores[static_cast<std::size_t>(k)] > least) {
        add_independent(candidates.row(k), directions.first);
      } else if (directions.entangled.rows() < m1_) {
        directions.entangled.append_row(candidates.row(k), dims_);
      }
    }
    complete_first(directions.first);
    while (directions.entangled.rows() < m1_) {
      const std::vector<double> any = unit_vector(run_.random.normals(dims_));
      directions.entangled.append_row(any.data(), dims_);
    }
    return {in_inputs(directions.first), in_inputs(directions.entangled)};
  }

  /// Of saturation; one candidate alone, or of one dimension, is the first layer's.
  std::vector<double> scores_of(const HostMatrix& candidates) {
    if (dims_ < 2 || candidates.rows() < 2) {
      return std::vector<double>(static_cast<std::size_t>(candidates.rows()), HUGE_VAL);
    }
    run_.asker.enter("lines");
    AttributionPlan plan;
    plan.saturating *= width_;
    plan.reach *= width_;
    return saturation_scores(run_.asker, run_.random, run_.basis, candidates, plan);
  }

  /// One direction more of the first layer, where it has room and the others do not span it.
  void add_independent(const double* direction, HostMatrix& first) const {
    if (first.rows() == m0_) return;
    HostMatrix more = first;
    more.append_row(direction, dims_);
    if (singular_values(more).back() > kIndependent) first = std::move(more);
  }

  /// Missing directions: orthogonal to those that are there.
  void complete_first(HostMatrix& first) const {
    const Index missing = m0_ - first.rows();
    if (missing == 0) return;
    HostMatrix inside(dims_, dims_);  // the projection onto their span
    if (first.rows() > 0) {
      inside = product(device_, pseudo_inverse(first, 1e-10), Transpose::no, first, Transpose::no);
    }
    const SymmetricEigen eigen = symmetric_eigen(std::move(inside));
    for (Index k = 0; k < missing; ++k) first.append_row(eigen.vectors.row(k), dims_);
  }

  /// Which candidates are the first layer's is tried at random, the residual tells; so are signs
  /// where they matter, and the second layer.
  void fit_labeling(const HostMatrix& candidates, Index number) {
    std::vector<double> lots;
    for (Index k = 0; k < candidates.rows(); ++k) lots.push_back(run_.random.uniform(0, 1));
    HostMatrix first(0, dims_);
    for (const Index k : descending(lots)) add_independent(candidates.row(k), first);
    complete_first(first);
    const HostMatrix directions = in_inputs(first);
    const SmoothNetwork second = random_neurons(run_.random, m0_, second_, m1_,
                                                is_symmetric(second_) ? 0 : number % (m1_ + 1));
    SmoothNetwork start(run_.asker.inputs(), {m0_, m1_}, 1, {first_, second_});
    for (Index i = 0; i < m0_; ++i) {
      const double sign = run_.random.uniform(0, 1) < 0.5 ? -1 : 1;
      for (Index j = 0; j < directions.cols(); ++j) {
        start.hidden[0].weights(i, j) = sign * directions(i, j);
      }
    }
    start.hidden[1] = second.hidden[0];
    for (Index l = 0; l < m1_; ++l) start.output(0, l) = output_size() * second.output(0, l);
    SmoothFitPlan plan = fit_plan();
    plan.output = false;
    plan.little = kLittleTried;
    keep(fitted(std::move(start), plan), kLittleTried);
  }

  /// 1 / sd(F), which is 1 of F as it came and the paper's model, unless it does not suit F.
  double output_size() const {
    const double neuron = kNeuron * activation_at(first_, 1, 0) * activation_at(second_, 1, 0);
    const double suits = 1 / (neuron * std::sqrt(static_cast<double>(m1_)));
    const double unit = 1 / run_.deviation;
    return unit > suits / kPlausible && unit < suits * kPlausible ? unit : suits;
  }

  SmoothFitPlan fit_plan() const {
    SmoothFitPlan plan;
    plan.most_bytes = run_.control.budget.device_bytes / 4;
    plan.most_steps = kSteps;
    plan.little = kLittle;
    plan.stop = [this] { return run_.asker.would_end(); };
    return plan;
  }

  SmoothFit fitted(SmoothNetwork start, const SmoothFitPlan& plan) const {
    return fit_smooth(device_, points_.x, points_.y, std::move(start), plan);
  }

  /// The better one of a fit and the best so far; a better one's outputs may have other sizes.
  void keep(SmoothFit fit, double little) {
    if (!(fit.rms < rms_)) return;
    rms_ = fit.rms;
    best_ = std::move(fit.network);
    if (is_settled()) return;
    SmoothFitPlan plan = fit_plan();
    plan.little = little;
    fit = fitted(best_, plan);
    rms_ = fit.rms;
    best_ = std::move(fit.network);
  }

  SmoothRun& run_;
  Device& device_;
  Activation first_, second_;
  double width_;
  double radius_;
  Index dims_, m0_, m1_;
  SmoothRun::Points points_;
  SmoothNetwork best_;
  double rms_ = HUGE_VAL;
};

}  // namespace

Index entangled_queries(const SmoothRun& run) {
  const Index m1 = *run.problem.second_neurons;
  const Index m = first_neurons(run) + m1;
  const AttributionPlan plan;
  return kHessians * m * stencil_size(run.basis.rows()) + m * plan.probes * plan.points_of_scan +
         kScalarRows * (m + m1) + kRows * unknowns_of(run);
}

SmoothAttempt learn_entangled_layers(SmoothRun& run, int attempt) {
  const Index wanted = first_neurons(run);
  if (wanted > run.basis.rows()) return {{}, more_than_directions(run, wanted)};
  return EntangledLayers(run, attempt).learn();
}

}  // namespace crease
