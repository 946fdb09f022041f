// learn_from_hessians: checks, routing, the last fit, the certificate.
#include <crease/hessian_learner.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops_smooth.hpp"
#include "src/learners/smooth_run.hpp"
#include "src/stages/curvature.hpp"
#include "src/stages/finish.hpp"

namespace crease {
namespace {

constexpr Index kHeldOut = 200;
constexpr double kTooLarge = 1e-6;  // of sd(F): held-out error of an attempt that failed
constexpr double kNoise = 2;        // deviations of an answer, likewise
constexpr Index kMostHessians = 6;  // per dimension, of a target that may have two layers
constexpr Index kLeastHessians = 64;
constexpr int kEntangledAttempts = 8;
constexpr double kFarOff = 100;                 // times that: the other path may do better
constexpr const char* kFarField = "far field";  // the method, of one layer
constexpr const char* kOneLayer = "one layer";
constexpr int kMoreTries = 2;       // with twice the Hessians
constexpr double kLoud = 0.05;      // of sd(F): noise that hides steps too
constexpr double kWorthAFit = 0.2;  // of sd(F): a rougher start is no start

void check(const SmoothProblem& problem, const HessianPlan& plan, const RunControl& run) {
  const auto at_least_one = [](const std::optional<Index>& number, const char* name) {
    require(!number || *number >= 1, std::string(name) + " must be at least 1");
  };
  require(!problem.layers || *problem.layers == 1 || *problem.layers == 2, "layers must be 1 or 2");
  at_least_one(problem.neurons, "neurons");
  at_least_one(problem.second_neurons, "second_neurons");
  require(!problem.second_neurons || problem.layers != 1,
          "second_neurons belongs to two hidden layers");
  require(!plan.entangled || problem.layers != 1, "entangled is for two hidden layers");
  require(!plan.entangled || problem.second_neurons,
          "entangled needs second_neurons: Hessians show no gap behind both layers");
  require(problem.accuracy > 0 && std::isfinite(problem.accuracy),
          "accuracy must be finite and above 0");
  require(problem.failure > 0 && problem.failure < 1, "failure must lie between 0 and 1");
  require(!problem.lipschitz || (*problem.lipschitz > 0 && std::isfinite(*problem.lipschitz)),
          "lipschitz must be finite and above 0");
  require(plan.certificate_points >= 0 && plan.ball_points >= 0,
          "the certificate's points must not be negative");
  require(plan.radius > 0 && std::isfinite(plan.radius), "radius must be finite and above 0");
  require(plan.first_hessians >= 2, "first_hessians must be at least 2");
  require(plan.more_hessians > 1 && plan.more_hessians <= 100,
          "more_hessians must lie between 1 and 100");
  require(plan.rows_per_unknown >= 1 && plan.rows_per_unknown <= 1000,
          "rows_per_unknown must lie between 1 and 1000");
  require(plan.most_unknowns >= 0, "most_unknowns must not be negative");
  if (run.budget.queries) require(*run.budget.queries >= 1, "the budget must be at least 1 query");
  require(!run.budget.seconds || *run.budget.seconds > 0, "the time budget must be above 0");
  require(run.budget.device_bytes >= 1, "device_bytes must be at least 1");
  require(run.retries >= 0, "retries must not be negative");
}

/// The best of the attempts so far, and what stands against it.
struct Best {
  SmoothNetwork network;
  double error = HUGE_VAL;  // held out, over sd(F)
  std::string status;
};

class HessianLearner {
 public:
  explicit HessianLearner(SmoothRun& run) : run_(run) {
    best_.network = SmoothNetwork(run.asker.inputs(), {0}, 1, {run.problem.first});
  }

  void learn() {
    if (run_.control.budget.queries) {
      run_.asker.limit(*run_.control.budget.queries - run_.reserved());
    }
    measure_answers(run_);
    run_.asker.enter("hessians");
    const Bending bending =
        probe_curvature(run_.asker, run_.random, {.sigma = run_.sigma, .size = run_.size});
    if (bending == Bending::nowhere && !may_be_seen_from_afar()) {
      best_.status = run_.sigma > 0 ? kHiddenByNoise : kHessianVanishes;
      return;
    }
    if (bending == Bending::unclear && run_.plan.only_smooth) {
      best_.status = kNotSmooth;
      return;
    }
    find_basis(run_);
    if (may_have(2)) {
      learn_two();
    } else if (saturates(run_.problem.first) && is_constant_far_out()) {
      take(from_afar([&] { return learn_one_saturating_layer(run_); }), kFarField);
    }
    if (may_have(1) && !is_settled()) {
      const std::string before = best_.status;
      const Index most = std::max(kMostHessians * run_.basis.rows(), kLeastHessians);
      learn_from_hessians_alone(may_have(2) ? std::optional(most) : std::nullopt);
      const bool says_both = best_.status.find(before) != std::string::npos;
      if (!is_settled() && !vanishes() && !says_both) best_.status = before + "; " + best_.status;
    }
  }

