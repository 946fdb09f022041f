// learn_two_layer: how many neurons, starts, and the neurons that are too many.
#include <crease/sample_learners.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "kernels/ops.hpp"
#include "src/gaussian_powers.hpp"
#include "src/learners/sample_run.hpp"
#include "src/learners/two_layer_fits.hpp"
#include "src/learners/two_layer_starts.hpp"
#include "src/small_dense.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kClip = 2.5 * 1.4826;  // robust start: times the median absolute deviation
constexpr double kRank = 1e-7;          // of the largest singular value of Y
constexpr int kSameFits = 6;            // that end at the same residual: it is the minimum
constexpr double kSameResidual = 1e-4;
constexpr Index kStartRows = 20000;         // that moments are taken from, ...
constexpr Index kStartRowsPerUnknown = 20;  // ... or so many a direction's number
constexpr double kDead = 1e-6;              // of the largest output
constexpr double kDuplicate = 1 - 1e-4;
constexpr Index kPruneSteps = 30;

class TwoLayerLearner {
 public:
  TwoLayerLearner(Device& device, SampleSource& source, const TwoLayerProblem& problem,
                  const TwoLayerPlan& plan, const RunControl& control)
      : device_(device),
        problem_(problem),
        plan_(plan),
        run_(device, source, control, "two-layer"),
        inputs_(source.input_dim()),
        outputs_(source.output_dim()),
        fits_(run_, problem, plan, means_) {
    best_.network = {HostMatrix(0, width()), HostMatrix(outputs_, 0), problem.power};
  }

  Learned<ReluNetwork> learn() {
    const auto all = [this] {
      take_examples();
      fit();
      prune();
    };
    run_.run(all, [this] { return has_best_ || fits_.in_hand(); });
    const auto& in_hand = fits_.in_hand();
    if (in_hand && (!has_best_ || in_hand->residual < best_.residual)) {
      best_ = *in_hand;
      has_best_ = true;
    }
    if (has_best_) run_.report().method = best_.method;
    SampleRun::Goal goal;
    goal.accuracy = problem_.accuracy;
    goal.failure = problem_.failure;
    goal.robust = problem_.robust;
    goal.why = [this] { return what_is_left(); };
    return run_.finish(network(), goal);
  }

 private:
  Index width() const { return inputs_ + (problem_.biases ? 1 : 0); }

  void take_examples() {
    require(!problem_.neurons || (*problem_.neurons >= 1 && *problem_.neurons <= inputs_),
            "k must be between 1 and the number of inputs, " + std::to_string(inputs_) + ", not " +
                std::to_string(problem_.neurons.value_or(0)) + ": directions must be independent");
    SampleRun::Plan plan;
    plan.rows = plan_.rows;
    plan.held_out = plan_.held_out;
    plan.least_rows = 2 * (inputs_ + outputs_);
    plan.least_says = "2 (d + p)";
    plan.biases = problem_.biases;
    run_.take(plan);
    means_ = run_.whiten();
    require_answers_vary();
    if (!problem_.robust) return;
    bounds_ = upload(device_, clip_bounds());
    means_ = sample_means(device_, run_.examples(), bounds_);
  }

  void require_answers_vary() const {
    double square = 0;
    for (Index o = 0; o < outputs_; ++o) {
      if (!is_constant(means_.answers[static_cast<std::size_t>(o)], means_.answer_squares(o, o))) {
        return;
      }
      square += means_.answer_squares(o, o);
    }
    throw constant_answers(square);
  }

  /// Medians of every output -+ 2.5 deviations.
  HostMatrix clip_bounds() {
    const Examples::Rows rows = run_.examples().first(run_.some_rows());
    const HostMatrix y = download(device_, rows.y);
    HostMatrix bounds(2, y.cols());
    for (Index o = 0; o < y.cols(); ++o) {
      std::vector<double> values;
      for (Index i = 0; i < y.rows(); ++i) values.push_back(y(i, o));
      const double middle = median(values);
      for (double& value : values) value = std::fabs(value - middle);
      // Where half of the answers are the same, the median of the deviations is 0.
      const double reach = std::max(kClip * median(values), robust_deviation(values)) + 1e-300;
      bounds(0, o) = middle - reach;
      bounds(1, o) = middle + reach;
    }
    return bounds;
  }

