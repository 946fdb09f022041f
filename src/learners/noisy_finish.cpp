// The end of a run on noisy answers: the network in its own units, its certificate, and what is
// said of the two.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "src/learners/noisy_learner.hpp"
#include "src/stages/finish.hpp"
#include "src/stages/numbers.hpp"
#include "src/stages/orientation.hpp"

namespace crease {
namespace {

constexpr int kHits = 6;           // of the hunt that are followed up
constexpr Index kAroundSlab = 6;   // points per unknown around each hyperplane of a line at a hit
constexpr double kSlabNear = 0.1;  // of the resolution: hyperplanes closer than that are one
constexpr Index kSlabSteps = 40;
constexpr double kSlabTurn = 1e-2;
constexpr double kMayGrow = 1.1;    // the held-out rms, as the rows around a slab weigh more
constexpr double kCertified = 1.6;  // certificate's rms over what the noise explains
constexpr double kMargin = 1.1;     // of the accuracy that is said to be within reach

std::string in_words(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", number);
  return text;
}

Hyperplanes in_units(Hyperplanes network, const std::vector<double>& unit) {
  for (std::size_t o = 0; o < unit.size(); ++o) {
    const auto output = static_cast<Index>(o);
    for (Index i = 0; i < network.neurons(); ++i) network.scales(i, output) *= unit[o];
    for (Index j = 0; j < network.linear.cols(); ++j) network.linear(output, j) *= unit[o];
  }
  return network;
}

/// Around the origin, with the error of a fit in every output.
Hypothesis hypothesis_of(const ReluNetwork& network, const std::vector<double>& fit_error) {
  const Index d = network.inputs();
  Hypothesis hypothesis(d, network.outputs());
  hypothesis.base.assign(static_cast<std::size_t>(d), 0.0);
  hypothesis.gradient = network.linear;
  hypothesis.constant = network.constant;
  // value_error() is per rho, and rho^2 is d + 1 on average.
  const double rho = std::sqrt(static_cast<double>(d + 1));
  for (std::size_t o = 0; o < fit_error.size(); ++o) {
    hypothesis.gradient_noise[o] = fit_error[o] / rho;
  }
  hypothesis.normals = HostMatrix(network.neurons(), d);
  hypothesis.scales = HostMatrix(network.neurons(), network.outputs());
  for (Index j = 0; j < network.neurons(); ++j) {
    const double* weights = network.weights.row(j);
    const double norm = std::sqrt(dot(weights, weights, d));
    for (Index i = 0; i < d; ++i) hypothesis.normals(j, i) = weights[i] / norm;
    for (Index o = 0; o < network.outputs(); ++o) {
      hypothesis.scales(j, o) = network.output(o, j) * norm;
    }
    hypothesis.bias.push_back(network.bias(j, 0) / norm);
    hypothesis.offset_error.push_back(0);
    hypothesis.normal_error.push_back(0);
  }
  return hypothesis;
}

}  // namespace

/// Importance below which a neuron is as likely to be made of noise as of anything else: twice the
/// rms that d + p unknowns take off the noise of the rows.
double NoisyLearner::superfluous() const {
  const double equations = static_cast<double>(rows_.size()) * static_cast<double>(p_);
  return 2 * row_noise_ * std::sqrt(static_cast<double>(d_ + p_) / std::max(equations, 1.0));
}

std::vector<double> NoisyLearner::expected_error(double share) const {
  std::vector<double> errors = noise_.sigma;
  for (double& error : errors) error *= row_noise_ * share;
  return errors;
}

void NoisyLearner::finish(const Hyperplanes& network) {
  for (const double sigma : noise_.sigma) {
    run_.report.answer_noise = std::max(run_.report.answer_noise, row_noise_ * sigma);
  }
  final_ = relu_network_of(in_units(network, noise_.sigma));
}

/// The best network with the hyperplanes that a line at a hit showed and that it has not got.
Hyperplanes NoisyLearner::with_slab(const CrudeNeurons& found) {
  Hyperplanes more = best_;
  HostMatrix points(0, d_);
  const double near = kSlabNear * run_.plan.resolution;
  for (Index i = 0; i < found.size(); ++i) {
    const double* plane = found.planes.row(i);
    const auto is_near = [&](Index j) {
      double same = 0;
      double opposite = 0;
      for (Index c = 0; c <= d_; ++c) {
        same += std::pow(plane[c] - more.planes(j, c), 2);
        opposite += std::pow(plane[c] + more.planes(j, c), 2);
      }
      return std::min(same, opposite) <= near * near;
    };
    bool known = false;
    for (Index j = 0; j < more.neurons() && !known; ++j) known = is_near(j);
    if (known) continue;
    more.add({plane, plane + d_}, plane[d_]);
    const HostMatrix around =
        points_around(plane, d_, kAroundSlab * (d_ + 1), random_, run_.plan.resolution);
    for (Index r = 0; r < around.rows(); ++r) points.append_row(around.row(r), d_);
  }
  if (points.rows() == 0 || points.rows() > asker_.left()) return best_;
  asker_.enter("least_squares");
  rows_.ask(points, asker_, noise_.sigma);
  asker_.report();
  return more;
}

/// Slabs that the rows see next to nothing of: a point in one, then a line through it.
void NoisyLearner::hunt() {
  hit_ = false;
  if (run_.plan.resolution == 0) return;
  for (int hits = 0;; ++hits) {
    finish(best_);
    const std::vector<double> errors = expected_error(fit_error(final_.neurons()));
    const DeviceNetwork current(device_, final_);
    std::vector<double> hit;
    hit_ = hunt_.find(asker_, random_, hypothesis_of(final_, errors), current, noise_.model,
                      run_.plan, hit);
    if (!hit_ || hits == kHits || ends()) return;
    const CrudeLine line =
        crude_neurons_through(asker_, random_, noise_.model, run_.plan, hit, run_.plan.resolution);
    Hyperplanes start = with_slab(line.found);
    if (start.neurons() == best_.neurons()) continue;
    const double before = rms(rows_, best_);
    Hyperplanes fitted = fit(std::move(start), kSlabTurn, kSlabSteps);
    const double left = held_out_rms(fitted);
    if (!(train_rms_ < before) ||
        left > kMayGrow * std::max(best_held_out_, floor(fitted.neurons())))
      continue;
    best_ = std::move(fitted);
    best_held_out_ = left;
    prune();
    merge_twins();
  }
}

/// Turned so that no linear part is left, where that changes the function by less than the fit's
/// own error.
void NoisyLearner::turn() {
  const std::vector<double> errors = expected_error(fit_error(final_.neurons()));
  final_ = orient(hypothesis_of(final_, errors), std::sqrt(dot(errors, errors)));
}

/// Fresh points, drawn after the network was fixed. False if they show more than the noise.
bool NoisyLearner::certify_network() {
  const std::vector<double> errors = expected_error(fit_error(final_.neurons()));
  const Look look = vouch_for(asker_, random_, run_.problem, run_.plan, noise_.model,
                              hypothesis_of(final_, errors), final_, certificates_, run_.report);
  if (look.errors.empty()) return true;
  worst_ = look.worst;
  ++certificates_;
  run_.report.hunt_mass = unseen_mass(run_.problem.failure, look, hunt_.gaussian_points(),
                                      hunt_.silent_gaussian_points());
  if (hit_) {
    run_.report.hunt_mass = 1;
    run_.report.outcome = Outcome::not_reached;
    run_.report.message = "the hunt met a slab of width " + in_words(run_.plan.resolution) +
                          " or more that these answers did not allow to learn";
    return true;
  }
  if (run_.report.outcome == Outcome::reached) {
    if (run_.plan.resolution > 0 && !run_.report.relative_error) say_what_noise_hides();
    return true;
  }
  return say_what_is_left();
}

/// F' is a constant, and the accuracy absolute: a promised slab that the limits of these answers
/// hide would be all there is of F.
void NoisyLearner::say_what_noise_hides() {
  const double noise = std::sqrt(dot(noise_.sigma, noise_.sigma));
  run_.report.hunt_mass = 1;
  run_.report.outcome = Outcome::not_reached;
  run_.report.message = "constant, as far as these answers tell: a slab of width " +
                        in_words(run_.plan.resolution) + " and lower than " +
                        in_words(run_.plan.sigmas * noise) + " would not have shown";
}

/// Why it is no `reached`: the noise (true), or something that is not in the network.
bool NoisyLearner::say_what_is_left() {
  RunReport& report = run_.report;
  double noise_square = 0;
  for (std::size_t o = 0; o < shows_noise_.size(); ++o) {
    if (shows_noise_[o]) noise_square += noise_.sigma[o] * noise_.sigma[o];
  }
  const double noise = row_noise_ * std::sqrt(noise_square);
  const double rms = report.rms_error.value_or(0);
  const double relative = report.relative_error.value_or(rms);
  const char* unit = report.relative_error ? " of the deviation" : "";
  if (rms <= kCertified * noise * std::hypot(1.0, fit_error(final_.neurons()))) {
    report.message = "at the noise floor: one answer is off by " + in_words(noise) +
                     ", so the rms on fresh points is " + in_words(relative) + unit +
                     "; these answers allow an accuracy of " + in_words(kMargin * relative);
    return true;
  }
  report.message =
      "not the whole function: fresh points are off by " + in_words(rms) + " (rms, " +
      in_words(relative) + unit + "), " + in_words(rms / noise) +
      " times the error of one answer; " +
      (at_floor_ ? "there are neurons that too few points see"
                 : "neurons are missing, or it is no ReLU network of one hidden layer");
  return false;
}

void NoisyLearner::finish_short(Outcome outcome, std::string message) {
  finish(best_);
  forget_certificate(run_.report);
  if (outcome == Outcome::out_of_budget || outcome == Outcome::stopped) {
    run_.lift_limit();
    asker_.finish_regardless();
    if (const auto end = how_it_ends(asker_, [&] { certify_network(); })) {
      outcome = end->outcome();
      message = end->what();
    }
  }
  run_.report.outcome = outcome;
  run_.report.message = std::move(message);
}

}  // namespace crease
