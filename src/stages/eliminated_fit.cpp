// Gradients over all rows, steps from a model of the normal matrix.
#include "src/stages/eliminated_fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kLeastModelRows = 8000;
constexpr Index kModelRowsPerUnknown = 12;
constexpr Index kScaleRows = 65536;  // that the robust scale is taken from
constexpr double kSlack = 1e-12;
constexpr double kRobustSlack = 1e-3;
constexpr double kSteepSlack = 0.1;  // power < 1
constexpr double kRounded = 1e-13;   // residual over |Y| below which any loss is accepted
constexpr int kMostRejections = 8;
constexpr int kMostPoor = 5;
constexpr double kHardlyLess = 0.9;
constexpr double kFormDamping = 1e-2;  // at least, after a step of the closed form that failed
constexpr double kStale = 0.5;         // of the gain that a frozen model promised
constexpr double kPoor = 0.1;          // of the gain that a step promised
constexpr double kPromise = 1e-2;      // variances a parameter

/// A network and what all rows say of it.
struct At {
  RectifiedSum network;
  double loss = 0;        // mean over rows of the summed squares
  HostMatrix gradient_v;  // [k, d]
  HostMatrix gradient_u;  // [p, k]; 0 where U is the best
};

class Fit {
 public:
  Fit(Device& device, Examples& examples, const EliminatedFitPlan& plan, double power)
      : device_(device),
        examples_(examples),
        plan_(plan),
        power_(power),
        d_(examples.inputs()),
        p_(examples.outputs()) {
    double square = 0;
    examples.pass([&](Index, ConstDeviceView, ConstDeviceView y) { square += squares_of(y); });
    answers_ = square / static_cast<double>(examples.rows());
  }

  double answers() const { return answers_; }  // mean of |y|^2

  /// Best outputs unless robust, then loss and gradients: two passes.
  At evaluate(RectifiedSum network) {
    if (!plan_.robust) {
      network.outputs = best_outputs(feature_means(device_, examples_, network.directions, power_));
    }
    At at{std::move(network), 0, {}, {}};
    const Index k = at.network.neurons();
    const DeviceMatrix v = upload(device_, at.network.directions);
    const DeviceMatrix u = upload(device_, at.network.outputs);
    DeviceMatrix bounds, both;
    if (plan_.robust) {
      const std::vector<double> cuts = cuts_of(at.network);
      HostMatrix drop(1, p_), clip(2, p_);
      for (Index o = 0; o < p_; ++o) {
        drop(0, o) = clip(1, o) = cuts[static_cast<std::size_t>(o)];
        clip(0, o) = -clip(1, o);
      }
      bounds = upload(device_, drop);
      both = upload(device_, clip);
    }
    DeviceMatrix gradient(device_, k, d_), outer(device_, p_, k);
    fill(device_, 0.0, gradient);
    fill(device_, 0.0, outer);
    double beta = 0;
    examples_.pass_in_blocks(
        examples_.rows(), 3 * k + 2 * p_, [&](ConstDeviceView x, ConstDeviceView y) {
          DeviceMatrix f(device_, x.rows, k), slope(device_, x.rows, k), r(device_, x.rows, p_);
          rectified_features(device_, x, v, power_, f, slope);
          residual(y, f, u, r);
          if (plan_.robust) {
            DeviceMatrix clipped(device_, x.rows, p_);
            copy(device_, r, clipped);
            clip_columns(device_, both, clipped);
            at.loss += squares_of(clipped);
            drop_beyond(device_, bounds, r);
            multiply(device_, r, Transpose::yes, f, Transpose::no, 1.0, beta, outer);
          } else {
            at.loss += squares_of(r);
          }
          DeviceMatrix weights(device_, x.rows, k);
          multiply(device_, r, Transpose::no, u, Transpose::no, 1.0, 0.0, weights);
          multiply_elements(device_, slope, weights);
          multiply(device_, weights, Transpose::yes, x, Transpose::no, 1.0, beta, gradient);
          beta = 1;
        });
    const auto n = static_cast<double>(examples_.rows());
    at.loss /= n;
    at.gradient_v = download(device_, gradient);
    at.gradient_u = download(device_, outer);
    for (Index i = 0; i < at.gradient_v.size(); ++i) at.gradient_v.data()[i] /= n;
    for (Index i = 0; i < at.gradient_u.size(); ++i) at.gradient_u.data()[i] /= n;
    return at;
  }

