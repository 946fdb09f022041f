// The end of learn_from_hessians: what fresh points say.
#include <algorithm>
#include <cmath>

#include "kernels/ops.hpp"
#include "src/learners/smooth_run.hpp"
#include "src/stages/certify.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr Index kDeviationPoints = 16384;  // of sd(F'), which has no closed form: to a percent
constexpr double kFarOff = 10;             // deviations of an answer: beyond its limit
constexpr double kExactLimit = 1e-11;      // of the size of F, where answers are exact
constexpr double kFloor = 3;               // deviations of an answer: an error of no more is noise

/// sup |g'| over the line.
double steepest(Activation activation) {
  switch (activation) {
    case Activation::sigmoid:
      return 0.25;
    case Activation::gelu:
      return 1.13;  // 1.1289 at sqrt(2)
    case Activation::erf:
      return 1.1283791670955126;
    default:
      return 1;
  }
}

/// Twice the slope of the steepest neuron of the last layer: "if what is missing is no steeper than
/// what was found".
double lipschitz_guess(const SmoothNetwork& network) {
  std::vector<double> slopes;  // of the neurons below, at most
  for (Index l = 0; l < network.layers(); ++l) {
    const SmoothNetwork::Layer& layer = network.hidden[static_cast<std::size_t>(l)];
    std::vector<double> next;
    for (Index i = 0; i < layer.weights.rows(); ++i) {
      double slope = 0;
      if (l == 0) {
        slope = std::sqrt(dot(layer.weights.row(i), layer.weights.row(i), layer.weights.cols()));
      } else {
        for (Index j = 0; j < layer.weights.cols(); ++j) {
          slope += std::fabs(layer.weights(i, j)) * slopes[static_cast<std::size_t>(j)];
        }
      }
      next.push_back(slope * steepest(layer.activation));
    }
    slopes = std::move(next);
  }
  double largest = 0;
  for (Index i = 0; i < network.output.cols(); ++i) {
    largest =
        std::max(largest, std::fabs(network.output(0, i)) * slopes[static_cast<std::size_t>(i)]);
  }
  return 2 * largest;
}

double deviation_of(Device& device, const SmoothNetwork& network, Random& random) {
  const HostMatrix x = download(
      device, random.gaussian_points(device, Stream::held_out, kDeviationPoints, network.inputs()));
  const Spread spread = spread_of(evaluate(device, network, x));
  return spread.deviation > 64 * kRounding * std::fabs(spread.mean) ? spread.deviation : 0;
}

/// |F - F'| at rows of x.
std::vector<double> errors_at(SmoothRun& run, const SmoothNetwork& network, ConstDeviceView x,
                              Round round) {
  const HostMatrix y = download(run.device, run.asker.points(x, round));
  const HostMatrix values = evaluate(run.device, network, download(run.device, x));
  std::vector<double> errors;
  for (Index i = 0; i < y.rows(); ++i) errors.push_back(std::fabs(y(i, 0) - values(i, 0)));
  return errors;
}

}  // namespace

void certify_smooth(SmoothRun& run, const SmoothNetwork& network, const std::string& status) {
  RunReport& report = run.report;
  Asker& asker = run.asker;
  report.learning_rounds = asker.rounds();
  const auto explain = [&](const std::string& text) {
    report.message = status.empty() ? text : status;
  };
  if (asker.gives_up()) {
    return explain("stopped, and the black box did not answer: nothing is vouched for");
  }
  asker.limit(run.control.budget.queries);
  const Index points = std::min(run.plan.certificate_points, asker.left());
  if (points == 0) {
    return explain(run.plan.certificate_points == 0
                       ? "the certificate was turned off: nothing is vouched for"
                       : "no query was left for the certificate");
  }
  asker.enter("certificate");
  const Index before = asker.charged();
  const DeviceMatrix x =
      run.random.gaussian_points(run.device, Stream::certificate, points, asker.inputs());
  const std::vector<double> errors = errors_at(run, network, x, Round::next);
  const Index in_ball = std::min(run.plan.ball_points, asker.left());
  std::vector<double> ball;
  if (in_ball > 0) {
    const DeviceMatrix there =
        run.random.ball_points(run.device, Stream::certificate, in_ball, asker.inputs());
    ball = errors_at(run, network, there, Round::same);
  }
  const double sd = deviation_of(run.device, network, run.random);
  report.certificate_queries = asker.charged() - before;
  const Certificate certificate = certify(errors, run.problem.failure,
                                          run.problem.lipschitz.value_or(lipschitz_guess(network)));
  report.certificate = certificate;
  report.rms_error = certificate.rms_error;
  if (sd > 0) report.relative_error = certificate.rms_error / sd;
  if (!ball.empty()) report.ball_error = *std::max_element(ball.begin(), ball.end());
  asker.set_progress(0, network.total_neurons(), report.relative_error);
  asker.report();
  const double sigma = run.sigma * run.deviation;
  const double limit = sigma > 0 ? kFarOff * sigma : kExactLimit * run.size * run.deviation;
  report.certificate->beyond_limit =
      std::count_if(errors.begin(), errors.end(), [&](double error) { return error > limit; });
  const bool within = certificate.rms_error <= run.problem.accuracy * (sd > 0 ? sd : 1);
  const bool to_its_end = report.outcome == Outcome::not_reached;
  if (to_its_end && within && report.certificate->beyond_limit == 0) {
    report.outcome = Outcome::reached;
    report.message.clear();
  } else if (to_its_end && sigma > 0 && certificate.rms_error <= kFloor * sigma) {
    report.message = "at the noise floor: what is left of the answers looks like their errors";
  } else if (!status.empty()) {
    report.message = status;
  } else if (within) {
    report.message = std::to_string(report.certificate->beyond_limit) + " of " +
                     std::to_string(points) +
                     " fresh points show an error beyond the answers' own: something small is "
                     "missing";
  } else {
    report.message = kUnexplained;
  }
}

}  // namespace crease
