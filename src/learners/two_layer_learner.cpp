// learn_two_layer: whiten, moments, candidates, fits, and the held-out examples.
#include <crease/gaussian.hpp>
#include <crease/sample_learners.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/learners/two_layer_starts.hpp"
#include "src/small_dense.hpp"
#include "src/stages/ask.hpp"
#include "src/stages/certify.hpp"
#include "src/stages/eliminated_fit.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/row_space.hpp"

namespace crease {
namespace {

constexpr double kCollinear = 10;       // times d eps: smallest over largest eigenvalue of E x x^T
constexpr double kOffCentre = 6;        // sqrt(n / d) |mean| of whitened inputs
constexpr double kClip = 2.5 * 1.4826;  // robust start: times the median absolute deviation
constexpr Index kClipRows = 65536;
constexpr double kRank = 1e-7;           // of the largest singular value of Y
constexpr double kRowSpaceExact = 1e-8;  // relative residual: the row space was that of the truth
constexpr double kConstant = 1e-14;      // variance over mean square: rounding of the mean
constexpr double kRounded = 1e-13;       // relative residual: nothing is left to fit
constexpr double kNearlyExact = 1e-10;
constexpr Index kFinishSteps = 3;
constexpr double kRight = 5;    // of the residual's second moments, in deviations
constexpr double kDead = 1e-6;  // of the largest output
constexpr double kDuplicate = 1 - 1e-4;
constexpr Index kPruneSteps = 30;
constexpr Index kHeldOutShare = 10;
constexpr Index kMostHeldOut = 4096;

struct Fitted {
  RectifiedSum network;
  double residual = 1;  // relative, on the training rows
  double surplus = 0;   // what is left of second Hermite moments, in deviations
  const char* method = "fit";
};

class TwoLayerLearner {
 public:
  TwoLayerLearner(Device& device, SampleSource& source, const TwoLayerProblem& problem,
                  const TwoLayerPlan& plan, const RunControl& control)
      : device_(device),
        source_(source),
        problem_(problem),
        plan_(plan),
        control_(control),
        random_(control.seed),
        begun_(std::chrono::steady_clock::now()) {}

  Learned<ReluNetwork> learn() {
    report_.device = device_.name();
    report_.seed = control_.seed;
    report_.mode = "two-layer";
    report_.inputs = source_.input_dim();
    report_.outputs = source_.output_dim();
    take_examples();
    best_.network = RectifiedSum{HostMatrix(0, report_.inputs), HostMatrix(report_.outputs, 0), 1};
    try {
      whiten();
      fit();
      prune();
    } catch (const EndOfRun& end) {
      report_.outcome = end.outcome();
      report_.message = end.what();
    }
    ReluNetwork network = in_inputs();
    certify_network(network);
    report_.neurons = network.neurons();
    if (has_best_) report_.method = best_.method;
    report_.total_seconds = seconds();
    report_.peak_device_bytes = device_.stats().peak_bytes;
    return {std::move(network), std::move(report_)};
  }

 private:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  }
  bool ends() const {
    return (control_.stop && control_.stop()) ||
           (control_.budget.seconds && seconds() > *control_.budget.seconds);
  }
  void end_where_asked() const {
    if (control_.stop && control_.stop()) throw EndOfRun(Outcome::stopped, "stopped");
    if (control_.budget.seconds && seconds() > *control_.budget.seconds) {
      throw EndOfRun(Outcome::out_of_budget, "the time is spent");
    }
  }
  void warn(const std::string& message) {
    report_.warnings.push_back(message);
    if (!control_.log) return;
    Event event;
    event.kind = Event::Kind::warning;
    event.message = message;
    event.seconds = seconds();
    control_.log(event);
  }