  const Best& best() const { return best_; }
  bool has_network() const { return best_.error < HUGE_VAL; }

 private:
  bool may_have(Index layers) const {
    if (layers == 1 && run_.problem.second_neurons) return false;
    return run_.problem.layers.value_or(layers) == layers;
  }

  /// First where both may be: far field and a few corners tell for a tenth of the Hessians' price.
  void learn_two() {
    const bool both = may_have(1);
    if (run_.plan.entangled) return learn_entangled();
    if (!saturates(run_.problem.first) || !is_constant_far_out()) {
      if (both) return;
      if (run_.problem.second_neurons) return learn_entangled();
      best_.status = because(
          reason::kNotSaturating,
          "F does not become constant far out, or its first activation does not saturate: two "
          "hidden layers are then looked for only where the number of the second one's neurons is "
          "given (second_neurons)");
      return;
    }
    const SmoothAttempt attempt = from_afar([&] { return learn_two_layers(run_, both); });
    const bool single = attempt.network && attempt.network->layers() == 1;
    take(attempt, single ? kFarField : "corners");
    // Corners of few neurons, or of symmetric ones, may be linear with two layers as well.
    if (single && !is_settled()) {
      take(from_afar([&] { return learn_two_layers(run_, false); }), "corners");
    }
    const bool far_off = !has_network() || best_.error > kFarOff * tolerance();
    if (!is_settled() && far_off && run_.problem.second_neurons &&
        entangled_queries(run_) <= run_.asker.left()) {
      learn_entangled();
    }
  }

  /// Once more with other Hessians as long as fresh points are not explained.
  void learn_entangled() {
    for (int attempt = 0; attempt < kEntangledAttempts && !is_settled(); ++attempt) {
      const SmoothAttempt next = learn_entangled_layers(run_, attempt);
      take(next, "entangled");
      if (!next.network) return;
    }
  }

  /// Errors of answers hide neurons whose bends are small at most points: more Hessians show them.
  void learn_from_hessians_alone(std::optional<Index> most) {
    take(learn_one_layer(run_, most), kOneLayer);
    // Not where there may be two layers that were not found.
    const bool has_two = may_have(2) && saturates(run_.problem.first) && run_.least_neurons == 0;
    if (run_.sigma == 0 || has_two) return;
    for (int more = 0; more < kMoreTries && !is_settled(); ++more) {
      const Index wanted = 2 * run_.hessians.rows.rows();
      const bool pays = wanted <= most.value_or(wanted) &&
                        run_.asker.left() > wanted / 2 * stencil_size(run_.basis.rows());
      if (!has_network() || wanted == 0 || !pays) break;
      take(learn_one_layer(run_, most, wanted), kOneLayer);
    }
  }

  /// Bends that noise hides may end in steps that it does not: a target that is straight, or of
  /// kinks, does not become constant far out.
  bool may_be_seen_from_afar() {
    return run_.sigma > 0 && run_.sigma < kLoud && !run_.plan.only_smooth &&
           saturates(run_.problem.first) && is_constant_far_out();
  }

  bool is_constant_far_out() {
    if (!constant_) constant_ = from_afar([&] { return becomes_constant(run_); });
    return *constant_;
  }

  /// A box that does not answer far out may still have one layer.
  template <class Question>
  auto from_afar(Question&& question) -> decltype(question()) {
    try {
      return question();
    } catch (const EndOfRun& end) {
      if (end.outcome() != Outcome::oracle_failed || !may_have(1)) throw;
      run_.asker.warn(std::string("nothing is learned from far out: ") + end.what());
      return {};
    }
  }

  bool vanishes() const { return best_.status.rfind(reason::kHessianVanishes, 0) == 0; }
  double tolerance() const { return std::max(kTooLarge, kNoise * run_.sigma); }
  bool is_settled() const { return best_.status.empty() && best_.error <= tolerance(); }

