// The end of every run: what fresh points vouch for, and the numbers of the report.
#include "src/stages/finish.hpp"

#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>

#include "src/stages/certify.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kFloor = 64;        // roundings
constexpr double kMostSilent = 0.1;  // of the certificate's points: with more nothing is reached

/// Median over the points, of the largest over the outputs; 0 where none was told.
double typical_sigma(const HostMatrix& sigmas) {
  std::vector<double> largest;
  for (Index i = 0; i < sigmas.rows(); ++i) {
    const double sigma = *std::max_element(sigmas.row(i), sigmas.row(i) + sigmas.cols());
    if (std::isfinite(sigma)) largest.push_back(sigma);
  }
  return median(std::move(largest));
}

/// What rounded answers may all be off by, without a fresh point showing it: F' learned that too,
/// where F hardly changes from one answer to the next. Half a unit is sqrt(3) times the standard
/// deviation of one rounding. 0 for noise, which only enlarges the errors seen.
double hidden_by_rounding(const NoiseModel& noise, Index inputs) {
  const double rho = std::sqrt(1 + static_cast<double>(inputs));
  double square = 0;
  for (Index o = 0; o < static_cast<Index>(noise.absolute.size()); ++o) {
    const std::string& format = noise.format_of(o);
    if (format != "decimal" && format != "float32" && format != "float16") continue;
    square += 3 * std::pow(noise.sigma(rho, o), 2);
  }
  return std::sqrt(square);
}

/// No neuron, and no slope that stands above its measured error: constant, as far as answers tell.
bool is_flat(const Hypothesis& hypothesis, double sigmas) {
  if (hypothesis.neurons() > 0) return false;
  const auto d = static_cast<double>(hypothesis.inputs);
  for (Index o = 0; o < hypothesis.outputs; ++o) {
    const double* slope = hypothesis.gradient.row(o);
    const double error = hypothesis.gradient_noise[static_cast<std::size_t>(o)];
    if (dot(slope, slope, hypothesis.inputs) > sigmas * sigmas * error * error * d) return false;
  }
  return true;
}

}  // namespace

double deviation_or_zero(Device& device, const ReluNetwork& network) {
  const double sd = gaussian_standard_deviation(device, network);
  // largest_lipschitz_guess() is twice the largest |u| |w|.
  double size = largest_lipschitz_guess(network) * static_cast<double>(network.neurons());
  for (Index o = 0; o < network.outputs(); ++o) size += std::abs(network.constant(o, 0));
  return sd > kFloor * kRounding * size ? sd : 0.0;
}

double unseen_mass(double failure, const Look& look, Index more_points, Index more_silent) {
  if (look.beyond > 0 || look.errors.empty()) return 1;
  const Index points = static_cast<Index>(look.errors.size()) + more_points;
  const Index silent = look.silent + more_silent;
  return silent > 0 ? upper_mass(points, silent, failure)
                    : 1 - std::pow(failure, 1 / static_cast<double>(points));
}