  void take_examples() {
    const Index d = source_.input_dim();
    const Index p = source_.output_dim();
    const std::optional<Index> left = source_.rows_left();
    require(plan_.rows || left, "examples without end: say how many to take");
    const Index rows = plan_.rows.value_or(left.value_or(0));
    const Index held_out = plan_.held_out.value_or(std::min(rows / kHeldOutShare, kMostHeldOut));
    require(held_out >= 0, "held-out examples: at least 0");
    require(rows - held_out >= 2 * (d + p),
            "too few examples: " + std::to_string(rows - held_out) + " to fit and " +
                std::to_string(held_out) + " held out; " + std::to_string(2 * (d + p)) +
                " to fit, 2 (d + p), are the least that can be tried");
    require(!problem_.neurons || (*problem_.neurons >= 1 && *problem_.neurons <= d),
            "k must be between 1 and the number of inputs: directions must be independent");
    Examples::Plan plan;
    plan.rows = rows - held_out;
    plan.held_out = held_out;
    plan.most_bytes = std::max<Index>(1, control_.budget.device_bytes / 2);
    plan.before_chunk = [this] { end_where_asked(); };
    examples_.emplace(device_, source_, std::move(plan));
    report_.queries["training"] = rows - held_out;
    report_.queries["held_out"] = held_out;
  }

  /// Inputs become ones with E x x^T = I; mean 0 is left to the caller's promise.
  void whiten() {
    const Index d = examples_->inputs();
    const SampleMeans raw = sample_means(device_, *examples_);
    const std::vector<double> values = symmetric_eigen(raw.input_squares).values;
    require(values.front() > kCollinear * static_cast<double>(d) * 2 * kRounding * values.back(),
            "the inputs are collinear: one of them is a combination of the others");
    DeviceMatrix factor = upload(device_, raw.input_squares);
    require(cholesky(device_, factor), "the inputs are collinear");
    HostMatrix unit(d, d);
    for (Index j = 0; j < d; ++j) unit(j, j) = 1;
    DeviceMatrix inverse = upload(device_, unit);
    solve_triangular(device_, factor, Transpose::no, inverse);
    whitening_ = download(device_, inverse);
    for (Index i = 0; i < d; ++i) {
      for (Index j = i + 1; j < d; ++j) whitening_(i, j) = 0;
    }
    examples_->turn_inputs(whitening_);
    if (problem_.robust) bounds_ = upload(device_, clip_bounds());
    means_ = sample_means(device_, *examples_, bounds_);
    const double off = std::sqrt(static_cast<double>(examples_->rows()) / static_cast<double>(d) *
                                 dot(means_.inputs, means_.inputs));
    if (off > kOffCentre) {
      warn("the inputs are not centred (score " + std::to_string(off) +
           "): the start from moments is biased");
    }
  }

  /// Medians of every output -+ 2.5 deviations.
  HostMatrix clip_bounds() {
    const Examples::Rows rows = examples_->first(std::min(kClipRows, examples_->rows()));
    const HostMatrix y = download(device_, rows.y);
    HostMatrix bounds(2, y.cols());
    for (Index o = 0; o < y.cols(); ++o) {
      std::vector<double> values;
      for (Index i = 0; i < y.rows(); ++i) values.push_back(y(i, o));
      const double middle = median(values);
      for (double& value : values) value = std::fabs(value - middle);
      const double reach = kClip * median(values) + 1e-300;
      bounds(0, o) = middle - reach;
      bounds(1, o) = middle + reach;
    }
    return bounds;
  }

  /// Rank of Y below p (exact answers), or the dimensions that the moments show.
  Index count_neurons() {
    const Index p = examples_->outputs();
    const Index d = examples_->inputs();
    const std::vector<double> values = symmetric_eigen(means_.answer_squares).values;
    const Index rank = std::count_if(values.begin(), values.end(), [&](double value) {
      return value > kRank * kRank * values.back();
    });
    if (rank < p) return std::clamp<Index>(rank, 1, d);
    const LinearLabels labels = even_labels(means_, p);
    const SpanMoments moments = span_moments(device_, *examples_, means_, labels, bounds_);
    const Index visible = visible_dimensions(device_, *examples_, means_, moments, bounds_);
    return std::clamp<Index>(visible, 1, d);
  }

