// Levenberg-Marquardt for y = U f(V x) with U eliminated.
#pragma once

#include <functional>
#include <vector>

#include "src/stages/eliminated_model.hpp"

namespace crease {

struct EliminatedFitPlan {
  Index most_steps = 80;
  bool robust = false;    // against gross errors in some of the answers
  double cut = 4;         // robust: residuals beyond so many deviations do not count
  double damping = 1e-3;  // at first
  double least_damping = 1e-12;
  double frozen = 0.02;       // steps of all directions below this: the model stays as it is
  Index model_rows = 0;       // of a model from examples; 0: max(12 k d, 8000)
  double gaussian_rows = 20;  // times k d rows, and power 1: the closed form
  bool gaussian = true;       // may it be taken; never for more neurons than inputs
  double exact = 3e-15;       // relative residual that ends the fit ...
  double still = 1e-14;       // ... and the largest step of a direction ...
  // ... and a predicted gain of so many variances a parameter: a step of .03 standard errors.
  double little = 1e-3;
  std::function<bool()> stop;  // asked before every step; may be empty
  // Told of the start and of every step that was taken; may be empty.
  std::function<void(const RectifiedSum& network, double relative_residual)> taken;
};

/// Whether the fit takes the closed form.
inline bool has_closed_form(const EliminatedFitPlan& plan, Index rows, Index k, Index d,
                            double power) {
  return plan.gaussian && k <= d && power == 1 &&
         static_cast<double>(rows) >= plan.gaussian_rows * static_cast<double>(k * d);
}

struct EliminatedFit {
  RectifiedSum network;
  double relative_residual = 1;  // root of the loss over |Y|; robust: of the clipped residuals
  Index steps = 0;
  bool gaussian = false;  // the closed form was the model to the end
  bool stopped = false;
  bool spent = false;        // the steps were too few
  std::vector<double> cuts;  // robust: size of residuals beyond which they do not count, per output
};

/// Minimises the mean of |y - U f(V x)|^2 over unit rows of V from `start` (whose outputs count
/// only where robust): every gradient over all rows, the normal matrix from a part of them or in
/// closed form; the gradient alone decides where it ends. Damping / 8 after a step whose loss does
/// not rise (by more than 1e-12; robust 1e-3; power < 1: 0.1), * 8 after one that fails.
///
/// robust: residuals count up to `cut` deviations s_o of output o, s_o = its 80 % quantile over
/// 1.28155 (not the median: half of the points do not see a given neuron).
EliminatedFit fit_eliminated(Device& device, Examples& examples, const RectifiedSum& start,
                             const EliminatedFitPlan& plan = {});

}  // namespace crease
