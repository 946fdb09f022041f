// The slice learner: slice, lift, gate; then the adaptive learner goes on from there.
#include "src/learners/slice_learner.hpp"

#include <algorithm>
#include <cmath>

#include "src/stages/slice_asker.hpp"

namespace crease {
namespace {

constexpr int kSlices = 3;                // that are tried
constexpr double kInputsShare = 40;       // inputs for each coordinate of a slice ...
constexpr Index kFewest = 4;              // ... of which it has at least
constexpr Index kMost = 32;               // ... and at most so many
constexpr double kSliceError = 1e-5;      // of the spread of F, on the slice
constexpr Index kGatePoints = 32;         // fresh points that a lifted network must explain ...
constexpr double kGateError = 1e-7;       // ... to this share of the spread of F
constexpr double kNeuronError = 0x1p-30;  // of the largest |W|: every neuron is determined

Index slice_inputs(const QueryPlan& plan, Index d) {
  const auto m = static_cast<Index>(static_cast<double>(d) / kInputsShare);
  return std::min(d, plan.slice_size > 0 ? plan.slice_size : std::clamp(m, kFewest, kMost));
}

/// Whether what is left of F is a small share of its spread, or no more than noise.
bool explains(const Look& look, double share, const QueryRun& run) {
  const double rho = std::sqrt(1.0 + static_cast<double>(run.asker.inputs()));
  double square = 0;
  for (Index o = 0; o < run.asker.outputs(); ++o) {
    square += run.noise.sigma(rho, o) * run.noise.sigma(rho, o);
  }
  return look.rms <= std::max(share * look.spread, run.plan.sigmas * std::sqrt(square));
}

}  // namespace

bool takes_slice(const QueryPlan& plan, Index inputs) {
  return inputs >= plan.slice_from;
}

/// Empty where the whole learner was given a network to start from; else why not.
std::string SliceLearner::lift() {
  Asker& asker = run_.asker;
  const Index d = asker.inputs();
  QueryPlan plan = run_.plan;
  plan.resolution = 0;  // a slice does not see bumps of the whole
  plan.look_points = std::min(plan.look_points, plan.slice_look_points);
  std::string reason;
  for (int attempt = 1; attempt <= kSlices; ++attempt) {
    const Slice slice = random_slice(run_.random, slice_inputs(plan, d), d);
    QueryRun part(
        run_, plan, std::make_unique<SliceAsker>(asker, upload(run_.device, slice.frame)),
        Seed{run_.random.seed().value ^ (0x9E3779B97F4A7C15u * static_cast<unsigned>(attempt))});
    part.noise = noise_on_slice(run_.noise, slice);
    AdaptiveLearner on_slice(part);
    on_slice.search();
    const Look& seen = on_slice.last_look();
    reason = "the network on " + std::to_string(attempt) + " slices was not learned exactly";
    if (!on_slice.hypothesis().has_base() || seen.beyond > 0 ||
        !explains(seen, kSliceError, part)) {
      continue;
    }
    const Lift lift = lift_slice(asker, run_.random, on_slice.hypothesis(), slice, run_.noise);
    if (!lift.network) return lift.reason;
    if (!(lift.largest_error < kNeuronError)) return "a neuron is not determined";
    asker.enter("looks");
    const DeviceNetwork lifted(run_.device, lift.network->network());
    Look gate = look_around(asker, run_.random, Stream::looks, kGatePoints, *lift.network, lifted,
                            run_.noise, run_.plan);
    asker.set_progress(0, lift.network->neurons(), gate.rms / std::max(gate.spread, 1e-300));
    asker.report();
    if (!explains(gate, kGateError, run_)) return "fresh points refute the lifted network";
    whole_.start_from(*lift.network, std::move(gate));
    return {};
  }
  return reason;
}

void SliceLearner::learn() {
  run_.limit_learning();
  run_.report.method = "slice";
  const std::string reason = lift();
  if (!reason.empty()) {
    run_.report.method = "exact";
    run_.asker.warn("slice and lift given up, learning all inputs: " + reason);
  }
  whole_.learn();
}

}  // namespace crease