  void fit() {
    const Index p = examples_->outputs();
    const auto varies = [this](Index o) {
      const double mean = means_.answers[static_cast<std::size_t>(o)];
      const double square = means_.answer_squares(o, o);
      return square - mean * mean > kConstant * square;
    };
    bool constant = true;
    for (Index o = 0; o < p; ++o) constant = constant && !varies(o);
    if (constant) throw EndOfRun(Outcome::not_reached, "the answers are constant");
    const Index k = problem_.neurons ? *problem_.neurons : count_neurons();
    StartPlan start;
    start.tries = plan_.tries;
    start.iterations = plan_.iterations;
    start.most = plan_.starts;
    start.fourth = p == 1;
    const LinearLabels labels = even_labels(means_, k);
    const SpanMoments moments = span_moments(device_, *examples_, means_, labels, bounds_);
    std::vector<HostMatrix> starts =
        two_layer_starts(device_, *examples_, labels, moments, bounds_, k, 1, random_, start);
    if (starts.empty() && !start.fourth) {  // columns of U may be parallel
      start.fourth = true;
      starts =
          two_layer_starts(device_, *examples_, labels, moments, bounds_, k, 1, random_, start);
    }
    if (starts.empty()) {
      throw EndOfRun(Outcome::not_reached,
                     "no start: all candidate directions collapsed (answers that are linear, or "
                     "directions nearly parallel)");
    }
    for (const HostMatrix& v : starts) {
      Fitted fitted = fit_from(v);
      if (!has_best_ || fitted.residual < best_.residual) best_ = std::move(fitted);
      has_best_ = true;
      if (control_.log) {
        Event event;
        event.stage = "least_squares";
        event.neurons = k;
        event.relative_error = best_.residual;
        event.seconds = seconds();
        control_.log(event);
      }
      if (best_.residual < plan_.exact || problem_.robust || best_.surplus < kRight) break;
      end_where_asked();
    }
  }

  Fitted fit_from(const HostMatrix& start) {
    Fitted fitted;
    fitted.network = {start, best_outputs(feature_means(device_, *examples_, start, 1)), 1};
    if (examples_->outputs() >= start.rows() && !problem_.robust) {
      RowSpacePlan row_space;
      row_space.most_bytes = control_.budget.device_bytes / 2;
      const auto exact =
          directions_from_row_space(device_, *examples_, means_, start, 1, row_space);
      if (exact) {
        RectifiedSum network{*exact, best_outputs(feature_means(device_, *examples_, *exact, 1)),
                             1};
        const double residual = relative_residual(device_, *examples_, network);
        if (residual < kRowSpaceExact) {  // verified on the examples, or thrown away
          fitted.network = std::move(network);
          fitted.residual = residual;
          fitted.method = "row space";
        }
      }
    }
    if (fitted.residual > kRounded) {
      const Index steps = fitted.residual < kNearlyExact ? kFinishSteps : plan_.fit_steps;
      refine(fitted, steps);
      // A wrong sign is the usual local minimum.
      if (fitted.residual > plan_.exact && !problem_.robust) {
        const FixedSigns fixed = fix_signs(device_, *examples_, fitted.network.directions, 1);
        if (fixed.changed) {
          Fitted again;
          again.network = {fixed.directions, fitted.network.outputs, 1};
          refine(again, plan_.fit_steps);
          if (again.residual < fitted.residual) fitted = std::move(again);
        }
      }
    }
    if (fitted.residual > plan_.exact) fitted.surplus = surplus_of(fitted.network);
    return fitted;
  }

