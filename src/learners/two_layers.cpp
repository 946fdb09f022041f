// Two hidden layers: the first from far out, the second from corners.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "src/learners/smooth_run.hpp"
#include "src/stages/corner_points.hpp"
#include "src/stages/corners.hpp"
#include "src/stages/far_field.hpp"

namespace crease {
namespace {

constexpr Index kMixed = 32;                 // mixed differences
constexpr double kAdditive = 1e-9;           // of the root mean square of F: none ...
constexpr double kNoisyAdditive = 8;         // ... or so many deviations of an answer
constexpr std::chrono::seconds kSilence{5};  // within fits, between progress reports
constexpr Index kFewSigns = 12;              // for which both layers at once take no long time

/// Whether flips of two signs change F by the sum of what each changes, at random corners.
bool adds_up(SmoothRun& run, const SaturatedLayer& first) {
  const Index m = first.directions.rows();
  if (m < 2) return true;  // one sign says nothing of a second layer
  const HostMatrix signs = random_signs(run.random, kMixed, m);
  HostMatrix corners(0, m);
  for (Index i = 0; i < kMixed; ++i) {
    const Index a = i % m;
    const Index b = (a + 1 + static_cast<Index>(run.random.uniform(0, 1) * (m - 1))) % m;
    for (const bool flip_a : {false, true}) {
      for (const bool flip_b : {false, true}) {
        std::vector<double> corner(signs.row(i), signs.row(i) + m);
        if (flip_a) corner[static_cast<std::size_t>(a)] *= -1;
        if (flip_b) corner[static_cast<std::size_t>(b)] *= -1;
        corners.append_row(corner.data(), m);
      }
    }
  }
  const HostMatrix y = values_at(run.asker, first, corners, first.reach);
  double mixed = 0;
  for (Index i = 0; i < kMixed; ++i) {
    const double difference = (y(4 * i, 0) - y(4 * i + 1, 0)) - (y(4 * i + 2, 0) - y(4 * i + 3, 0));
    mixed = std::max(mixed, std::fabs(difference));
  }
  return mixed <= std::max(kAdditive * run.size, kNoisyAdditive * run.sigma);
}

}  // namespace

std::string more_than_directions(const SmoothRun& run, Index neurons) {
  return "FAR_FIELD_INCOMPLETE: " + std::to_string(neurons) +
         " neurons of the first layer were asked for, and F varies in " +
         std::to_string(run.basis.rows()) +
         " directions only: the first of two layers must not have more";
}

SmoothAttempt learn_two_layers(SmoothRun& run, bool may_be_one) {
  const Index wanted = run.problem.neurons.value_or(run.basis.rows());
  if (wanted > run.basis.rows()) return {{}, more_than_directions(run, wanted)};
  if (run.problem.second_neurons) {
    const Index unknowns = *run.problem.second_neurons * (wanted + 2) + 1;
    if (unknowns > run.plan.most_unknowns) {
      return {{},
              "TOO_MANY_UNKNOWNS: a second layer of " +
                  std::to_string(*run.problem.second_neurons) + " neurons has " +
                  std::to_string(unknowns) + " unknowns, at most " +
                  std::to_string(run.plan.most_unknowns) + " (most_unknowns)"};
    }
  }
  FarFieldPlan far;
  far.sigma = run.sigma;
  run.asker.enter("lines");
  const FarField found = far_field(run.asker, run.random, run.basis, wanted, far);
  // With noise F may vary in fewer directions than its gradients could show.
  const bool may_be_fewer = run.sigma > 0 && !run.problem.neurons && found.directions.rows() > 0;
  const bool incomplete = found.directions.rows() < wanted;
  if (incomplete && !may_be_fewer) {
    return {{},
            "FAR_FIELD_INCOMPLETE: " + std::to_string(found.directions.rows()) + " of " +
                std::to_string(wanted) + " directions of the first layer were found"};
  }
  SaturatedLayer first = saturated_layer(found.directions, run.problem.first);
  run.asker.enter("corners");
  first.reach = saturating_reach(run.asker, run.random, first, run.sigma);
  if (may_be_one && adds_up(run, first)) {
    return {};  // one hidden layer
  }
  CornersPlan plan;
  plan.neurons = run.problem.second_neurons;
  plan.sigma = run.sigma;
  plan.most_unknowns = run.plan.most_unknowns;
  if (!plan.neurons) {
    plan.least_neurons = least_second_neurons(run.asker, run.random, first, run.sigma);
  }
  plan.tried = [&run](Index neurons, double rms) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2g", rms);
    run.asker.report("a second layer of " + std::to_string(neurons) + " neurons leaves " + text +
                     " standard deviations of F at corners");
  };
  auto reported = std::chrono::steady_clock::now();
  plan.stop = [&run, &reported] {
    const auto now = std::chrono::steady_clock::now();
    if (now - reported > kSilence) {
      run.asker.report();
      reported = now;
    }
    return run.asker.would_end();
  };
  Corners second = learn_corners(run.asker, run.random, first, run.problem.second, plan);
  const bool both = !second.determined || (!second.settled && wanted <= kFewSigns);
  if (both) {
    second = learn_both_layers(run.asker, run.random, first, run.problem.second, plan);
  }
  SmoothAttempt attempt;
  attempt.network = both ? second.second
                         : with_first_layer(run.asker, run.random, first, second.second, run.sigma);
  if (!both && second.settled && run.sigma == 0) {
    attempt.network =
        with_exact_directions(run.asker, run.random, first, second.second, *attempt.network);
  }
  if (!second.settled && incomplete) {
    attempt.status = "FAR_FIELD_INCOMPLETE: with the " + std::to_string(found.directions.rows()) +
                     " directions that were found no second layer explains the answers";
  } else if (!second.settled && second.cut) {
    attempt.status =
        "TOO_MANY_UNKNOWNS: second layers of more neurons than were tried have more than " +
        std::to_string(run.plan.most_unknowns) + " unknowns (most_unknowns)";
  } else if (!second.settled) {
    attempt.status =
        "RESIDUAL_TOO_LARGE: no second layer explains the answers where the first one saturates "
        "(the best has " +
        std::to_string(attempt.network->neurons(1)) + " neurons)";
  }
  return attempt;
}

}  // namespace crease