  void take(const SmoothAttempt& attempt, const char* method) {
    if (!attempt.network) {
      if (!has_network()) {
        best_.status = attempt.status;
      } else if (best_.status.find(attempt.status) == std::string::npos) {
        best_.status += "; " + attempt.status;
      }
      return;
    }
    if (!has_network()) {
      // Kept unseen: the looks may end the run.
      best_ = {*attempt.network, std::numeric_limits<double>::max(), attempt.status};
      run_.report.method = method;
    }
    run_.asker.enter("looks");
    double error = run_.held_out_error(*attempt.network, kHeldOut);
    keep(*attempt.network, error, attempt.status, method);
    if (!(error < kWorthAFit)) return;
    const std::optional<SmoothNetwork> fitted = polished(run_, *attempt.network);
    if (!fitted) return;
    run_.asker.enter("looks");
    error = run_.held_out_error(*fitted, kHeldOut);
    // What explains fresh points is right, whatever stood against its start.
    keep(*fitted, error, error <= tolerance() ? "" : attempt.status, method);
  }

  void keep(const SmoothNetwork& network, double error, const std::string& status,
            const char* method) {
    if (!(error < best_.error) && has_network()) return;
    best_.network = network;
    best_.error = error;
    best_.status = status;
    run_.report.method = method;
    if (status.empty() && error > tolerance()) {
      best_.status = kUnexplained;
    }
    run_.asker.set_progress(0, network.total_neurons(), error);
    run_.asker.report();
  }

  SmoothRun& run_;
  Best best_;
  std::optional<bool> constant_;  // far out
};

}  // namespace

Index least_queries(const SmoothProblem& problem, const HessianPlan& plan, Index d) {
  require(d >= 1, "least_queries: at least one input");
  const Index hessians =
      problem.layers == 2 || saturates(problem.first)
          ? 0
          : plan.first_hessians * stencil_size(problem.neurons.value_or(1) < d && problem.neurons
                                                   ? *problem.neurons
                                                   : 1);
  const Index learning = kRepeatedPoints * kRepeats + 2 * kFormatPoints + kCurvatureQueries +
                         2 * d * std::min(kFirstGradients, d + kSpareGradients) + hessians;
  // A quarter of a budget is kept for the certificate, or all of it.
  return learning + std::min(plan.certificate_points + plan.ball_points, (learning + 2) / 3);
}

Learned<SmoothNetwork> learn_from_hessians(Device& device, Oracle& oracle,
                                           const SmoothProblem& problem, const HessianPlan& plan,
                                           const RunControl& control) {
  check(problem, plan, control);
  require(oracle.input_dim() >= 1, "the oracle must have at least one input");
  require(oracle.output_dim() == 1, "the Hessian learner is for one output: there are " +
                                        std::to_string(oracle.output_dim()));
  const Index price = least_queries(problem, plan, oracle.input_dim());
  require(!control.budget.queries || price <= *control.budget.queries,
          "the budget is " + std::to_string(control.budget.queries.value_or(0)) +
              " queries; noise, gradients, the first Hessians and a certificate take at least " +
              std::to_string(price));
  require(!problem.second_neurons || *problem.second_neurons <= plan.most_unknowns,
          "second_neurons must be at most most_unknowns, " + std::to_string(plan.most_unknowns));
  SmoothRun run(device, oracle, problem, plan, control);
  require(!run.asker.knows_sigmas(),
          "the Hessian learner needs answers of one accuracy, not a standard deviation of each");
  begin_report(run.asker, control, "hessian", run.report);
  HessianLearner learner(run);
  std::string status;
  if (const auto end = how_it_ends(run.asker, [&] { learner.learn(); })) {
    run.report.outcome = end->outcome();
    status = end->what();
  }
  Best best = learner.best();
  best.network = run.of_target(std::move(best.network));
  const bool answers =
      run.report.outcome != Outcome::device_lost && run.report.outcome != Outcome::oracle_failed;
  if (status.empty()) status = best.status;
  run.report.message = status;
  if (answers && learner.has_network()) {
    run.asker.finish_regardless();
    run.asker.standardize(0, 1);
    const auto certify = [&] { certify_smooth(run, best.network, status); };
    if (const auto end = how_it_ends(run.asker, certify)) {
      run.report.outcome = end->outcome();
      run.report.message = end->what();
    }
  }
  end_report(run.asker, run.noise, best.network.total_neurons(), run.report);
  return {best.network, run.report};
}

}  // namespace crease