  void refine(Fitted& fitted, Index steps) {
    EliminatedFitPlan fit;
    fit.most_steps = steps;
    fit.robust = problem_.robust;
    fit.stop = [this] { return ends(); };
    EliminatedFit result = fit_eliminated(device_, *examples_, fitted.network, fit);
    fitted.network = std::move(result.network);
    fitted.residual = result.relative_residual;
  }

  /// Second Hermite moments of the residual in the span of V: N of them, of unit variance each
  /// where the network is the right one; (their mean square - 1) sqrt(N / 2).
  double surplus_of(const RectifiedSum& network) {
    const Index k = network.neurons();
    const Index p = examples_->outputs();
    const HostMatrix span = svd(network.directions).right;
    const DeviceMatrix v = upload(device_, network.directions);
    const DeviceMatrix u = upload(device_, network.outputs);
    const DeviceMatrix turn = upload(device_, span);
    DeviceMatrix sums(device_, p, k * k), squares(device_, p, p), totals(device_, p, 1);
    double beta = 0;
    const auto add = [&](ConstDeviceView x, ConstDeviceView y) {
      const Index count = x.rows;
      DeviceMatrix f(device_, count, k), r(device_, count, p), z(device_, count, k);
      DeviceMatrix pairs(device_, count, k * k), ones(device_, count, 1);
      rectified_features(device_, x, v, network.power, f);
      copy(device_, y, r);
      multiply(device_, f, Transpose::no, u, Transpose::yes, -1.0, 1.0, r);
      multiply(device_, x, Transpose::no, turn, Transpose::yes, 1.0, 0.0, z);
      row_products(device_, z, z, pairs);
      fill(device_, 1.0, ones);
      multiply(device_, r, Transpose::yes, pairs, Transpose::no, 1.0, beta, sums);
      multiply(device_, r, Transpose::yes, ones, Transpose::no, 1.0, beta, totals);
      gram(device_, r, beta, squares);
      beta = 1;
    };
    examples_->pass_in_blocks(examples_->rows(), k * k + 2 * k + p, add);
    const HostMatrix pair = download(device_, sums);
    const HostMatrix square = download(device_, squares);
    const HostMatrix total = download(device_, totals);
    const auto n = static_cast<double>(examples_->rows());
    double sum = 0;
    for (Index o = 0; o < p; ++o) {
      const double mean = total(o, 0) / n;
      const double deviation = std::sqrt(std::max(square(o, o) / n - mean * mean, 1e-300));
      for (Index a = 0; a < k; ++a) {
        for (Index b = 0; b < a; ++b) {
          sum += std::pow(pair(o, a * k + b) / deviation, 2) / n;
        }
        sum += std::pow((pair(o, a * k + a) - total(o, 0)) / deviation, 2) / (2 * n);
      }
    }
    const auto count = static_cast<double>(p * k * (k + 1) / 2);
    return (sum / count - 1) * std::sqrt(count / 2);
  }

  /// An exact fit with a neuron that does nothing, or stands twice, is one with too many.
  void prune() {
    while (best_.residual < plan_.exact && best_.network.neurons() > 1) {
      const Index k = best_.network.neurons();
      const Index d = best_.network.directions.cols();
      std::vector<double> sizes(static_cast<std::size_t>(k), 0.0);
      for (Index i = 0; i < k; ++i) {
        for (Index o = 0; o < examples_->outputs(); ++o) {
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
        Fitted fewer;
        fewer.network.directions = HostMatrix(0, d);
        for (Index i = 0; i < k; ++i) {
          if (i != out) fewer.network.directions.append_row(best_.network.directions.row(i), d);
        }
        fewer.network.outputs = HostMatrix(examples_->outputs(), k - 1);
        refine(fewer, kPruneSteps);
        if (!(fewer.residual < plan_.exact)) return false;
        fewer.method = best_.method;
        best_ = std::move(fewer);
        return true;
      });
      if (!dropped) return;
    }
  }

