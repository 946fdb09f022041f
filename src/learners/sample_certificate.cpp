// The end of a run from samples: what the held-out examples say.
#include <crease/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/learners/sample_run.hpp"
#include "src/stages/certify.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kNumbersPerUnknown = 5;
constexpr double kRoundedMean = 1e-14;  // variance over mean square
constexpr double kCut = 4;              // robust: deviations
constexpr double kExact = 1e-10;        // of rms y: less is no gross error
constexpr double kOdd = 5;              // deviations of moments of inputs whose answers seem wrong
constexpr double kMostGross = 0.15;     // of the numbers: what a robust fit bears
constexpr double kHeavy = 8;            // largest error over their rms, of 100 or more
constexpr Index kHeavyRows = 100;
constexpr double kSingle = 0x1p-21;  // of rms y: rounding of examples in single precision

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

/// How far first and second moments of the inputs of silent points are from those of all of them:
/// a chi square of 2 d, standardised. Errors that do not come from x give about N(0, 1).
double silent_score(const HostMatrix& x, const std::vector<double>& errors) {
  const Index n = x.rows();
  double silent = 0;
  for (const double error : errors) silent += std::isfinite(error) ? 0 : 1;
  if (silent < 2 || silent > 0.5 * static_cast<double>(n)) return 0;
  double score = 0, count = 0;
  for (Index j = 0; j < x.cols(); ++j) {
    for (const bool squared : {false, true}) {
      double sum = 0, square = 0, own = 0;
      for (Index i = 0; i < n; ++i) {
        const double value = squared ? x(i, j) * x(i, j) : x(i, j);
        sum += value;
        square += value * value;
        if (!std::isfinite(errors[static_cast<std::size_t>(i)])) own += value;
      }
      const double mean = sum / static_cast<double>(n);
      const double variance = square / static_cast<double>(n) - mean * mean;
      if (!(variance > 0)) continue;
      score += std::pow(own / silent - mean, 2) * silent / variance;
      count += 1;
    }
  }
  return count > 0 ? (score - count) / std::sqrt(2 * count) : 0;
}

/// Standard deviation over rows and outputs.
double deviation_of(const HostMatrix& y) {
  double total = 0;
  for (Index o = 0; o < y.cols(); ++o) {
    double sum = 0, square = 0;
    for (Index i = 0; i < y.rows(); ++i) {
      sum += y(i, o);
      square += y(i, o) * y(i, o);
    }
    const auto n = static_cast<double>(y.rows());
    total += std::max(square / n - sum / n * (sum / n), 0.0);
  }
  return std::sqrt(total);
}

}  // namespace

void require_goal(double accuracy, double failure) {
  require(accuracy > 0 && std::isfinite(accuracy), "the accuracy must be positive and finite");
  require(failure > 0 && failure < 1, "the failure probability must be between 0 and 1");
}

bool is_constant(double mean, double mean_square) {
  return !(mean_square - mean * mean > kRoundedMean * mean_square);
}

EndOfRun constant_answers(double mean_square) {
  const bool vanishes = mean_square < std::numeric_limits<double>::min();
  return {Outcome::not_reached,
          vanishes ? "the answers are constant, or so small that their squares vanish"
                   : "the answers are constant"};
}

std::vector<double> SampleRun::held_out_errors(const ReluNetwork& of_z, bool robust) {
  HostMatrix left = download(device_, examples_->held_out_y());
  const Index p = left.cols();
  if (left.rows() == 0) return {};
  const HostMatrix values =
      evaluate(device_, of_z, download(device_, examples_->held_out_x()).view());
  std::vector<double> most(static_cast<std::size_t>(p), std::numeric_limits<double>::infinity());
  for (Index o = 0; o < p; ++o) {
    double square = 0;
    std::vector<double> sizes;
    for (Index i = 0; i < left.rows(); ++i) {
      square += left(i, o) * left(i, o);
      left(i, o) -= values(i, o);
      sizes.push_back(std::fabs(left(i, o)));
    }
    if (!robust) continue;
    most[static_cast<std::size_t>(o)] =
        std::max(kCut * robust_deviation(std::move(sizes)),
                 kExact * std::sqrt(square / static_cast<double>(left.rows())));
  }
  std::vector<double> errors;
  for (Index i = 0; i < left.rows(); ++i) {
    double error = std::sqrt(dot(left.row(i), left.row(i), p));
    for (Index o = 0; o < p; ++o) {
      if (std::fabs(left(i, o)) > most[static_cast<std::size_t>(o)]) {
        error = std::numeric_limits<double>::infinity();
      }
    }
    errors.push_back(error);
  }
  return errors;
}

