// Fits of the two-layer learner.
#include "src/learners/two_layer_fits.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "kernels/ops.hpp"
#include "src/small_dense.hpp"
#include "src/stages/chunks.hpp"
#include "src/stages/eliminated_fit.hpp"
#include "src/stages/row_space.hpp"
#include "src/stages/surplus.hpp"

namespace crease {
namespace {

constexpr double kRowSpaceExact = 1e-8;  // relative residual: the row space was that of the truth
constexpr double kRounded = 1e-13;       // relative residual: nothing is left to fit
constexpr double kNearlyExact = 1e-10;
constexpr Index kFinishSteps = 3;
constexpr Index kRobust = 4;         // times the steps: convergence is linear there
constexpr Index kFirstSteps = 3;     // before the row space is tried ...
constexpr double kFell = 0.2;        // ... where the residual fell to less of what it was
constexpr Index kAllMoments = 2000;  // that a residual is asked for

std::string in_mebibytes(double bytes) {
  return std::to_string(static_cast<long>(std::ceil(bytes / (1 << 20)))) + " MiB";
}

}  // namespace

TwoLayerFits::TwoLayerFits(SampleRun& run, const TwoLayerProblem& problem, const TwoLayerPlan& plan,
                           const SampleMeans& means)
    : run_(run),
      device_(run.device()),
      problem_(problem),
      plan_(plan),
      means_(means),
      inputs_(run.report().inputs),
      outputs_(run.report().outputs) {}

TwoLayerFit TwoLayerFits::from(const HostMatrix& directions) {
  const HostMatrix start =
      fix_signs(device_, run_.examples(), directions, problem_.power).directions;
  TwoLayerFit fitted = with_outputs(start);
  const bool has_row_space = outputs_ >= start.rows() && !problem_.robust;
  bool tried = false;
  if (has_row_space && fits_cheaply(start.rows())) {
    // A few steps tell answers with errors, for which the row space is none, from exact ones.
    fitted.residual = relative_residual(device_, run_.examples(), fitted.network);
    const double before = fitted.residual;
    refine(fitted, kFirstSteps);
    tried = fitted.residual > kFell * before;
  }
  if (has_row_space && !tried) take_row_space(fitted.network.directions, fitted);
  if (fitted.residual > kRounded) {
    const Index steps = fitted.residual < kNearlyExact ? kFinishSteps : plan_.fit_steps;
    refine(fitted, steps);
    // A wrong sign is the usual local minimum.
    if (fitted.residual > plan_.exact && !problem_.robust) {
      const FixedSigns fixed =
          fix_signs(device_, run_.examples(), fitted.network.directions, problem_.power);
      if (fixed.changed) {
        TwoLayerFit again;
        again.network = {fixed.directions, fitted.network.outputs, problem_.power};
        refine(again, plan_.fit_steps);
        if (again.residual < fitted.residual) fitted = std::move(again);
      }
    }
  }
  if (fitted.residual > plan_.exact) fitted.surplus = surplus_of(fitted);
  if (tried && fitted.surplus >= kErrorsAlone && take_row_space(start, fitted)) {
    refine(fitted, kFinishSteps);
    fitted.surplus = 0;
  }
  in_hand_.reset();
  return fitted;
}

/// Rows for the closed form of the normal matrix, whose steps cost next to nothing.
bool TwoLayerFits::fits_cheaply(Index k) const {
  EliminatedFitPlan fit;
  fit.gaussian = run_.gaussian() && !problem_.biases;
  return has_closed_form(fit, run_.examples().rows(), k, inputs_, problem_.power);
}

TwoLayerFit TwoLayerFits::with_outputs(const HostMatrix& directions) {
  const FeatureMeans means = feature_means(device_, run_.examples(), directions, problem_.power);
  TwoLayerFit fitted;
  fitted.network = {directions, best_outputs(means), problem_.power};
  return fitted;
}

/// Verified on all examples, or thrown away.
bool TwoLayerFits::take_row_space(const HostMatrix& start, TwoLayerFit& fitted) {
  RowSpacePlan plan;
  plan.most_bytes = run_.control().budget.device_bytes / 2;
  const auto exact =
      directions_from_row_space(device_, run_.examples(), means_, start, problem_.power, plan);
  if (!exact) return false;
  TwoLayerFit found = with_outputs(*exact);
  found.residual = relative_residual(device_, run_.examples(), found.network);
  if (!(found.residual < kRowSpaceExact)) return false;
  found.method = "row space";
  fitted = std::move(found);
  return true;
}

/// The normal matrix and the system made of it, [k d, k d] each.
void TwoLayerFits::require_memory(Index k) const {
  if (fits_cheaply(k)) return;
  const double unknowns = static_cast<double>(k * width());
  const double bytes = 2 * unknowns * unknowns * static_cast<double>(kDoubleBytes);
  const auto most = static_cast<double>(run_.control().budget.device_bytes);
  if (bytes <= most) return;
  throw BadInput("a fit of " + std::to_string(k) + " neurons of " + std::to_string(width()) +
                 " inputs needs " + in_mebibytes(bytes) + " for its normal matrix; there are " +
                 in_mebibytes(most) + " (device_bytes)");
}

void TwoLayerFits::refine(TwoLayerFit& fitted, Index steps) {
  require_memory(fitted.network.neurons());
  EliminatedFitPlan fit;
  fit.most_steps = problem_.robust ? kRobust * steps : steps;
  fit.robust = problem_.robust;
  fit.gaussian = run_.gaussian() && !problem_.biases;
  fit.stop = [this] { return run_.ends(); };
  fit.taken = [&](const RectifiedSum& network, double residual) {
    if (!in_hand_ || residual < in_hand_->residual) {
      in_hand_.emplace();
      in_hand_->network = network;
      in_hand_->residual = residual;
      in_hand_->method = fitted.method;
    }
    run_.progress("least_squares", network.neurons(), residual);
  };
  EliminatedFit result = fit_eliminated(device_, run_.examples(), fitted.network, fit);
  fitted.network = std::move(result.network);
  fitted.residual = result.relative_residual;
  fitted.spent = result.spent;
  fitted.cuts = std::move(result.cuts);
}

/// Of inputs alone: all of them where their moments are few, else in the span of V.
double TwoLayerFits::surplus_of(const TwoLayerFit& fitted) {
  const RectifiedSum& network = fitted.network;
  HostMatrix span;
  if (inputs_ * inputs_ * outputs_ <= kAllMoments) {
    span = identity(inputs_, width());
  } else {
    HostMatrix directions = network.directions;
    for (Index i = 0; i < directions.rows() && problem_.biases; ++i) directions(i, inputs_) = 0;
    span = svd(std::move(directions)).right;
  }
  const DeviceMatrix v = upload(device_, network.directions);
  const DeviceMatrix u = upload(device_, network.outputs);
  const auto predict = [&](ConstDeviceView x, DeviceView out) {
    DeviceMatrix f(device_, x.rows, network.neurons());
    rectified_features(device_, x, v, network.power, f);
    multiply(device_, f, Transpose::no, u, Transpose::yes, 1.0, 0.0, out);
  };
  return residual_surplus(device_, run_.examples(), span, predict, run_.random(), 0, fitted.cuts);
}

}  // namespace crease