  /// The network of the inputs as they came: V L^-1, of unit rows.
  ReluNetwork in_inputs() const {
    const RectifiedSum& found = best_.network;
    const Index d = report_.inputs;
    ReluNetwork network(d, found.neurons(), report_.outputs);
    for (Index i = 0; i < found.neurons(); ++i) {
      std::vector<double> row(static_cast<std::size_t>(d), 0.0);
      for (Index j = 0; j < d; ++j) {
        for (Index c = 0; c < d; ++c) {
          row[static_cast<std::size_t>(c)] += found.directions(i, j) * whitening_(j, c);
        }
      }
      const double length = std::sqrt(dot(row, row));
      for (Index c = 0; c < d; ++c)
        network.weights(i, c) = row[static_cast<std::size_t>(c)] / length;
      for (Index o = 0; o < report_.outputs; ++o) {
        network.output(o, i) = found.outputs(o, i) * length;
      }
    }
    return network;
  }

  /// Held-out examples, which no fit has seen.
  void certify_network(const ReluNetwork& network) {
    const ConstDeviceView y = examples_->held_out_y();
    if (y.rows == 0) {
      if (report_.message.empty()) report_.message = "nothing was held out: nothing is vouched for";
      return;
    }
    const Index k = best_.network.neurons();
    DeviceMatrix r(device_, y.rows, y.cols);
    copy(device_, y, r);
    if (k > 0) {
      DeviceMatrix f(device_, y.rows, k);
      rectified_features(device_, examples_->held_out_x(),
                         upload(device_, best_.network.directions), 1, f);
      multiply(device_, f, Transpose::no, upload(device_, best_.network.outputs), Transpose::yes,
               -1.0, 1.0, r);
    }
    const HostMatrix left = download(device_, r);
    std::vector<double> errors;
    for (Index i = 0; i < left.rows(); ++i) {
      errors.push_back(std::sqrt(dot(left.row(i), left.row(i), left.cols())));
    }
    const Certificate certificate =
        certify(errors, problem_.failure, largest_lipschitz_guess(network));
    const double sd = gaussian_standard_deviation(device_, network);
    report_.certificate = certificate;
    report_.rms_error = certificate.rms_error;
    if (sd > 0) report_.relative_error = certificate.rms_error / sd;
    if (!report_.message.empty()) return;
    if (sd > 0 && certificate.rms_error <= problem_.accuracy * sd) {
      report_.outcome = Outcome::reached;
    } else if (best_.surplus < kRight) {
      report_.message = "at the noise floor: what is left of the answers looks like errors alone";
    } else {
      report_.message = "not the right network: what is left still depends on the inputs (" +
                        std::to_string(static_cast<long>(best_.surplus)) +
                        " deviations): too few neurons, or not of this form";
    }
  }

  Device& device_;
  SampleSource& source_;
  const TwoLayerProblem& problem_;
  const TwoLayerPlan& plan_;
  const RunControl& control_;
  Random random_;
  std::chrono::steady_clock::time_point begun_;
  RunReport report_;
  std::optional<Examples> examples_;
  HostMatrix whitening_;  // L^-1
  DeviceMatrix bounds_;
  SampleMeans means_;
  Fitted best_;
  bool has_best_ = false;
};

}  // namespace

Learned<ReluNetwork> learn_two_layer(Device& device, SampleSource& source,
                                     const TwoLayerProblem& problem, const TwoLayerPlan& plan,
                                     const RunControl& control) {
  require(problem.accuracy > 0 && std::isfinite(problem.accuracy),
          "the accuracy must be positive and finite");
  require(problem.failure > 0 && problem.failure < 1,
          "the failure probability must be between 0 and 1");
  require(plan.tries >= 1 && plan.iterations >= 1 && plan.starts >= 1 && plan.fit_steps >= 0,
          "the plan's counts must be at least 1");
  return TwoLayerLearner(device, source, problem, plan, control).learn();
}

}  // namespace crease