  /// Rank of Y below p (exact answers), or the dimensions that the moments show.
  Index count_neurons() {
    const Index p = run_.examples().outputs();
    const std::vector<double> values = symmetric_eigen(means_.answer_squares).values;
    const Index rank = std::count_if(values.begin(), values.end(), [&](double value) {
      return value > kRank * kRank * values.back();
    });
    const LinearLabels labels = even_labels(means_, p);
    const SpanMoments moments = span_moments(device_, run_.examples(), means_, labels, bounds_);
    const Index visible = visible_dimensions(device_, run_.examples(), means_, moments, bounds_);
    return std::clamp<Index>(rank < p ? std::max(rank, visible) : visible, 1, inputs_);
  }

  /// Where k is not known, one neuron more as long as what is left depends on the inputs.
  void fit() {
    if (problem_.neurons) {
      fit_width(*problem_.neurons);
      return;
    }
    for (Index k = count_neurons(); k <= inputs_; ++k) {
      fit_width(k);
      if (!is_wrong()) return;
      run_.end_where_asked();
    }
  }

  /// The best fit so far is neither exact nor at the noise floor.
  bool is_wrong() const { return best_.residual >= plan_.exact && best_.surplus >= kErrorsAlone; }

  void fit_width(Index k) {
    const Index p = outputs_;
    same_ = 0;
    StartPlan start;
    start.tries = plan_.tries;
    start.iterations = plan_.iterations;
    start.most = plan_.starts;
    start.fourth = p == 1 && affords_fourth(1, k);
    const LinearLabels labels = even_labels(means_, k);
    const Index rows = std::max(kStartRows, kStartRowsPerUnknown * k * inputs_);
    const SpanMoments moments =
        span_moments(device_, run_.examples(), means_, labels, bounds_, rows);
    std::vector<HostMatrix> starts =
        two_layer_starts(device_, run_.examples(), labels, moments, bounds_, k, problem_.power,
                         run_.random(), start);
    if (starts.empty() && !start.fourth &&
        affords_fourth(labels.count(), k)) {  // columns of U may be parallel
      start.fourth = true;
      starts = two_layer_starts(device_, run_.examples(), labels, moments, bounds_, k,
                                problem_.power, run_.random(), start);
    }
    if (starts.empty() && !has_best_ && (problem_.neurons || k == inputs_)) {
      throw EndOfRun(Outcome::not_reached,
                     "no start: all candidate directions collapsed (answers that are linear, or "
                     "directions nearly parallel)");
    }
    fit_from_each(starts, k);
    // Nothing but a wrong local minimum: further starts, from higher moments too, and more of them;
    // of answers as they are, where clipping may have spoilt their moments.
    for (int further = 0; further < 2 && is_wrong(); ++further) {
      if (same_ >= kSameFits) return;
      if (further > 0) start.tries = start.most = 3 * plan_.tries;
      if (further == 0 && start.fourth && !problem_.robust) continue;
      start.fourth = start.fourth || affords_fourth(labels.count(), k);
      start.agree = false;
      fit_from_each(two_layer_starts(device_, run_.examples(), labels, moments,
                                     further == 0 ? ConstDeviceView() : bounds_.view(), k,
                                     problem_.power, run_.random(), start),
                    k);
    }
  }

  /// Fourth moments are [r k^2, k^2] numbers, there and here.
  bool affords_fourth(Index labels, Index k) const {
    return problem_.power != 1 ||
           labels * k * k * k * k <= run_.control().budget.device_bytes / 4 / 8;
  }

  void fit_from_each(const std::vector<HostMatrix>& starts, Index k) {
    for (const HostMatrix& v : starts) {
      TwoLayerFit fitted = fits_.from(v);
      const bool same =
          has_best_ && std::fabs(fitted.residual - best_.residual) < kSameResidual * best_.residual;
      same_ = same ? same_ + 1 : 0;
      if (!has_best_ || fitted.residual < best_.residual) best_ = std::move(fitted);
      has_best_ = true;
      run_.progress("least_squares", k, best_.residual);
      if (!is_wrong() || same_ >= kSameFits) return;
      run_.end_where_asked();
    }
  }