std::string SampleRun::too_few(double numbers, double unknowns, double fitted,
                               std::optional<double> held_out) const {
  if (numbers >= kNumbersPerUnknown * unknowns) return "";
  std::string text = "too few examples to tell: " + std::to_string(static_cast<long>(numbers)) +
                     " numbers were fitted with " + std::to_string(static_cast<long>(unknowns)) +
                     " unknowns, to a relative error of " + short_number(fitted);
  if (held_out) text += "; what was held out is off by " + short_number(*held_out);
  return text;
}

void SampleRun::certify_network(const ReluNetwork& of_z, const ReluNetwork& network,
                                const Goal& goal) {
  const std::vector<double> errors = held_out_errors(of_z, goal.robust);
  if (errors.empty()) {
    if (report_.message.empty()) report_.message = "nothing was held out: nothing is vouched for";
    return;
  }
  const double lipschitz = standard_ && gaussian_ ? largest_lipschitz_guess(network)
                                                  : std::numeric_limits<double>::infinity();
  const Certificate certificate = certify(errors, goal.failure, lipschitz, goal.robust);
  // Over inputs as they came: N(0, I) is what they are once whitened. Not more than the answers
  // vary: what F' does where no example is does not count.
  const double of_network = gaussian_standard_deviation(device_, in_white_inputs(of_z));
  const double of_answers = deviation_of(download(device_, examples_->held_out_y()));
  const double sd = of_answers > 0 ? std::min(of_network, of_answers) : of_network;
  report_.certificate = certificate;
  report_.rms_error = certificate.rms_error;
  if (sd > 0) report_.relative_error = certificate.rms_error / sd;
  if (!report_.message.empty()) return;
  const double odd =
      certificate.silent > 0 ? silent_score(download(device_, examples_->held_out_x()), errors) : 0;
  if (odd > kOdd) {
    report_.message =
        "answers that seem to have gross errors are no accident of chance: they "
        "depend on the inputs, a neuron may be lacking";
  } else if (sd > 0 && certificate.rms_error <= goal.accuracy * sd &&
             certificate.silent < certificate.points) {
    report_.outcome = Outcome::reached;
  } else {
    report_.message = why_not(goal, certificate, of_answers);
  }
}

std::string SampleRun::why_not(const Goal& goal, const Certificate& certificate,
                               double of_answers) const {
  if (!goal.robust && certificate.rms_error <= kSingle * of_answers) {
    return "what is left of the answers is of the size of rounding in single precision";
  }
  std::string why = goal.why();
  const auto said = static_cast<double>(certificate.points - certificate.silent);
  const double gross = static_cast<double>(certificate.silent) /
                       static_cast<double>(certificate.points * report_.outputs);
  if (goal.robust && (gross > kMostGross || certificate.silent == certificate.points)) {
    why += "; so many answers seem to have gross errors that robust may not bear them (about 15 %)";
  } else if (said >= kHeavyRows && certificate.largest_error > kHeavy * certificate.rms_error) {
    why +=
        goal.robust
            ? "; some errors are far larger than the others: more gross errors than robust bears?"
            : "; some errors are far larger than the others: gross errors would need robust "
              "(two-layer)";
  }
  return why;
}

Learned<ReluNetwork> SampleRun::finish(const ReluNetwork& of_z, const Goal& goal) {
  ReluNetwork network =
      whitening_.empty() ? ReluNetwork(report_.inputs, 0, report_.outputs) : in_inputs(of_z);
  if (!device_lost_ && !whitening_.empty()) {
    certifying_ = true;
    run([&] { certify_network(of_z, network, goal); }, [] { return true; });
  }
  report_.neurons = network.neurons();
  report_.total_seconds = seconds();
  if (!device_lost_) report_.peak_device_bytes = device_.stats().peak_bytes;
  return {std::move(network), std::move(report_)};
}

}  // namespace crease