Look vouch_for(Asker& asker, Random& random, const QueryProblem& problem, const QueryPlan& plan,
               const NoiseModel& noise, const Hypothesis& hypothesis, const ReluNetwork& network,
               int certificates, RunReport& report) {
  report.learning_rounds = asker.rounds();
  if (asker.gives_up()) {
    report.message = "stopped, and the black box did not answer: nothing is vouched for";
    return {};
  }
  const Index points = std::min(plan.certificate_points, asker.left());
  if (points == 0) {
    report.message = plan.certificate_points == 0
                         ? "the certificate was turned off: nothing is vouched for"
                         : "no query was left for the certificate";
    return {};
  }
  asker.enter("certificate");
  const Index before = asker.charged();
  const DeviceNetwork on_device(asker.device(), network);
  Look look =
      look_around(asker, random, Stream::certificate, points, hypothesis, on_device, noise, plan);
  // The last that needs the device: a report holds all of a certificate, or nothing of it.
  const double sd =
      is_flat(hypothesis, plan.sigmas) ? 0 : deviation_or_zero(asker.device(), network);
  report.certificate_queries = asker.charged() - before;
  const auto certified = [&](const std::vector<double>& errors) {
    return certify(errors, look_failure(problem.failure, certificates + 1),
                   problem.lipschitz.value_or(largest_lipschitz_guess(network)),
                   asker.knows_sigmas());
  };
  std::vector<double> errors = look.errors;
  for (double& error : errors) error += hidden_by_rounding(noise, asker.inputs());
  for (Index i = 0; i < look.sigmas.rows(); ++i) {  // told, of rounding as well as of noise
    const double* sigma = look.sigmas.row(i);
    errors[static_cast<std::size_t>(i)] += std::sqrt(dot(sigma, sigma, look.sigmas.cols()));
  }
  Certificate certificate = certified(errors);
  const double vouched = certificate.rms_error;  // with what rounding may hide
  certificate.rms_error = certified(look.errors).rms_error;
  certificate.beyond_limit = look.beyond;
  report.certificate = certificate;
  report.hunt_mass = unseen_mass(problem.failure, look, 0, 0);
  const bool measured = certificate.silent < certificate.points;
  report.rms_error = measured ? std::optional(certificate.rms_error) : std::nullopt;
  report.relative_error =
      measured && sd > 0 ? std::optional(certificate.rms_error / sd) : std::nullopt;
  report.answer_noise = std::max(report.answer_noise, typical_sigma(look.sigmas));
  asker.set_progress(0, network.neurons(), report.relative_error);
  asker.report();

  const double allowed = sd > 0 ? problem.accuracy * sd : problem.accuracy;
  if (look.beyond > 0) {
    report.message = std::to_string(look.beyond) + " of " + std::to_string(points) +
                     " fresh points show an error beyond its limit";
  } else if (static_cast<double>(look.silent) > kMostSilent * static_cast<double>(points)) {
    report.message = "the answers at " + std::to_string(look.silent) + " of " +
                     std::to_string(points) +
                     " fresh points say nothing: no more than the others can be vouched for";
  } else if (!(vouched <= allowed)) {
    report.message = "what was found is right, but less accurate than asked for";
  } else {
    report.outcome = Outcome::reached;
    report.message.clear();
  }
  return look;
}

void forget_certificate(RunReport& report) {
  report.certificate.reset();
  report.certificate_queries = 0;
  report.rms_error.reset();
  report.relative_error.reset();
  report.hunt_mass = 1;
}

std::optional<EndOfRun> how_it_ends(const Asker& asker, const std::function<void()>& part) {
  try {
    part();
    return std::nullopt;
  } catch (const EndOfRun& end) {
    return end;
  } catch (const DeviceError& error) {
    if (asker.asked() == 0) throw;
    return EndOfRun(Outcome::device_lost, error.what());
  } catch (const std::bad_alloc&) {
    if (asker.asked() == 0) throw;
    return EndOfRun(Outcome::device_lost, "the host has no memory for what comes next");
  } catch (const std::exception& error) {
    // A number beyond what a stage can work with, say: what was paid for is kept all the same.
    if (asker.asked() == 0) throw;
    return EndOfRun(Outcome::not_reached, std::string("the run could not go on: ") + error.what());
  }
}

void begin_report(Asker& asker, const RunControl& run, const char* mode, RunReport& report) {
  report.device = asker.device().name();
  report.seed = run.seed;
  report.mode = mode;
  report.inputs = asker.inputs();
  report.outputs = asker.outputs();
}

void end_report(Asker& asker, const NoiseModel& noise, Index neurons, RunReport& report) {
  report.neurons = neurons;
  asker.write(report);
  report.learning_queries = asker.charged() - report.certificate_queries;
  if (!report.certificate && report.learning_rounds == 0) report.learning_rounds = report.rounds;
  const AnswerKind kind = asker.answer_kind();
  report.answer_format = kind.format.empty() ? noise.format : kind.format;
  report.modulo = kind.modulo;
  for (const double sigma : noise.absolute)
    report.answer_noise = std::max(report.answer_noise, sigma);
  report.peak_device_bytes = asker.device().stats().peak_bytes;
}

}  // namespace crease