  std::vector<double> cuts(const RectifiedSum& network) { return cuts_of(network); }

 private:
  void residual(ConstDeviceView y, ConstDeviceView f, ConstDeviceView u, DeviceView r) {
    copy(device_, y, r);
    multiply(device_, f, Transpose::no, u, Transpose::yes, -1.0, 1.0, r);
  }

  double squares_of(ConstDeviceView values) {
    DeviceMatrix norms(device_, 1, values.cols);
    column_norms(device_, values, norms);
    const HostMatrix lengths = download(device_, norms);
    return dot(lengths.data(), lengths.data(), values.cols);
  }

  /// cut * s_o, from at most kScaleRows rows.
  std::vector<double> cuts_of(const RectifiedSum& network) {
    const Index k = network.neurons();
    const DeviceMatrix v = upload(device_, network.directions);
    const DeviceMatrix u = upload(device_, network.outputs);
    std::vector<std::vector<double>> sizes(static_cast<std::size_t>(p_));
    examples_.pass_in_blocks(
        std::min(kScaleRows, examples_.rows()), k + p_, [&](ConstDeviceView x, ConstDeviceView y) {
          DeviceMatrix f(device_, x.rows, k), r(device_, x.rows, p_);
          rectified_features(device_, x, v, power_, f);
          residual(y, f, u, r);
          const HostMatrix values = download(device_, r);
          for (Index i = 0; i < values.rows(); ++i) {
            for (Index o = 0; o < p_; ++o) {
              sizes[static_cast<std::size_t>(o)].push_back(std::fabs(values(i, o)));
            }
          }
        });
    std::vector<double> cuts;
    for (std::vector<double>& size : sizes) {
      cuts.push_back(plan_.cut * std::max(robust_deviation(std::move(size)), 1e-300));
    }
    return cuts;
  }

  Device& device_;
  Examples& examples_;
  const EliminatedFitPlan& plan_;
  double power_;
  Index d_;
  Index p_;
  double answers_ = 0;
};

/// V + dV of unit rows; U (+ dU where it is not solved for anyway) takes the lengths.
RectifiedSum moved(const RectifiedSum& network, const EliminatedModel::Step& step) {
  RectifiedSum next = network;
  const Index d = network.directions.cols();
  for (Index i = 0; i < network.neurons(); ++i) {
    double* row = next.directions.row(i);
    for (Index j = 0; j < d; ++j) row[j] += step.directions(i, j);
    const double length = std::sqrt(dot(row, row, d));
    for (Index j = 0; j < d; ++j) row[j] /= length;
    for (Index o = 0; o < network.outputs.rows(); ++o) {
      next.outputs(o, i) =
          (network.outputs(o, i) + step.outputs(o, i)) * std::pow(length, network.power);
    }
  }
  return next;
}

double largest_step(const HostMatrix& before, const HostMatrix& after) {
  double largest = 0;
  for (Index i = 0; i < before.size(); ++i) {
    largest = std::max(largest, std::fabs(after.data()[i] - before.data()[i]));
  }
  return largest;
}

}  // namespace