  /// An exact fit with a neuron that does nothing, or stands twice, is one with too many.
  void prune() {
    while (best_.residual < plan_.exact && best_.network.neurons() > 1) {
      const Index k = best_.network.neurons();
      const Index d = best_.network.directions.cols();
      std::vector<double> sizes(static_cast<std::size_t>(k), 0.0);
      for (Index i = 0; i < k; ++i) {
        for (Index o = 0; o < run_.examples().outputs(); ++o) {
          sizes[static_cast<std::size_t>(i)] += std::pow(best_.network.outputs(o, i), 2);
        }
      }
      std::vector<Index> candidates;
      const auto least = std::min_element(sizes.begin(), sizes.end());
      const double largest = *std::max_element(sizes.begin(), sizes.end());
      if (*least < kDead * kDead * largest) candidates.push_back(least - sizes.begin());
      for (Index i = 0; i < k; ++i) {
        for (Index j = 0; j < i; ++j) {
          if (dot(best_.network.directions.row(i), best_.network.directions.row(j), d) >
              kDuplicate) {
            candidates.push_back(i);
            candidates.push_back(j);
          }
        }
      }
      const bool dropped = std::any_of(candidates.begin(), candidates.end(), [&](Index out) {
        TwoLayerFit fewer;
        fewer.network.power = problem_.power;
        fewer.network.directions = HostMatrix(0, d);
        for (Index i = 0; i < k; ++i) {
          if (i != out) fewer.network.directions.append_row(best_.network.directions.row(i), d);
        }
        fewer.network.outputs = HostMatrix(run_.examples().outputs(), k - 1);
        fits_.refine(fewer, kPruneSteps);
        fits_.forget();
        if (!(fewer.residual < plan_.exact)) return false;
        fewer.method = best_.method;
        best_ = std::move(fewer);
        return true;
      });
      if (!dropped) return;
    }
  }

  ReluNetwork network() const {
    const RectifiedSum& found = best_.network;
    ReluNetwork network(width(), found.neurons(), outputs_);
    network.weights = found.directions;
    network.output = found.outputs;
    network.power = found.power;
    return network;
  }

  std::string what_is_left() const {
    const Index k = best_.network.neurons();
    const std::string few = run_.too_few(static_cast<double>(run_.examples().rows() * outputs_),
                                         static_cast<double>(k * (width() + outputs_)),
                                         best_.residual, run_.report().relative_error);
    if (!few.empty()) return few;
    if (best_.spent) return "the fit had not come to its end when its steps were spent";
    if (best_.surplus < kErrorsAlone) {
      return kNoiseFloor;
    }
    return "not the right network: what is left still depends on the inputs (" +
           std::to_string(static_cast<long>(best_.surplus)) +
           " deviations): " + (problem_.neurons ? "too few neurons, " : "") +
           (problem_.biases ? "or not of this form" : "or not of this form (biases?)");
  }

  Device& device_;
  const TwoLayerProblem& problem_;
  const TwoLayerPlan& plan_;
  SampleRun run_;
  Index inputs_;
  Index outputs_;
  DeviceMatrix bounds_;
  SampleMeans means_;
  TwoLayerFit best_;
  bool has_best_ = false;
  int same_ = 0;  // fits in a row that ended at the residual of the best one
  TwoLayerFits fits_;
};

}  // namespace

Learned<ReluNetwork> learn_two_layer(Device& device, SampleSource& source,
                                     const TwoLayerProblem& problem, const TwoLayerPlan& plan,
                                     const RunControl& control) {
  require_goal(problem.accuracy, problem.failure);
  require(problem.power > 0 && std::isfinite(problem.power),
          "the power must be positive and finite");
  // What the certificate's standard deviation can be computed for, after all is fitted.
  require(problem.power <= kMostPower, "the power must be at most 64");
  require(!problem.biases || problem.power == 1, "biases need the power 1");
  require(plan.tries >= 1 && plan.iterations >= 1 && plan.starts >= 1 && plan.fit_steps >= 0,
          "the plan's counts must be at least 1");
  return TwoLayerLearner(device, source, problem, plan, control).learn();
}

}  // namespace crease