EliminatedFit fit_eliminated(Device& device, Examples& examples, const RectifiedSum& start,
                             const EliminatedFitPlan& plan) {
  const Index k = start.neurons();
  const Index d = examples.inputs();
  const Index p = examples.outputs();
  require(start.directions.cols() == d && start.outputs.rows() == p && start.outputs.cols() == k,
          "fit_eliminated: the start must be as wide as x and y");
  require(k >= 1, "fit_eliminated: there must be neurons");
  const double n = static_cast<double>(examples.rows());
  const auto parameters = static_cast<double>(k * (d + p));
  const Index model_rows =
      std::min(examples.rows(), plan.model_rows > 0
                                    ? plan.model_rows
                                    : std::max(kModelRowsPerUnknown * k * d, kLeastModelRows));
  const double slack = plan.robust ? kRobustSlack : start.power < 1 ? kSteepSlack : kSlack;
  Fit fit(device, examples, plan, start.power);
  At at = fit.evaluate(start);
  const auto relative_residual = [&] {
    return fit.answers() > 0 ? std::sqrt(at.loss / fit.answers()) : 0;
  };
  const auto tell = [&] {
    if (plan.taken) plan.taken(at.network, relative_residual());
  };
  tell();
  EliminatedFit result;
  result.gaussian = has_closed_form(plan, examples.rows(), k, d, start.power);
  const double rounded = kRounded * kRounded * fit.answers();
  double damping = plan.damping;
  double moved_by = 1;
  bool fresh = false;
  bool ended = false;
  int poor = 0;
  std::optional<EliminatedModel> model;
  for (; result.steps < plan.most_steps; ++result.steps) {
    if (plan.stop && plan.stop()) {
      result.stopped = true;
      break;
    }
    if (!(at.loss > plan.exact * plan.exact * fit.answers())) break;
    if (!model || moved_by > plan.frozen || result.gaussian) {
      model = result.gaussian
                  ? EliminatedModel::of_gaussian(device, at.network.directions)
                  : EliminatedModel::of_examples(device, examples, at.network.directions,
                                                 start.power, model_rows);
      fresh = true;
      if (!model) {
        if (!result.gaussian) break;
        result.gaussian = false;
        continue;
      }
    }
    std::optional<At> next;
    double predicted = 0;
    for (int rejected = 0; rejected < kMostRejections && !next; ++rejected) {
      const auto step = model->solve(at.network.outputs, at.gradient_v, at.gradient_u, damping);
      if (!step) {
        damping = std::max(damping * 10, 1e-6);
        continue;
      }
      predicted = step->predicted;
      At tried = fit.evaluate(moved(at.network, *step));
      if (tried.loss <= at.loss * (1 + slack) || tried.loss < rounded) {
        next = std::move(tried);
      } else {
        damping = std::max(damping * 8, result.gaussian ? kFormDamping : 1e-6);
      }
    }
    if (!next) {
      if (fresh && !result.gaussian) break;
      model.reset();
      moved_by = 1;
      result.gaussian = false;
      continue;
    }
    fresh = false;
    moved_by = largest_step(at.network.directions, next->network.directions);
    const double variance = at.loss / std::max(static_cast<double>(p) - parameters / n, 1e-3);
    const bool promised = predicted * n > kPromise * variance * parameters;
    // What a robust loss falls by is mostly that of errors which are cut.
    const bool vain =
        plan.robust ? next->loss > kHardlyLess * at.loss : at.loss - next->loss < kPoor * predicted;
    poor = promised && vain ? poor + 1 : 0;
    // Patterns have changed, which counts for much where rows are few: a new model.
    if (!result.gaussian && at.loss - next->loss < kStale * predicted) model.reset();
    if (result.gaussian && poor >= kMostPoor) {  // the inputs are not Gaussian enough for it
      result.gaussian = false;
      model.reset();
      poor = 0;
    }
    at = std::move(*next);
    tell();
    damping = std::max(damping / 8, plan.least_damping);
    if (moved_by < plan.still || predicted * n < plan.little * variance * parameters) {
      ended = true;
      ++result.steps;
      break;
    }
  }
  result.spent = !ended && result.steps >= plan.most_steps && plan.most_steps > 0;
  result.relative_residual = relative_residual();
  if (plan.robust) result.cuts = fit.cuts(at.network);
  result.network = std::move(at.network);
  return result;
}

}  // namespace crease
